//! `check`: what the agent would do with this configuration and this state, and what is wrong with them.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use quicopy_certs::{Identity, KnownSenders, StateDir};
use quicopy_engine::disk::Share as Folder;
use quicopy_engine::disk::space::Space;
use quicopy_protocol::options::{DeleteLimit, Durability};

use super::{CommandError, counted};
use crate::config::Config;
use crate::share::{self, OutsideLinks, Share};
use crate::share_id::{KnownShares, ShareOffline, Standing};
use quicopy_protocol::text::with_causes;

/// Anybody may write there.
const WRITABLE_BY_ALL: u32 = 0o002;

/// Looks at everything and says what it finds. Changes nothing, and makes nothing but the state folder and the key.
pub(super) fn check(out: &mut impl Write, config: &Config) -> Result<(), CommandError> {
    let mut findings = Findings { out, problems: 0 };
    match &config.file {
        Some(file) => findings.say(&format!("configuration  {}", file.display()))?,
        None => findings.say("configuration  no file: command line and defaults alone")?,
    }
    findings.say(&format!("listen         {} (UDP)", config.listen))?;
    let dir = StateDir::open_or_create(&config.state_folder)?;
    findings.say(&format!("state          {}", dir.path().display()))?;
    match Identity::load_or_create(&dir) {
        Ok(identity) => findings.say(&format!("fingerprint    {}", identity.fingerprint()))?,
        Err(error) => findings.problem(&with_causes(&error))?,
    }
    match KnownSenders::new(&dir).list() {
        Ok(senders) => {
            findings.say(&format!(
                "peers          {} known",
                counted(senders.iter().len(), "sender")
            ))?;
        }
        Err(error) => findings.problem(&with_causes(&error))?,
    }
    let limits = config.limits;
    findings.say(&format!(
        "limits         {} jobs, {} of one sender, {} connections",
        limits.jobs, limits.jobs_per_peer, limits.connections
    ))?;
    if config.shares.is_empty() {
        findings.problem("no share is configured: add [shares.NAME] with its path to the file, or run with --share NAME=PATH")?;
    }
    let known = KnownShares::new(&dir);
    for share in &config.shares {
        findings.share(share, &known)?;
    }
    if let Err(error) = share::check_folders(&config.shares, dir.path()) {
        findings.problem(&error.to_string())?;
    }
    match findings.problems {
        0 => Ok(findings.say("all is well")?),
        problems => Err(CommandError::Check { problems }),
    }
}

struct Findings<'a, W> {
    out: &'a mut W,
    problems: usize,
}

