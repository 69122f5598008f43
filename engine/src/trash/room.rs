//! Making room: what is too old, too much, or in the way of something else leaves the trash for good.

use std::io::{self, Read, Write};
use std::time::Duration;

use quicopy_protocol::meta::Timestamp;
use quicopy_protocol::path::Name;

use super::Why;
use super::batch::{self, BELOW, Batch, TRASH, open_dir};
use super::damaged::Damaged;
use super::item::{Size, size_of};
use super::keeping::{Facts, Limits, due};
use super::name::BatchName;
use crate::disk::private::own_name;
use crate::disk::space::Space;
use crate::disk::{DirHandle, DiskKind, Share, Stat};

/// Part of the file system that the trash may take.
const CAPACITY_PERCENT: u64 = 10;
/// Below this part of free space the trash gives way by itself. Less than a job of any size needs, and more than the floor below
/// which no file is taken in.
const SHORT_PERCENT: u64 = 2;
/// What begins the name of a batch on its way out: it is in no list any more.
const GONE: &str = "gone-";
const COUNT: &str = "count";

/// Bytes that the trash of a share may take.
///
/// # Errors
/// The file system cannot be asked.
pub fn capacity_bytes(share: &Share) -> io::Result<u64> {
    Ok(Space::of(share.root())?.total_bytes / 100 * CAPACITY_PERCENT)
}

/// How a share's trash is looked through.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// For how many days things are kept; without it, as each batch says.
    pub days: Option<u16>,
    /// The wall clock; leave it away while it is in doubt.
    pub now: Option<Timestamp>,
    /// Most entries that are removed; the rest goes next time.
    pub entries_max: u64,
}

/// What was given up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// Batches.
    pub batches: u64,
    /// What was in them.
    pub size: Size,
}

/// Gives up what is too old or too much, and more while the file system is short of space.
///
/// # Errors
/// The trash cannot be read or written.
pub fn sweep(share: &Share, rules: &Sweep) -> io::Result<Swept> {
    let Some(trash) = batch::open(share)? else { return Ok(Swept::default()) };
    let space = Space::of(share.root())?;
    let short = (space.total_bytes / 100 * SHORT_PERCENT).saturating_sub(space.free_bytes);
    let limits = Limits {
        now: rules.now.map(|now| now.seconds),
        capacity_bytes: space.total_bytes / 100 * CAPACITY_PERCENT,
        lacking_bytes: short,
    };
    let mut left = rules.entries_max;
    let mut swept = Swept::default();
    let batches = facts(&trash, rules.days)?;
    for at in due(&batches, &limits) {
        let name = batches[at].name;
        match give_up(&trash, name) {
            Ok(GivenUp::Gone) => {
                swept.batches += 1;
                swept.size += batches[at].size;
            }
            Ok(GivenUp::Held) => {}
            Err(error) => tracing::warn!("{}", Damaged::batch(&name, error)),
        }
    }
    for damaged in remove_gone(&trash, &mut left)? {
        tracing::warn!("{damaged}");
    }
    tidy(share)?;
    Ok(swept)
}

/// Gives up the oldest batches until `wanted` bytes are free that were not, or none is left; returns how many. Nothing is
/// given up if all that can be is less than `needed`: it would be lost, and the space found lacking all the same.
///
/// # Errors
/// The trash cannot be read, or nothing of it given up.
pub fn give_back(share: &Share, needed: u64, wanted: u64) -> io::Result<u64> {
    let Some(trash) = batch::open(share)? else { return Ok(0) };
    let batches = facts(&trash, None)?;
    let free_to_go = batches.iter().filter(|batch| !batch.held);
    if free_to_go.map(|batch| batch.size.bytes).sum::<u64>() < needed {
        return Ok(0);
    }
    let limits = Limits { now: None, capacity_bytes: u64::MAX, lacking_bytes: wanted.max(needed) };
    let mut freed = 0;
    let mut outcome = Ok(());
    for at in due(&batches, &limits) {
        match give_up(&trash, batches[at].name) {
            Ok(GivenUp::Gone) => freed += batches[at].size.bytes,
            Ok(GivenUp::Held) => {}
            Err(error) => outcome = Err(error),
        }
    }
    let mut entries_max = u64::MAX;
    let removed = remove_gone(&trash, &mut entries_max)
        .and_then(|stays| stays.into_iter().try_for_each(|damaged| Err(damaged.into())));
    outcome = outcome.and(removed);
    match outcome {
        Err(error) if freed == 0 => Err(error),
        Err(error) => {
            tracing::warn!(%error, "a part of what the trash gave up stays for now");
            Ok(freed)
        }
        Ok(()) => Ok(freed),
    }
}

