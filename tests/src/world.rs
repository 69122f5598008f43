//! Two sites in one temporary folder.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown, lchown},
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;

use crate::{
    process::Finished,
    sites::{AgentSite, Sender},
    tree::{self, Snapshot},
};

/// A source site and a destination site, and around the destination a tree that nobody may touch.
///
/// ```text
/// site-a/source   site-a/home        the sender's tree and state
/// site-b/share    home-b             the agent's share and state
/// site-b/...                         canaries
/// ```
#[derive(Debug)]
pub struct World {
    folder: TempDir,
}

/// The user who owns nothing, and their group.
const NOBODY: u32 = 65_534;

/// What stands around the share: files of its owner's, and names that begin like the share's.
const CANARIES: &str = "site-b/beside.txt, site-b/share.txt, site-b/share-2/inner.txt,
    site-b/hidden/deep/x 0600, site-b/locked/y 0400";

impl World {
    /// Two sites with these trees.
    ///
    /// # Panics
    ///
    /// When the disk refuses.
    #[track_caller]
    pub fn new(source: &str, share: &str) -> Self {
        Self::below(&std::env::temp_dir(), source, share)
    }

    /// The same on a file system in memory, where there is one, for tests that build a thousand worlds.
    #[track_caller]
    pub fn in_memory(source: &str, share: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory, source, share) } else { Self::new(source, share) }
    }

    #[track_caller]
    fn below(folder: &Path, source: &str, share: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("quicopy-")
            .tempdir_in(folder)
            .unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        tree::build(folder.path(), CANARIES);
        let world = Self { folder };
        tree::build(&world.source(), source);
        tree::build(&world.share(), share);
        world
    }

    /// The folder that holds everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The source tree.
    pub fn source(&self) -> PathBuf {
        self.folder().join("site-a/source")
    }

    /// The destination tree, whether a local destination or an agent's share.
    pub fn share(&self) -> PathBuf {
        self.folder().join("site-b/share")
    }

    /// The sender of the source site.
    pub fn sender(&self) -> Sender {
        Sender::new(self.folder().join("site-a/home"))
    }

    /// The agent of the destination site, which exports the share as `data`.
    pub fn agent_site(&self) -> AgentSite {
        AgentSite::new(self.folder().join("home-b"), self.share())
    }

    /// The sender of the source site as a user from whom the disk can keep something, which root is not. Says so and
    /// returns `None` where there is no such user.
    ///
    /// # Panics
    ///
    /// When the disk refuses.
    #[expect(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
    pub fn without_privileges(&self) -> Option<Sender> {
        if !rustix::process::geteuid().is_root() {
            return Some(self.sender());
        }
        let owned = chown(self.folder(), Some(NOBODY), Some(NOBODY)).and_then(|()| {
            Snapshot::of(self.folder())
                .entries
                .keys()
                .try_for_each(|path| lchown(self.folder().join(path), Some(NOBODY), Some(NOBODY)))
        });
        owned.unwrap_or_else(|error| panic!("{}: {error}", self.folder().display()));
        let sender = self.sender().run_by(NOBODY);
        // The folder in which the programs were built may be closed to everybody else.
        let can_run = sender.command().arg("--version").stdout(Stdio::null()).status();
        if can_run.is_ok_and(|status| status.success()) {
            return Some(sender);
        }
        eprintln!("skipped: root is refused nothing, and no other user can run the programs");
        None
    }

    /// Changes the mode of what stands at `path` in the world's folder.
    ///
    /// # Panics
    ///
    /// When the disk refuses.
    #[track_caller]
    pub fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.folder().join(path), Permissions::from_mode(mode))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Runs the sender from the source to the share as a local destination. In the switches, which stand between
    /// spaces, `SRC` and `DST` in braces stand for the two trees.
    #[track_caller]
    pub fn copy(&self, switches: &str) -> Finished {
        self.sender().run(&self.arguments(&self.share().display().to_string(), switches))
    }

    /// The command line for a job from the source to `destination`. Without `/R:` it tries once.
    pub fn arguments(&self, destination: &str, switches: &str) -> Vec<String> {
        let mut arguments = vec![self.source().display().to_string(), destination.to_owned()];
        arguments.extend(switches.split_whitespace().map(|switch| {
            switch
                .replace("{SRC}", &self.source().display().to_string())
                .replace("{DST}", &self.share().display().to_string())
        }));
        if !switches.contains("/R:") {
            arguments.extend(["/R:0".to_owned(), "/W:0".to_owned()]);
        }
        arguments
    }

    /// What the source holds now.
    #[track_caller]
    pub fn source_now(&self) -> Snapshot {
        Snapshot::of(&self.source())
    }

    /// What a user sees in the share now: everything but the agent's own folder.
    #[track_caller]
    pub fn share_now(&self) -> Snapshot {
        Snapshot::of(&self.share()).without(|path| path == Path::new(".quicopy"))
    }

    /// What stands around the share now.
    #[track_caller]
    pub fn around_now(&self) -> Snapshot {
        let share = Path::new("share");
        Snapshot::of(&self.folder().join("site-b")).without(|path| path == share)
    }
}
