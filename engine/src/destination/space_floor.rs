//! Free space that the job leaves (`/LFSM`): it pauses before a file that would take it.

use std::time::Duration;

use crossbeam_channel::select;
use quicopy_protocol::options::SpaceFloor;

use super::event::Event;
use super::job::Job;
use crate::disk::DirHandle;
use crate::disk::space::Space;

/// How often the file system is asked during a pause.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until a file of so many bytes fits above the floor. Says once for each pause that it waits.
///
/// The trash gives nothing up for that: the floor is the sender's wish, what is in the trash is the destination's.
///
/// What is on its way already is not counted: the floor may be undercut by as much as the window of wishes holds.
pub(super) fn wait_for_room(job: &Job, dir: &DirHandle, size_bytes: u64) {
    let Some(floor) = job.setup.policy.space_floor else { return };
    let mut is_told = false;
    while !job.stop.is_set() {
        // A file system that does not say how much is free cannot be watched.
        let Ok(space) = Space::of(dir) else { return };
        if fits(space, floor, size_bytes) {
            return;
        }
        if !std::mem::replace(&mut is_told, true) {
            job.tell(Event::Notice(format!(
                "Pausing to wait for free space; free space {}, floor {}, next file {size_bytes} bytes",
                space.free_bytes,
                floor_bytes(space, floor)
            )));
        }
        select! {
            recv(job.over()) -> _ => return,
            default(LOOK) => {}
        }
    }
}

fn fits(space: Space, floor: SpaceFloor, size_bytes: u64) -> bool {
    space.free_bytes.saturating_sub(size_bytes) >= floor_bytes(space, floor)
}

fn floor_bytes(space: Space, floor: SpaceFloor) -> u64 {
    match floor {
        SpaceFloor::Bytes(bytes) => bytes,
        SpaceFloor::Percent(percent) => space.total_bytes / 100 * u64::from(percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_fits_if_the_floor_stays_free_beside_it() {
        let space = Space { total_bytes: 1000, free_bytes: 300 };
        assert!(fits(space, SpaceFloor::Bytes(200), 100));
        assert!(!fits(space, SpaceFloor::Bytes(200), 101));
        assert!(fits(space, SpaceFloor::default(), 200));
        assert!(!fits(space, SpaceFloor::default(), 201));
        assert!(!fits(space, SpaceFloor::Bytes(1), u64::MAX));
    }
}
