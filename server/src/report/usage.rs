//! What stands in the place of a report when the command line cannot be read.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use quicopy_protocol::options::Retry;

use super::header::{self, HeaderText};

/// The header of a job that has no folders yet, what is wrong, and how to write it.
///
/// `error` begins with `ERROR : `, as Robocopy's messages do.
pub fn usage_page(at: Timestamp, error: &str) -> String {
    page(at, TimeZone::system(), error)
}

fn page(at: Timestamp, zone: TimeZone, error: &str) -> String {
    let Retry { retries, wait_seconds } = Retry::default();
    let text = HeaderText {
        files: vec![String::new()],
        options: format!("/DCOPY:DA /COPY:DAT /R:{retries} /W:{wait_seconds}"),
        ..HeaderText::default()
    };
    format!("{}{}\n{USAGE}", header::render(&text, &at.to_zoned(zone)), error.trim_end())
}

const USAGE: &str = "
       Simple Usage :: quicopy source destination /MIR

             source :: Source directory on this machine.
        destination :: Directory to copy to: /path, \\\\host\\share\\path, host:share/path.
               /MIR :: Mirror a complete directory tree.

    For more usage information run quicopy /? or quicopy --help


****  /MIR can DELETE files as well as copy them !
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_that_cannot_be_read_has_a_header_without_folders() {
        let page =
            page(Timestamp::UNIX_EPOCH, TimeZone::UTC, "ERROR : Invalid Parameter #1 : \"x\"\n");
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text:?} in\n{page}"));
        let places = [
            "   QUICOPY     ::     ",
            "  Started : Thursday, January 1, 1970 12:00:00 AM\n",
            "   Source - \n     Dest - \n\n    Files : \n",
            "\n  Options : /DCOPY:DA /COPY:DAT /R:3 /W:5 \n\n----",
            "-\n\nERROR : Invalid Parameter #1 : \"x\"\n\n       Simple Usage ::",
            "/MIR can DELETE",
        ]
        .map(at);
        assert!(places.is_sorted());
    }
}
