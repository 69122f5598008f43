//! The header's Options line: the switches as Robocopy echoes them.

use std::os::unix::ffi::OsStrExt;

use quicopy_protocol::congestion::Policy;
use quicopy_protocol::options::{ConflictPolicy, CopyFlags, Retry};
use quicopy_protocol::text::Escaped;

use super::rate::rate_text;
use super::raw::RawOptions;
use super::switch::{Takes, switches};

/// What the options come to once defaults are in.
pub(super) struct Effective {
    pub copy: CopyFlags,
    pub dcopy: CopyFlags,
    pub retry: Retry,
}

impl Effective {
    /// `retry` is what holds for `/R` and `/W` where they were not given.
    pub(super) fn of(raw: &RawOptions, retry: Retry) -> Self {
        let copy = raw.copy.unwrap_or(CopyFlags::DAT);
        // Backup mode knows no X. Source: Robocopy, which ignores it then with a warning.
        let skip_streams = copy.skip_streams && !raw.backup && !raw.restartable_backup;
        Self {
            copy: CopyFlags { skip_streams, ..copy },
            dcopy: raw.dcopy.unwrap_or(CopyFlags::DA),
            retry: Retry {
                retries: raw.retries.unwrap_or(retry.retries),
                wait_seconds: raw.wait_seconds.unwrap_or(retry.wait_seconds),
            },
        }
    }
}

/// The switches that are echoed, in Robocopy's order; those that it has not shown in a known log stand where their kind does.
///
/// Source: logs from the original.
const ORDER: &[&str] = &[
    "/V",
    "/TS",
    "/FP",
    "/BYTES",
    "/X",
    "/NS",
    "/NC",
    "/NDL",
    "/NFL",
    "/NJS",
    "/NJH",
    "/L",
    "/TEE",
    "/UNICODE",
    "/DEBUG",
    "/S",
    "/E",
    "/DCOPY",
    "/COPY",
    "/COPYALL",
    "/SECFIX",
    "/TIMFIX",
    "/NOCOPY",
    "/MOVE",
    "/MOV",
    "/PURGE",
    "/MIR",
    "/CREATE",
    "/FAT",
    "/256",
    "/Z",
    "/B",
    "/ZB",
    "/J",
    "/EFSRAW",
    "/A+",
    "/A-",
    "/SPARSE",
    "/NOCLONE",
    "/NOOFFLOAD",
    "/HARDLINKS",
    "/READBACK",
    "/NP",
    "/ETA",
    "/LEV",
    "/MON",
    "/MOT",
    "/RH",
    "/PF",
    "/MT",
    "/IS",
    "/IT",
    "/IM",
    "/VERIFY",
    "/XL",
    "/XX",
    "/XO",
    "/XN",
    "/XC",
    "/XJ",
    "/XJF",
    "/XJD",
    "/SL",
    "/SJ",
    "/FFT",
    "/DST",
    "/M",
    "/A",
    "/IA",
    "/XA",
    "/MAX",
    "/MIN",
    "/MAXAGE",
    "/MINAGE",
    "/MAXLAD",
    "/MINLAD",
    "/IPG",
    "/IOMAXSIZE",
    "/IORATE",
    "/THRESHOLD",
    "/LFSM",
    "/BWLIMIT",
    "/POLICY",
    "/COMPRESS",
    "/MAXDELETE",
    "/CONFLICT",
    "/TRASH",
    "/PLAN",
    "--require-marker",
    "/FORCE",
    "/REG",
    "/TBD",
    "/R",
    "/W",
];

/// Writes the switches in Robocopy's order: `/E` brings `/S`, `/MIR` brings `/S /E /PURGE`, and `/R` and `/W` stand last.
pub(super) fn options_line(raw: &RawOptions, effective: &Effective) -> String {
    let files = takes_all_files(raw).then(|| "*.*".to_owned());
    let switches = ORDER.iter().filter_map(|name| echoed(name, raw, effective));
    files.into_iter().chain(switches).collect::<Vec<_>>().join(" ")
}

