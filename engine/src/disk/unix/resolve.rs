//! Opening entries beneath a directory, never through a link.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use quicopy_protocol::path::RelPath;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// What `openat2` is tried again when renames elsewhere made it give up (`EAGAIN`), before the error is believed.
const RACE_RETRIES: u32 = 128;

const CONFINED: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Set once the kernel, or a filter in front of it, turned out not to know `openat2`.
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);

/// Opens one name in the directory. The last component is not followed either.
pub(in crate::disk) fn open_name(
    dir: impl AsFd,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    // A single component cannot climb or lead through a link, so that plain `openat` confines as well.
    Ok(openat(dir, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode)?)
}

/// Opens the directory at `path` below `dir`; a link anywhere on the way is `ELOOP` or `ENOTDIR`.
pub(in crate::disk) fn open_dir_at(dir: impl AsFd, path: &RelPath) -> io::Result<OwnedFd> {
    let dir = dir.as_fd();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let text = if path.is_root() { b"." } else { path.as_bytes() };
    if !NO_OPENAT2.load(Ordering::Relaxed) {
        for _ in 0..RACE_RETRIES {
            match openat2(dir, text, flags, Mode::empty(), CONFINED) {
                Ok(opened) => return Ok(opened),
                Err(Errno::AGAIN) => {}
                // Old seccomp filters answer EPERM where the kernel would say ENOSYS.
                Err(Errno::NOSYS | Errno::PERM) => {
                    NO_OPENAT2.store(true, Ordering::Relaxed);
                    break;
                }
                // Too long for one call although every component is fine: walk.
                Err(Errno::NAMETOOLONG) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    walk(dir, path, flags)
}

/// Component by component, each without following.
fn walk(dir: impl AsFd, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
    let mut at = openat(dir, c".", flags, Mode::empty())?;
    for component in path.components() {
        at = openat(&at, component, flags, Mode::empty())?;
    }
    Ok(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_link_on_the_way_is_refused_with_and_without_openat2() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("real/deep")).unwrap();
        std::os::unix::fs::symlink("real", temp.path().join("link")).unwrap();
        let root = fs::File::open(temp.path()).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let good = RelPath::parse(b"real/deep").unwrap();
        let bad = RelPath::parse(b"link/deep").unwrap();
        open_dir_at(&root, &good).unwrap();
        walk(&root, &good, flags).unwrap();
        assert!(open_dir_at(&root, &bad).is_err());
        assert!(walk(&root, &bad, flags).is_err());
    }
}
