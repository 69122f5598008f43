//! Opening what lies below a held directory.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use quicopy_protocol::path::RelPath;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::stat::Links;

/// Opens `path` below `root`.
///
/// With [`Links::Refuse`] nothing on the way, the last component included, may be a symbolic link.
pub(super) fn open_below(
    root: BorrowedFd<'_>,
    path: &RelPath,
    flags: OFlags,
    links: Links,
) -> io::Result<OwnedFd> {
    let whole = if path.is_root() { b".".as_slice() } else { path.as_bytes() };
    let opened = match links {
        Links::Follow => rustix::fs::openat(root, whole, flags, Mode::empty()),
        Links::Refuse => rustix::fs::openat2(root, whole, flags, Mode::empty(), CONFINED),
    };
    match opened {
        // An old kernel, a sandbox that knows no openat2, or a path that is too long for one call.
        Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG) => {
            open_stepwise(root, path, flags, links)
        }
        opened => Ok(opened?),
    }
}

const CONFINED: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The same, one component a call.
fn open_stepwise(
    root: BorrowedFd<'_>,
    path: &RelPath,
    flags: OFlags,
    links: Links,
) -> io::Result<OwnedFd> {
    let no_follow = match links {
        Links::Follow => OFlags::empty(),
        Links::Refuse => OFlags::NOFOLLOW,
    };
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | no_follow;
    let mut dir: Option<OwnedFd> = None;
    let mut components = path.components().peekable();
    while let Some(name) = components.next() {
        let from = dir.as_ref().map_or(root, AsFd::as_fd);
        if components.peek().is_none() {
            return Ok(rustix::fs::openat(from, name, flags | no_follow, Mode::empty())?);
        }
        dir = Some(rustix::fs::openat(from, name, step, Mode::empty())?);
    }
    Ok(rustix::fs::openat(root, c".", flags, Mode::empty())?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

    /// Opens in one call and stepwise, which must agree.
    fn check(root: &OwnedFd, path: &str, links: Links, opens: bool) {
        let path = RelPath::parse(path.as_bytes()).unwrap();
        let root = root.as_fd();
        assert_eq!(open_below(root, &path, READ, links).is_ok(), opens, "{path} at once");
        assert_eq!(open_stepwise(root, &path, READ, links).is_ok(), opens, "{path} stepwise");
    }

    #[test]
    fn a_link_on_the_way_is_refused_unless_links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/file"), "x").unwrap();
        symlink("a", dir.path().join("to-a")).unwrap();
        symlink("b/file", dir.path().join("a/to-file")).unwrap();
        let root = rustix::fs::open(dir.path(), READ, Mode::empty()).unwrap();
        for links in [Links::Refuse, Links::Follow] {
            check(&root, "", links, true);
            check(&root, "a/b/file", links, true);
            check(&root, "a/missing", links, false);
        }
        for path in ["to-a/b/file", "a/to-file"] {
            check(&root, path, Links::Refuse, false);
            check(&root, path, Links::Follow, true);
        }
    }

    #[test]
    fn a_path_longer_than_one_call_takes_is_walked() {
        let dir = tempfile::tempdir().unwrap();
        let root = rustix::fs::open(dir.path(), READ, Mode::empty()).unwrap();
        let name = "d".repeat(255);
        let mut at = root.try_clone().unwrap();
        for _ in 0..16 {
            rustix::fs::mkdirat(&at, &*name, Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, &*name, READ, Mode::empty()).unwrap();
        }
        check(&root, &vec![name.as_str(); 16].join("/"), Links::Refuse, true);
    }
}