/// One switch, if it is echoed: those that others bring, or that have a default, by what they come to; the others as typed.
fn echoed(name: &str, raw: &RawOptions, effective: &Effective) -> Option<String> {
    let flag = |holds: bool| holds.then(|| name.to_owned());
    let all_dirs = raw.empty_subdirs || raw.mirror;
    let links = raw.links;
    let both = links.exclude_dirs && links.exclude_files;
    match name {
        "/S" => flag(raw.subdirs || all_dirs),
        "/E" => flag(all_dirs),
        "/DCOPY" if raw.copy_all => None,
        "/DCOPY" if letters(effective.dcopy).is_empty() => Some("/NODCOPY".to_owned()),
        "/DCOPY" => value(name, Some(letters(effective.dcopy))),
        "/COPY" if raw.copy_all => None,
        "/COPY" => value(name, Some(letters(effective.copy))),
        "/COPYALL" => flag(raw.copy_all),
        "/MOV" => flag(raw.move_files && !raw.move_all),
        "/PURGE" => flag(raw.purge || raw.mirror),
        "/MT" => value(name, raw.threads),
        "/XJ" => flag(both),
        "/XJF" => flag(links.exclude_files && !both),
        "/XJD" => flag(links.exclude_dirs && !both),
        "/BWLIMIT" => value(name, raw.bandwidth),
        "/POLICY" => value(name, raw.link_policy.map(link_policy)),
        "/COMPRESS" => value(name, raw.compression),
        "/PLAN" => value(name, raw.plan),
        "/CONFLICT" => value(name, raw.conflict.map(conflict)),
        "--require-marker" => Some(format!("{name}={}", raw.marker.as_ref()?)),
        "/R" => value(name, Some(effective.retry.retries)),
        "/W" => value(name, Some(effective.retry.wait_seconds)),
        _ => as_typed(name, raw),
    }
}

fn as_typed(name: &str, raw: &RawOptions) -> Option<String> {
    let row = switches().find(|row| row.slash == Some(name))?;
    let given = raw.given.iter().rev().find(|given| given.long == row.long)?;
    let typed = given.value.to_string_lossy().to_ascii_uppercase();
    match row.takes {
        Takes::Nothing(_) => Some(name.to_owned()),
        Takes::Value { .. } | Takes::Optional { .. } | Takes::List { .. } => {
            value(name, Some(Escaped(typed.as_bytes())))
        }
    }
}

/// Whether no pattern narrows the files.
pub(super) fn takes_all_files(raw: &RawOptions) -> bool {
    raw.include_files.is_empty()
        || raw.include_files.iter().any(|p| matches!(p.as_bytes(), b"*.*" | b"*"))
}

fn conflict(policy: ConflictPolicy) -> &'static str {
    match policy {
        ConflictPolicy::Overwrite => "overwrite",
        ConflictPolicy::Skip => "skip",
        ConflictPolicy::Keep => "keep",
        ConflictPolicy::Fail => "fail",
    }
}

fn link_policy(policy: Policy) -> String {
    match policy {
        Policy::Fair => "fair".to_owned(),
        Policy::Low => "low".to_owned(),
        Policy::Fixed(rate) => format!("fixed:{}", rate_text(rate)),
    }
}

fn value(name: &str, value: Option<impl ToString>) -> Option<String> {
    Some(format!("{name}:{}", value?.to_string()))
}

fn letters(flags: CopyFlags) -> String {
    [
        (flags.data, 'D'),
        (flags.attributes, 'A'),
        (flags.times, 'T'),
        (flags.security, 'S'),
        (flags.owner, 'O'),
        (flags.skip_streams, 'X'),
    ]
    .into_iter()
    .filter_map(|(set, letter)| set.then_some(letter))
    .collect()
}

/// List items as the header shows them.
pub(super) fn shown(items: &[std::ffi::OsString]) -> Vec<String> {
    items.iter().map(|item| Escaped(item.as_bytes()).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the header shows elsewhere, or what has no part in what the job does.
    const UNECHOED: &[&str] = &[
        "/SEC",
        "/NODCOPY",
        "/IF",
        "/XF",
        "/XD",
        "/LOG",
        "/LOG+",
        "/UNILOG",
        "/UNILOG+",
        "--json",
        "/JOB",
        "/SAVE",
        "/QUIT",
        "/NOSD",
        "/NODD",
        "/SD",
        "/DD",
        "--job-encoding",
        "--state-dir",
    ];

    #[test]
    fn every_switch_is_echoed_or_known_not_to_be() {
        for row in switches() {
            let name = row.name();
            let is_echoed = ORDER.contains(&&*name);
            assert!(is_echoed != UNECHOED.contains(&&*name), "{name}");
        }
        assert_eq!(switches().count(), ORDER.len() + UNECHOED.len());
    }
}
