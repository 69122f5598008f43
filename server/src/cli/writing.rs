//! Switches that say how files are written, and how much room they leave.

use std::ffi::OsStr;

use quicopy_protocol::options::SpaceFloor;

use super::rate::parse_size;
use super::raw::RawOptions;
use super::switch::{BadValue, Group, Switch, number};

pub(super) const GROUP: Group = Group {
    title: "Write",
    rows: &[
        Switch::flag(
            "/J",
            "unbuffered",
            "Copy without the system's cache, for large files",
            |raw| {
                raw.writing.unbuffered = true;
            },
        )
        .translated("what was copied leaves the page cache once it is on the disk"),
        Switch::optional(
            "/SPARSE",
            ("Y|N", "Y"),
            "sparse",
            "Keep the holes of sparse files, or write their zeros",
            set_sparse,
        )
        .or("Y"),
        Switch::flag(
            "/NOCLONE",
            "no-clone",
            "Share no blocks with older versions of a file",
            |raw| {
                raw.writing.no_clone = true;
            },
        ),
        Switch::flag(
            "/READBACK",
            "read-back",
            "Read each file back from the disk before it takes its place",
            |raw| raw.writing.read_back = true,
        ),
        Switch::optional(
            "/LFSM",
            ("N[KMG]|N%", "10%"),
            "low-space",
            "Pause while less than N would be free at the destination",
            set_space_floor,
        ),
        Switch::noted(
            "/NOOFFLOAD",
            "no-offload",
            "Do not let the storage copy by itself",
            "nothing is offloaded between two machines",
        ),
    ],
};

fn set_sparse(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    raw.writing.dense = match value.as_encoded_bytes() {
        b"Y" | b"y" => false,
        b"N" | b"n" => true,
        _ => return Err(BadValue::new("Y or N")),
    };
    Ok(())
}

fn set_space_floor(raw: &mut RawOptions, value: &OsStr) -> Result<(), BadValue> {
    const WANTED: &str = "a number of bytes, such as 800M, or of percent from 0% to 100%";
    let floor = match value.to_str().and_then(|text| text.strip_suffix('%')) {
        Some(percent) => match number(OsStr::new(percent), WANTED)? {
            percent @ 0..=100 => SpaceFloor::Percent(percent),
            _ => return Err(BadValue::new(WANTED)),
        },
        None => SpaceFloor::Bytes(parse_size(value).ok_or(BadValue::new(WANTED))?),
    };
    raw.space_floor = Some(floor);
    Ok(())
}