/// What emptying came to.
#[derive(Debug, Default)]
pub struct Emptied {
    /// What is gone.
    pub size: Size,
    /// Batches that stay, since a job fills them.
    pub held: u64,
    /// What stays because it cannot be read or removed, or a newer version wrote it.
    pub damaged: Vec<Damaged>,
}

/// Removes all that has been in the trash for longer than `older`.
///
/// # Errors
/// Nothing of the trash can be read.
pub fn empty(share: &Share, older: Duration, now: Timestamp) -> io::Result<Emptied> {
    let Some(trash) = batch::open(share)? else { return Ok(Emptied::default()) };
    let mut emptied = Emptied::default();
    let oldest = now.seconds.saturating_sub(i64::try_from(older.as_secs()).unwrap_or(i64::MAX));
    for name in batch::list(&trash)?.into_iter().filter(|name| name.begun <= oldest) {
        let given_up = facts_of(&trash, name, None).and_then(|facts| {
            facts.map(|facts| Ok((give_up(&trash, name)?, facts.size))).transpose()
        });
        match given_up {
            Ok(None) => {}
            Ok(Some((GivenUp::Gone, size))) => emptied.size += size,
            Ok(Some((GivenUp::Held, _))) => emptied.held += 1,
            Err(error) => emptied.damaged.push(Damaged::batch(&name, error)),
        }
    }
    let mut entries_max = u64::MAX;
    emptied.damaged.extend(remove_gone(&trash, &mut entries_max)?);
    tidy(share)?;
    Ok(emptied)
}

/// All batches, the oldest first. What is damaged, or what a newer version wrote, is nobody's to judge here, and is left alone.
fn facts(trash: &DirHandle, days: Option<u16>) -> io::Result<Vec<Facts>> {
    let mut all = Vec::new();
    for name in batch::list(trash)? {
        match facts_of(trash, name, days) {
            Ok(facts) => all.extend(facts),
            Err(error) => {
                let damaged = Damaged::batch(&name, error);
                tracing::warn!("{damaged}; it is left alone");
            }
        }
    }
    Ok(all)
}

/// One batch; `None` if it is gone.
fn facts_of(trash: &DirHandle, name: BatchName, days: Option<u16>) -> io::Result<Option<Facts>> {
    let Some(batch) = Batch::open(trash, name)? else { return Ok(None) };
    let about = batch.about()?;
    let hold = batch.hold(None)?;
    let size = match &hold {
        Some(_) => counted(&batch)?,
        None => Size { bytes: 0, entries: 1 },
    };
    let days = days.unwrap_or(about.days);
    Ok(Some(Facts { name, size, days, held: hold.is_none() }))
}

/// What a batch comes to: counted once, since nothing is added when its job is over.
fn counted(batch: &Batch) -> io::Result<Size> {
    if let Some(size) = read_count(batch)? {
        return Ok(size);
    }
    let size = size_of_node(&batch.dir)?;
    // Without it everything is counted again next time.
    let _ = write_count(batch, size);
    Ok(size)
}

fn size_of_node(dir: &DirHandle) -> io::Result<Size> {
    let mut size = Size::default();
    for why in Why::ALL {
        let Some(place) = open_dir(dir, why.folder())? else { continue };
        for entry in place.list()? {
            size += size_of(&place, &entry.name, &entry.stat)?;
        }
    }
    if let Some(below) = open_dir(dir, BELOW)? {
        for entry in below.list()?.iter().filter(|entry| entry.stat.kind == DiskKind::Directory) {
            size += size_of_node(&below.open_dir(&entry.name)?)?;
        }
    }
    Ok(size)
}

