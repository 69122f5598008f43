//! From items to the disk.

use std::{
    fs::{self, File, FileTimes, Permissions},
    io::{self, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::UNIX_EPOCH,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Item, ItemKind, parse, set_attributes};

/// Builds the tree that `text` describes below `root`, which is made if it is missing.
///
/// # Panics
///
/// When the disk refuses, or the text cannot be read.
#[track_caller]
pub fn build(root: &Path, text: &str) {
    make_directory(root);
    let items = parse(text);
    for item in &items {
        make(root, item).unwrap_or_else(|error| panic!("{}: {error}", item.path));
    }
    // Times and modes when nothing will be made any more, and what lies deep first: making an entry changes the time
    // of its directory, and a directory without rights lets nobody in.
    let mut deep_first: Vec<_> = items.iter().collect();
    deep_first.sort_by_key(|item| std::cmp::Reverse(item.path.matches('/').count()));
    for item in deep_first {
        finish(root, item).unwrap_or_else(|error| panic!("{}: {error}", item.path));
    }
}

fn make(root: &Path, item: &Item) -> io::Result<()> {
    let path = root.join(&item.path);
    if let Some(above) = path.parent() {
        make_directory(above);
    }
    match &item.kind {
        ItemKind::Directory => make_directory(&path),
        ItemKind::File { content } => {
            let mut file = File::create(&path)?;
            let mut written = Ok(());
            content.pieces(|piece| {
                if written.is_ok() {
                    written = file.write_all(piece);
                }
            });
            written?;
        }
        ItemKind::Link { target } => symlink(target, &path)?,
        ItemKind::HardLink { other } => fs::hard_link(root.join(other), &path)?,
        ItemKind::Fifo => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0)?,
    }
    Ok(())
}

/// Makes a directory and those above it with the usual mode, whatever the umask is.
fn make_directory(path: &Path) {
    if path.is_dir() {
        return;
    }
    if let Some(above) = path.parent() {
        make_directory(above);
    }
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn finish(root: &Path, item: &Item) -> io::Result<()> {
    let path = root.join(&item.path);
    match item.kind {
        ItemKind::Link { .. } | ItemKind::HardLink { .. } | ItemKind::Fifo => return Ok(()),
        ItemKind::File { .. } | ItemKind::Directory => {}
    }
    if let Some(attributes) = item.attributes {
        set_attributes(&path, attributes)?;
    }
    let modified = UNIX_EPOCH + item.modified.unwrap_or(Item::MODIFIED);
    File::open(&path)?.set_times(FileTimes::new().set_modified(modified))?;
    fs::set_permissions(&path, Permissions::from_mode(item.mode_or_usual()))
}
