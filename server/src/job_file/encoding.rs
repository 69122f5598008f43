//! From the bytes of a job file to its text: [`decode`].

use std::ffi::OsStr;

use yore::code_pages::{CP437, CP850, CP1252};

/// How a job file is read that is not in Unicode: as the Windows that wrote it had it set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CodePage {
    /// The OEM code page of the United States.
    Cp437,
    /// The OEM code page of Western Europe.
    #[default]
    Cp850,
    /// The ANSI code page of both, in which editors save.
    Cp1252,
}

impl CodePage {
    /// Reads `CP850` or `850`, in either case.
    pub fn parse(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?.to_ascii_lowercase();
        match name.strip_prefix("cp").unwrap_or(&name) {
            "437" => Some(Self::Cp437),
            "850" => Some(Self::Cp850),
            "1252" => Some(Self::Cp1252),
            _ => None,
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        let text = match self {
            Self::Cp437 => CP437.decode(bytes),
            Self::Cp850 => CP850.decode(bytes),
            Self::Cp1252 => CP1252.decode(bytes),
        };
        text.into_owned()
    }
}

/// The text of a job file: UTF-16 or UTF-8 by its byte order mark, else UTF-8 if it is valid, else the code page.
///
/// What is no UTF-16 after its mark comes out with replacement characters; the line that holds them is then no item.
pub fn decode(bytes: &[u8], code_page: CodePage) -> String {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => code_page.decode(bytes),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text: String = char::decode_utf16(units)
        .map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], code_page: CodePage, expected: &str) {
        assert_eq!(decode(bytes, code_page), expected);
    }

    #[test]
    fn unicode_is_known_by_its_mark_or_by_being_valid() {
        let utf16 = |unit: fn(u16) -> [u8; 2], mark: [u8; 2]| -> Vec<u8> {
            mark.into_iter().chain("Grün 🙂".encode_utf16().flat_map(unit)).collect()
        };
        check(&utf16(u16::to_le_bytes, [0xff, 0xfe]), CodePage::Cp850, "Grün 🙂");
        check(&utf16(u16::to_be_bytes, [0xfe, 0xff]), CodePage::Cp850, "Grün 🙂");
        check("\u{feff}Grün".as_bytes(), CodePage::Cp437, "Grün");
        check("Grün".as_bytes(), CodePage::Cp437, "Grün");
        check(b"", CodePage::Cp850, "");
        check(b"\xff\xfea\0\x01", CodePage::Cp850, "a\u{fffd}");
    }

    #[test]
    fn what_is_no_unicode_is_read_in_the_code_page() {
        check(b"Gr\x81n \x9d", CodePage::Cp850, "Grün Ø");
        check(b"Gr\x81n \x9d", CodePage::Cp437, "Grün ¥");
        check(b"Gr\xfcn \x80 \x81", CodePage::Cp1252, "Grün € \u{81}");
    }

    #[test]
    fn code_pages_are_named_with_and_without_letters() {
        for (name, page) in
            [("CP437", CodePage::Cp437), ("850", CodePage::Cp850), ("cp1252", CodePage::Cp1252)]
        {
            assert_eq!(CodePage::parse(OsStr::new(name)), Some(page));
        }
        for name in ["", "cp", "cp85", "utf-8", "cpcp850"] {
            assert_eq!(CodePage::parse(OsStr::new(name)), None, "{name}");
        }
    }
}