fn read_count(batch: &Batch) -> io::Result<Option<Size>> {
    let mut text = String::new();
    match batch.dir.open_file_for_read(&own_name(COUNT)) {
        Ok((file, _)) => drop(file.take(64).read_to_string(&mut text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(parse_count(&text))
}

/// One line, whole: a line that was cut off says less than there is.
fn parse_count(text: &str) -> Option<Size> {
    let (bytes, entries) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Size { bytes: bytes.parse().ok()?, entries: entries.parse().ok()? })
}

fn write_count(batch: &Batch, size: Size) -> io::Result<()> {
    forget_count(batch)?;
    let mut file = batch.dir.create_file(&own_name(COUNT))?;
    writeln!(file, "{} {}", size.bytes, size.entries)
}

/// Has a batch counted anew: something leaves it.
pub(super) fn forget_count(batch: &Batch) -> io::Result<()> {
    match batch.dir.remove_file(&own_name(COUNT)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum GivenUp {
    Gone,
    Held,
}

/// Takes a batch out of every list, by one rename; its content is removed after that.
fn give_up(trash: &DirHandle, name: BatchName) -> io::Result<GivenUp> {
    let Some(batch) = Batch::open(trash, name)? else { return Ok(GivenUp::Gone) };
    let Some(_hold) = batch.hold(None)? else { return Ok(GivenUp::Held) };
    if !batch.is_still_in(trash)? {
        return Ok(GivenUp::Held);
    }
    let gone = own_name(&format!("{GONE}{name}"));
    trash.move_to_free(&name.folder(), trash, &gone)?;
    Ok(GivenUp::Gone)
}

/// Removes what was given up, now or by a run that was killed over it; at most `left` entries. What cannot be removed
/// keeps nothing else, and is returned.
///
/// # Errors
/// The trash cannot be read.
fn remove_gone(trash: &DirHandle, left: &mut u64) -> io::Result<Vec<Damaged>> {
    let mut stays = Vec::new();
    for entry in trash.list().map_err(Damaged::trash)? {
        if entry.name.as_bytes().starts_with(GONE.as_bytes())
            && let Err(error) = remove(trash, &entry.name, &entry.stat, left)
        {
            stays.push(Damaged::in_trash(&entry.name.to_string(), error));
        }
    }
    Ok(stays)
}

/// Removes an entry with all that it holds, as far as `left` goes; says whether it is gone. Never follows a link, never enters
/// another file system.
fn remove(dir: &DirHandle, name: &Name, stat: &Stat, left: &mut u64) -> io::Result<bool> {
    if *left == 0 {
        return Ok(false);
    }
    if dir.is_mount_point(stat) {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    if stat.kind == DiskKind::Directory {
        dir.let_owner_in(name, stat)?;
        let inner = dir.open_dir(name)?;
        let mut outcome = Ok(());
        for entry in inner.list()? {
            match remove(&inner, &entry.name, &entry.stat, left) {
                Ok(true) => {}
                Ok(false) => return outcome.map(|()| false),
                Err(error) => outcome = Err(error),
            }
        }
        outcome?;
        dir.remove_dir(name)?;
    } else {
        dir.remove_file(name)?;
    }
    *left -= 1;
    Ok(true)
}

/// Removes the trash's own folder when nothing is in it.
fn tidy(share: &Share) -> io::Result<()> {
    let private = share.private().map_err(io::Error::other)?;
    match private.dir().remove_dir(&own_name(TRASH)) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::AlreadyExists
            ) =>
        {
            Ok(())
        }
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_believed_only_when_it_is_whole() {
        assert_eq!(parse_count("12 3\n"), Some(Size { bytes: 12, entries: 3 }));
        for text in ["", "12", "12 3", "12\n", "x 3\n", "12 3\nx"] {
            assert_eq!(parse_count(text), None, "{text:?}");
        }
    }
}
