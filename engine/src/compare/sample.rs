//! Listings of plain files, for the tests of names.

use quicopy_protocol::meta::{Entry, Kind, Meta, Timestamp};
use quicopy_protocol::path::Name;

use super::Present;

pub(super) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

pub(super) fn entries(names: &str) -> Vec<Entry> {
    let entry =
        |text| Entry { name: name(text), kind: Kind::File, meta: Meta::default(), skip: None };
    names.split_whitespace().map(entry).collect()
}

pub(super) fn present() -> Present {
    Present {
        kind: Kind::File,
        size_bytes: 0,
        modified: Timestamp::default(),
        mode: 0,
        owner: 0,
        group: 0,
        device: 0,
        inode: 0,
        changed: Timestamp::default(),
        links: 1,
        mounted: false,
        attributes: None,
    }
}
