//! The report's header.

use jiff::Zoned;

/// What the header says of a job; escaped, ready to show.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderText {
    /// The source, with a slash at its end; empty if there is none yet.
    pub source: String,
    /// The destination, with a slash at its end; empty if there is none yet.
    pub destination: String,
    /// Job files that were read or written (`/JOB`, `/SAVE`).
    pub job_files: Vec<String>,
    /// File patterns.
    pub files: Vec<String>,
    /// Items of `/XF`.
    pub exclude_files: Vec<String>,
    /// Items of `/XD`.
    pub exclude_dirs: Vec<String>,
    /// The switches as Robocopy echoes them.
    pub options: String,
}

/// Locale long date and time of the United States, as Robocopy writes it there.
const LONG_DATE: &str = "%A, %B %-d, %Y %-I:%M:%S %p";

/// A time for people, in the zone it carries.
pub(super) fn long_date(at: &Zoned) -> String {
    at.strftime(LONG_DATE).to_string()
}

/// Writes the header, to the column as Robocopy does.
pub(super) fn render(text: &HeaderText, started: &Zoned) -> String {
    let rule = "-".repeat(79);
    let banner = "   QUICOPY     ::     Robust File Copy between Sites";
    let mut out = format!("\n{rule}\n{banner:<79}\n{rule}\n\n");
    out += &format!("  Started : {}\n", long_date(started));
    out += &folder("   Source", &text.source);
    out += &folder("     Dest", &text.destination);
    for file in &text.job_files {
        out += &format!(" Job File : {file}\n");
    }
    out.push('\n');
    list(&mut out, "    Files : ", &text.files);
    list(&mut out, "Exc Files : ", &text.exclude_files);
    list(&mut out, " Exc Dirs : ", &text.exclude_dirs);
    out += &format!("  Options : {} \n\n{}\n\n", text.options, "-".repeat(78));
    out
}

/// A folder that is not known has a dash where the colon stands.
fn folder(label: &str, path: &str) -> String {
    let mark = if path.is_empty() { '-' } else { ':' };
    format!("{label} {mark} {path}\n")
}

fn list(out: &mut String, label: &str, items: &[String]) {
    let Some((first, rest)) = items.split_first() else { return };
    *out += &format!("{label}{first}\n");
    for item in rest {
        *out += &format!("\t    {item}\n");
    }
    *out += "\t    \n";
}
