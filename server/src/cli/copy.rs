//! Switches that say what is copied, and how.

use std::ffi::OsStr;

use quicopy_protocol::options::CopyFlags;

use super::raw::RawOptions;
use super::switch::{BadValue, Group, Switch, number};

/// Threads of `/MT` without a number. Source: Robocopy's help text.
pub const THREADS_DEFAULT: u8 = 8;
/// Most threads that `/MT` takes. Source: Robocopy's help text.
pub const THREADS_MAX: u8 = 128;

const COPY_ALL: CopyFlags = CopyFlags { security: true, owner: true, ..CopyFlags::DAT };

pub(super) const GROUP: Group = Group {
    title: "Copy",
    rows: &[
        Switch::flag("/S", "subdirs", "Copy subdirectories, but not empty ones", |raw| {
            raw.subdirs = true;
        }),
        Switch::flag("/E", "empty-subdirs", "Copy subdirectories, empty ones too", |raw| {
            raw.empty_subdirs = true;
        }),
        Switch::value(
            "/LEV",
            "N",
            "levels",
            "Copy only the top N levels of the source",
            set_levels,
        )
        .or("all"),
        Switch::flag("/MIR", "mirror", "Mirror: /E, and delete what the source lacks", |raw| {
            raw.mirror = true;
        }),
        Switch::flag("/PURGE", "purge", "Delete files and dirs that the source lacks", |raw| {
            raw.purge = true;
        }),
        Switch::flag(
            "/MOV",
            "move-files",
            "Delete source files once they are safely copied",
            |raw| {
                raw.move_files = true;
            },
        ),
        Switch::flag("/MOVE", "move", "Delete source files and dirs once safely copied", |raw| {
            raw.move_all = true;
        }),
        Switch::flag("/Z", "restartable", "Resume broken transfers: always on, accepted", |raw| {
            raw.restartable = true;
        }),
        Switch::flag("/B", "backup", "Read files that this user may not read", |raw| {
            raw.backup = true;
        })
        .translated("needs root or CAP_DAC_READ_SEARCH here; what may be written, the agent's own rights decide"),
        Switch::flag(
            "/ZB",
            "restartable-backup",
            "/Z, and /B for files whose access is denied",
            |raw| raw.restartable_backup = true,
        )
        .translated("files that this user may not read need root or CAP_DAC_READ_SEARCH here, and fail without"),
        Switch::optional(
            "/MT",
            ("N", "8"),
            "threads",
            "Work on N files side by side, 1 to 128, and log full paths",
            set_threads,
        ),
        Switch::value(
            "/COPY",
            "FLAGS",
            "copy",
            "Of files copy Data, Attributes, Times, Security, Owner; X: no xattrs",
            set_copy,
        )
        .or("DAT"),
        Switch::value(
            "/DCOPY",
            "FLAGS",
            "dir-copy",
            "Of directories copy Data, Attributes, Times, Ea; X: no xattrs",
            set_dcopy,
        )
        .or("DA"),
        Switch::flag("/SEC", "security", "Copy files with access lists: /COPY:DATS", |raw| {
            raw.copy = Some(CopyFlags { security: true, ..CopyFlags::DAT });
            raw.copy_all = false;
        }),
        Switch::flag(
            "/COPYALL",
            "copy-all",
            "Copy all there is of files: /COPY:DATSO (U, auditing, is not carried)",
            |raw| {
                raw.copy = Some(COPY_ALL);
                raw.copy_all = true;
            },
        )
        .translated("auditing information (U) is not carried"),
        Switch::flag(
            "/SECFIX",
            "fix-security",
            "Set access lists and owners on files that are skipped, too",
            |raw| raw.fix.security = true,
        ),
        Switch::flag("/TIMFIX", "fix-times", "Set times on files that are skipped, too", |raw| {
            raw.fix.times = true;
        }),
        Switch::flag(
            "/NOCOPY",
            "no-copy",
            "Copy no files; with /E and /PURGE still make and delete",
            |raw| {
                raw.no_copy = true;
            },
        ),
        Switch::flag(
            "/NODCOPY",
            "no-dir-copy",
            "Copy nothing of directories but their names",
            |raw| {
                raw.dcopy = Some(CopyFlags::NONE);
            },
        ),
        Switch::flag("/CREATE", "create", "Make the tree with empty files only", |raw| {
            raw.create = true;
        }),
        Switch::flag(
            "/SL",
            "symlinks",
            "Copy symbolic links as links, not what they point to",
            |raw| {
                raw.links.recreate = true;
            },
        ),
        Switch::flag("/SJ", "junctions", "Copy junctions as junctions", |raw| {
            raw.links.empty_mounts = true;
        })
        .translated("mount points are the junctions here: their directories are made, and not entered; what an empty directory of the source holds at the destination stays"),
        Switch::flag("/HARDLINKS", "hard-links", "Copy further names of a file as hard links", |raw| {
            raw.links.hard_links = true;
        }),
        Switch::refused(
            "/EFSRAW",
            "efs-raw",
            "Copy encrypted files as they are on the disk",
            "there are no files of the Encrypting File System here",
        ),
        Switch::refused(
            "/FAT",
            "fat-names",
            "Make 8.3 names at the destination",
            "short names would be other files to the next job",
        ),
        Switch::noted(
            "/256",
            "no-long-paths",
            "Take no paths of over 256 characters",
            "long paths are never a matter here",
        ),
    ],
};

fn set_levels(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    const WANTED: &str = "a number of levels, 1 or more";
    match number(value, WANTED)? {
        0 => Err(BadValue::new(WANTED)),
        levels => {
            raw.levels = Some(levels);
            Ok(())
        }
    }
}

fn set_threads(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    const WANTED: &str = "a number of threads from 1 to 128";
    match number(value, WANTED)? {
        threads @ 1..=THREADS_MAX => {
            raw.threads = Some(threads);
            Ok(())
        }
        _ => Err(BadValue::new(WANTED)),
    }
}

fn set_copy(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    const WANTED: &str = "letters out of DATSOX";
    let mut flags = CopyFlags::NONE;
    for letter in letters(value, WANTED)? {
        match letter {
            b'D' => flags.data = true,
            b'A' => flags.attributes = true,
            b'T' => flags.times = true,
            b'S' => flags.security = true,
            b'O' => flags.owner = true,
            b'X' => flags.skip_streams = true,
            b'U' => {
                return Err(BadValue::new("letters out of DATSOX: auditing (U) is not carried"));
            }
            _ => return Err(BadValue::new(WANTED)),
        }
    }
    // Content without its time would look changed to the next job. Robocopy, too, runs /COPY:DA as DAT.
    flags.times |= flags.data;
    raw.copy = Some(flags);
    raw.copy_all = false;
    Ok(())
}

fn set_dcopy(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    const WANTED: &str = "letters out of DATEX";
    let mut flags = CopyFlags::NONE;
    for letter in letters(value, WANTED)? {
        match letter {
            // Streams and extended attributes of directories are the same thing here.
            b'D' | b'E' => flags.data = true,
            b'A' => flags.attributes = true,
            b'T' => flags.times = true,
            b'X' => flags.skip_streams = true,
            _ => return Err(BadValue::new(WANTED)),
        }
    }
    raw.dcopy = Some(flags);
    Ok(())
}

fn letters(value: &OsStr, wanted: &'static str) -> Result<Vec<u8>, BadValue> {
    let upper = value.as_encoded_bytes().to_ascii_uppercase();
    if upper.is_empty() { Err(BadValue::new(wanted)) } else { Ok(upper) }
}
