//! Policies and listings written as text, for the tests of decisions.

use quicopy_protocol::meta::{Entry, Kind, Meta, Skip, Timestamp};
use quicopy_protocol::options::{ConflictPolicy, CopyFlags, CopyMode, JobPolicy, Recurse, Rule};
use quicopy_protocol::path::{Name, RelPath};

use crate::compare::{Listed, Present};

/// What a line of switches means. `/XF:`, `/XD:` take one name or a path that holds a slash, `/IF:` one pattern.
pub(crate) fn policy(switches: &str) -> JobPolicy {
    let mut policy = JobPolicy { copy: CopyFlags::DAT, ..JobPolicy::default() };
    for switch in switches.split_whitespace() {
        let (name, value) = switch.split_once(':').unwrap_or((switch, ""));
        let selection = &mut policy.selection;
        match name {
            "/S" => selection.recurse = Recurse::NonEmpty,
            "/E" => selection.recurse = Recurse::All,
            "/LEV" => selection.levels = Some(value.parse().unwrap()),
            "/IF" => selection.include_files.push(value.to_owned()),
            "/XF" => selection.exclude_files.push(rule(value)),
            "/XD" => selection.exclude_dirs.push(rule(value)),
            "/MIR" => (selection.recurse, policy.purge) = (Recurse::All, true),
            "/PURGE" => policy.purge = true,
            "/X" => policy.report_all_extras = true,
            "/V" => policy.report_same = true,
            "/FORCE" => policy.force = true,
            "/XL" => policy.classes.exclude_lonely = true,
            "/XN" => policy.classes.exclude_newer = true,
            "/XO" => policy.classes.exclude_older = true,
            "/XC" => policy.classes.exclude_changed = true,
            "/XX" => policy.classes.exclude_extra = true,
            "/IS" => policy.classes.include_same = true,
            "/IT" => policy.classes.include_tweaked = true,
            "/COPY" => {
                policy.copy.data = value.contains('D');
                policy.copy.attributes = value.contains('A');
                policy.copy.times = value.contains('T');
            }
            "/CREATE" => policy.mode = CopyMode::CreateEmpty,
            "/NOCOPY" => policy.mode = CopyMode::Nothing,
            "/CONFLICT" => {
                policy.conflict = match value {
                    "skip" => ConflictPolicy::Skip,
                    "keep" => ConflictPolicy::Keep,
                    "fail" => ConflictPolicy::Fail,
                    _ => ConflictPolicy::Overwrite,
                }
            }
            other => unreachable!("{other}"),
        }
    }
    policy
}

fn rule(text: &str) -> Rule {
    match text.contains('/') {
        true => Rule::Path(path(text.trim_start_matches('/'))),
        false => Rule::Name(text.to_owned()),
    }
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

/// `a@20=5`: a file `a` of 5 bytes, written at 20 s; without them 1 byte and 10 s. `d/`: a directory. `l->x`: a link.
/// `p|`: a FIFO.
pub(crate) fn item(text: &str) -> (Name, Kind, Meta) {
    let meta = |size_bytes, seconds| Meta {
        size_bytes,
        modified: Timestamp { seconds, nanos: 0 },
        mode: 0o644,
        ..Meta::default()
    };
    if let Some(text) = text.strip_suffix('/') {
        return (name(text), Kind::Directory, meta(0, 10));
    }
    if let Some(text) = text.strip_suffix('|') {
        return (name(text), Kind::Special, meta(0, 10));
    }
    if let Some((text, target)) = text.split_once("->") {
        return (name(text), Kind::Link { target: target.as_bytes().into() }, meta(0, 10));
    }
    let (text, size_bytes) = text.split_once('=').unwrap_or((text, "1"));
    let (text, seconds) = text.split_once('@').unwrap_or((text, "10"));
    (name(text), Kind::File, meta(size_bytes.parse().unwrap(), seconds.parse().unwrap()))
}

/// Entries of a source; with `!` before them their sender skips them by name.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<_> = text
        .split_whitespace()
        .map(|text| {
            let (text, skip) = match text.strip_prefix('!') {
                Some(text) => (text, Some(Skip::Named)),
                None => (text, None),
            };
            let (name, kind, meta) = item(text);
            Entry { name, kind, meta, skip }
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// Entries of a destination; with `#` before them something is mounted there.
pub(crate) fn listed(text: &str) -> Vec<Listed> {
    text.split_whitespace()
        .map(|text| {
            let (text, mounted) = match text.strip_prefix('#') {
                Some(text) => (text, true),
                None => (text, false),
            };
            let (name, kind, meta) = item(text);
            Listed { name, present: Present { mounted, ..present(kind, &meta) } }
        })
        .collect()
}

pub(crate) fn present(kind: Kind, meta: &Meta) -> Present {
    Present {
        kind,
        size_bytes: meta.size_bytes,
        modified: meta.modified,
        mode: meta.mode,
        owner: meta.owner,
        group: meta.group,
        device: 1,
        inode: 1,
        changed: meta.modified,
        links: 1,
        mounted: false,
        attributes: None,
    }
}
