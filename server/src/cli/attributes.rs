//! Switches for DOS attributes: which files have them, and which they get.

use std::ffi::OsStr;

use quicopy_protocol::attributes::DosAttributes;

use super::switch::{BadValue, Group, Switch};

const WHERE: &str = "R is a file that nobody may write to; the other letters are those that Samba keeps in user.DOSATTRIB";
const ARCHIVE: &str = "Archive is the bit that Samba keeps in user.DOSATTRIB";

pub(super) const GROUP: Group = Group {
    title: "Attribute",
    rows: &[
        Switch::flag("/A", "archive", "Copy only files that have Archive set", |raw| {
            raw.archive = true;
        })
        .translated(ARCHIVE),
        Switch::flag("/M", "archive-reset", "/A, and clear Archive once a file is copied", |raw| {
            raw.archive_reset = true;
        })
        .translated(ARCHIVE),
        Switch::value(
            "/IA",
            "RASHCNETO",
            "include-attributes",
            "Copy only files that have any of these attributes",
            |raw, value| {
                raw.include_attributes = letters(value)?;
                Ok(())
            },
        )
        .translated(WHERE),
        Switch::value(
            "/XA",
            "RASHCNETO",
            "exclude-attributes",
            "Leave out files that have any of these attributes",
            |raw, value| {
                raw.exclude_attributes = letters(value)?;
                Ok(())
            },
        )
        .translated(WHERE),
        Switch::value(
            "/A+",
            "RASHCNET",
            "add-attributes",
            "Set these attributes on copied files",
            |raw, value| {
                // Offline cannot be given to a file. Source: Robocopy's help text.
                if value.to_ascii_uppercase().as_encoded_bytes().contains(&b'O') {
                    return Err(BadValue::new("letters out of RASHCNET"));
                }
                raw.add_attributes = letters(value)?;
                Ok(())
            },
        )
        .translated(WHERE),
        Switch::value(
            "/A-",
            "RASHCNETO",
            "remove-attributes",
            "Take these attributes off copied files",
            |raw, value| {
                raw.remove_attributes = letters(value)?;
                Ok(())
            },
        )
        .translated(WHERE),
    ],
};

fn letters(value: &OsStr) -> Result<DosAttributes, BadValue> {
    let set = value.to_str().and_then(DosAttributes::parse);
    set.ok_or(BadValue::new("letters out of RASHCNETO"))
}