impl<W: Write> Findings<'_, W> {
    fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    fn warn(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "  warning: {text}")
    }

    fn problem(&mut self, text: &str) -> io::Result<()> {
        self.problems += 1;
        writeln!(self.out, "  problem: {text}")
    }

    fn share(&mut self, share: &Share, known: &KnownShares) -> io::Result<()> {
        self.say(&format!("share {}", share.name))?;
        self.say(&format!("  path         {}", share.path.display()))?;
        let durability = match share.durability {
            Durability::Group => "group: synced in batches, then reported",
            Durability::File => "file: each file synced by itself, then reported",
            Durability::None => "none: reported when written; a power cut may lose it",
        };
        self.say(&format!("  durability   {durability}"))?;
        match share.max_delete {
            Some(DeleteLimit::Count(count)) => {
                self.say(&format!("  deletions    at most {count} entries a job"))?;
            }
            Some(DeleteLimit::Percent(percent)) => {
                self.say(&format!("  deletions    at most {percent} % of the entries a job"))?;
            }
            None => {
                self.say("  deletions    the usual guard: not more than 20 files and half of all")?
            }
        }
        match share.trash_days {
            Some(days) => self.say(&format!("  trash        kept for {days} days"))?,
            None => self.say("  trash        none: what is deleted is gone")?,
        }
        if let Some(marker) = &share.require_marker {
            self.say(&format!("  marker       a source without {marker} deletes nothing"))?;
        }
        if share.outside_links == OutsideLinks::Consent {
            self.warn("links may lead out of this share, to wherever a permitted sender says")?;
        }
        // A folder that is not there is reported with all shares.
        let Ok(metadata) = std::fs::metadata(&share.path) else { return Ok(()) };
        if metadata.mode() & WRITABLE_BY_ALL != 0 {
            let path = share.path.display();
            self.warn(&format!(
                "everybody on this machine can write here; if that is not meant: chmod o-w {path}"
            ))?;
        }
        let folder = match Folder::open(&share.path) {
            Ok(folder) => folder,
            Err(error) => return self.problem(&with_causes(&error)),
        };
        match Space::of(folder.root()) {
            Ok(space) => {
                let (free, total) = (mebibytes(space.free_bytes), mebibytes(space.total_bytes));
                self.say(&format!("  free space   {free} of {total} MiB"))?;
            }
            Err(error) => self.problem(&format!("the free space cannot be told: {error}"))?,
        }
        self.identity(share, known.standing(share, &folder))
    }

    fn identity(
        &mut self,
        share: &Share,
        standing: Result<Standing, ShareOffline>,
    ) -> io::Result<()> {
        let adopt = format!("if the folder is right: quicopy-agent adopt {}", share.name);
        match standing {
            Ok(Standing::Known(id)) => self.say(&format!("  identity     {id}, as it was")),
            Ok(Standing::New(_)) => {
                self.say("  identity     new: it is adopted when the agent starts")
            }
            Ok(Standing::Missing) => {
                self.problem(&format!("its identity is missing, is the disk mounted? {adopt}"))
            }
            Ok(Standing::Changed(id)) => {
                self.problem(&format!("it has the identity of another folder, {id}; {adopt}"))
            }
            Ok(Standing::Damaged) => {
                self.problem(&format!("its identity is damaged, check the disk; {adopt}"))
            }
            Err(error) => self.problem(&with_causes(&error)),
        }
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::command::tests::config;

    /// What `check` prints, and how many problems it counts.
    fn checked(config: &Config) -> (String, usize) {
        let mut out = Vec::new();
        let problems = match check(&mut out, config) {
            Ok(()) => 0,
            Err(CommandError::Check { problems }) => problems,
            Err(error) => panic!("{error}"),
        };
        (String::from_utf8(out).unwrap(), problems)
    }

    /// `change` is done to the share's folder once all is well.
    #[track_caller]
    fn check_finds(change: impl FnOnce(&Path), problems: usize, says: &str) {
        let temp = tempfile::tempdir().unwrap();
        let config = config(temp.path());
        let dir = StateDir::open_or_create(&config.state_folder).unwrap();
        let share = &config.shares[0];
        let folder = Folder::open(&share.path).unwrap();
        KnownShares::new(&dir).adopt(share, &folder).unwrap();
        drop(folder);
        change(&share.path);
        let (text, found) = checked(&config);
        assert_eq!(found, problems, "{text}");
        assert!(text.contains(says), "{text}");
    }

    #[test]
    fn what_is_well_is_explained() {
        check_finds(|_| {}, 0, "as it was");
        check_finds(|_| {}, 0, "fingerprint    ");
        check_finds(|_| {}, 0, "all is well");
        check_finds(|_| {}, 0, "0 senders known");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        let lost = "quicopy-agent adopt data";
        check_finds(|path| fs::remove_dir_all(path.join(".quicopy")).unwrap(), 1, lost);
        check_finds(|path| fs::remove_dir_all(path).unwrap(), 1, "make the folder");
    }

    #[test]
    fn what_is_risky_is_a_warning() {
        let open =
            |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        check_finds(open, 0, "chmod o-w");
    }

    #[test]
    fn a_new_share_is_left_for_the_agent_to_adopt() {
        let temp = tempfile::tempdir().unwrap();
        let config = config(temp.path());
        let (text, problems) = checked(&config);
        assert!(problems == 0 && text.contains("new: it is adopted"), "{text}");
        assert!(!config.shares[0].path.join(".quicopy").exists());
    }

    #[test]
    fn an_agent_without_shares_is_no_use() {
        let temp = tempfile::tempdir().unwrap();
        let config = Config { shares: vec![], ..config(temp.path()) };
        assert_eq!(checked(&config).1, 1);
    }
}
