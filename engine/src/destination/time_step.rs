//! How finely the destination keeps times.

use std::io;

use quicopy_protocol::meta::Timestamp;

use crate::disk::{DirHandle, MetaChange, Placement, Share};

/// A time with something in every digit that a file system may cut off, and an odd number of seconds.
const PROBE: Timestamp = Timestamp { seconds: 1_000_000_001, nanos: 123_456_789 };

/// Steps that file systems are known to keep, from fine to coarse, in nanoseconds.
const STEPS: [u32; 6] = [1, 100, 1_000, 10_000_000, 1_000_000_000, 2_000_000_000];

/// Finds the smallest step of a time that the share's file system keeps, in nanoseconds.
///
/// The share's own time often shows that nanoseconds are kept. If not, and something may be written, a file in the private
/// folder is given a time that is read back.
pub fn time_step_nanos(share: &Share, may_write: bool) -> u32 {
    let shows_nanos = share.root().own_stat().is_ok_and(|stat| stat.modified.nanos % 100 != 0);
    if shows_nanos || !may_write {
        return 1;
    }
    probe(share).unwrap_or(1)
}

fn probe(share: &Share) -> io::Result<u32> {
    let private = share.private().map_err(io::Error::other)?;
    let dir: &DirHandle = private.partial();
    let name = share.temp_name(Placement::Private);
    drop(dir.create_file(&name)?);
    let change = MetaChange { modified: Some(PROBE), ..MetaChange::default() };
    let kept = dir.set_meta(&name, &change, None).and_then(|_| dir.stat(&name));
    dir.remove_file(&name)?;
    let kept = kept?.map_or(PROBE, |stat| stat.modified);
    Ok(STEPS.into_iter().find(|&step| rounded(step) == kept).unwrap_or(1))
}

fn rounded(step: u32) -> Timestamp {
    if step > 1_000_000_000 {
        return Timestamp { seconds: PROBE.seconds - PROBE.seconds % 2, nanos: 0 };
    }
    Timestamp { nanos: PROBE.nanos - PROBE.nanos % step, ..PROBE }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_step_leaves_another_time() {
        let times: std::collections::HashSet<_> = STEPS.into_iter().map(rounded).collect();
        assert_eq!(times.len(), STEPS.len());
    }

    #[test]
    fn a_file_system_with_nanoseconds_is_seen_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let share = Share::open(dir.path()).unwrap();
        assert_eq!(probe(&share).unwrap(), 1);
        share.tidy().unwrap();
        assert_eq!(share.root().list().unwrap(), []);
    }
}
