//! What a destination forbids in a name: length everywhere, and much more on Windows. Pure, so that the rules of every
//! platform are tested on each.

use quicopy_protocol::path::Name;

/// Characters that Windows takes for something else: streams, wildcards, quoting, redirection, separators.
/// Source: Windows, "Naming Files, Paths, and Namespaces".
const WINDOWS_FORBIDDEN: &str = ":*?\"<>|\\/";

/// UTF-16 units in a name on Windows. Source: as above.
const WINDOWS_UNITS_MAX: usize = 255;

/// Whose rules names at a destination follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameFamily {
    /// Any bytes but slash and zero.
    Unix,
    /// Text in UTF-16 with forbidden characters and device names.
    Windows,
}

/// What a destination's file system takes for a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NameLimits {
    /// Longest name in bytes, as the file system says (`NAME_MAX`; 143 on eCryptfs).
    pub bytes_max: usize,
    /// Whose rules hold.
    pub family: NameFamily,
}

/// Says why the destination cannot hold `name`, as a clause; `None` when it can.
pub fn forbidden(name: &Name, limits: NameLimits) -> Option<String> {
    if name.is_reserved() {
        return Some("the name is reserved for the agent".to_owned());
    }
    let length = name.as_bytes().len();
    match limits.family {
        NameFamily::Unix if length > limits.bytes_max => Some(format!(
            "the name has {length} bytes, the destination's file system takes {}",
            limits.bytes_max
        )),
        NameFamily::Unix => None,
        NameFamily::Windows => forbidden_on_windows(name.as_bytes()),
    }
}

fn forbidden_on_windows(name: &[u8]) -> Option<String> {
    let Ok(text) = str::from_utf8(name) else {
        return Some("the name is not UTF-8, which Windows needs".to_owned());
    };
    let units = text.encode_utf16().count();
    if units > WINDOWS_UNITS_MAX {
        return Some(format!(
            "the name has {units} UTF-16 units, Windows takes {WINDOWS_UNITS_MAX}"
        ));
    }
    if let Some(found) = text.chars().find(|&c| WINDOWS_FORBIDDEN.contains(c) || c < ' ') {
        return Some(format!("Windows forbids {found:?} in a name"));
    }
    if let Some(last) = text.chars().last().filter(|last| matches!(last, '.' | ' ')) {
        return Some(format!("Windows drops {last:?} from the end of a name"));
    }
    is_device(text).then(|| "the name is a device's on Windows".to_owned())
}

/// Whether Windows opens a device under this name: with any extension, and with spaces before it.
fn is_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or(text).trim_end_matches(' ').to_ascii_uppercase();
    if matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    // Latin-1's superscripts count as digits there.
    number.is_some_and(|number| {
        let mut characters = number.chars();
        matches!(characters.next(), Some('0'..='9' | '¹' | '²' | '³'))
            && characters.next().is_none()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reason(name: &[u8], family: NameFamily, bytes_max: usize) -> Option<String> {
        forbidden(&Name::new(name).unwrap(), NameLimits { bytes_max, family })
    }

    fn check_windows(name: &str, expected: Option<&str>) {
        let found = reason(name.as_bytes(), NameFamily::Windows, 255);
        match expected {
            Some(part) => {
                assert!(found.as_ref().is_some_and(|r| r.contains(part)), "{name}: {found:?}")
            }
            None => assert_eq!(found, None, "{name}"),
        }
    }

    #[test]
    fn unix_takes_every_name_that_is_not_too_long_or_the_agents() {
        for name in
            ["CON", "nul.txt", "COM¹", "aux.", "x.", "x ", "a:b", "a?b", "-rf", "\u{1b}[31m"]
        {
            assert_eq!(reason(name.as_bytes(), NameFamily::Unix, 255), None, "{name}");
        }
        assert_eq!(reason(b"\xff\xfe", NameFamily::Unix, 255), None);
        assert_eq!(reason(&[b'x'; 143], NameFamily::Unix, 143), None);
        assert_eq!(
            reason(&[b'x'; 144], NameFamily::Unix, 143).unwrap(),
            "the name has 144 bytes, the destination's file system takes 143"
        );
        assert_eq!(
            reason(b".Quicopy", NameFamily::Unix, 255).unwrap(),
            "the name is reserved for the agent"
        );
    }

    #[test]
    fn windows_forbids_what_it_takes_for_something_else() {
        for name in ["a:b", "a*", "a?b", "\"", "<", ">", "a|b", "a\\b", "a\nb", "\u{1f}"] {
            check_windows(name, Some("forbids"));
        }
        check_windows("x.", Some("'.'"));
        check_windows("x ", Some("' '"));
        check_windows("aux.", Some("'.'"));
        check_windows(".~quicopy-x", Some("reserved"));
    }

    #[test]
    fn windows_keeps_device_names_with_any_extension() {
        for name in ["CON", "con", "nul.txt", "aux.tar.gz", "PRN", "NUL .txt", "CONIN$", "conout$"]
        {
            check_windows(name, Some("device"));
        }
        for name in ["COM1", "com9.log", "LPT0", "COM¹", "lpt³.x"] {
            check_windows(name, Some("device"));
        }
        for name in ["CONSOLE", "COM", "COM10", "COMA", "LPT⁴", "a.con", "nul_", " con", "auxx.c"]
        {
            check_windows(name, None);
        }
    }

    #[test]
    fn windows_counts_utf16_units() {
        check_windows(&"東".repeat(85), None);
        check_windows(&"ü".repeat(127), None);
        check_windows("Grüße, 東京.txt", None);
        let found = reason(b"\xff\xfe", NameFamily::Windows, 255).unwrap();
        assert!(found.contains("UTF-8"), "{found}");
    }
}
