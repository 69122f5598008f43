//! Moving entries: onto a name, to a free one, and one for another.

use std::io;

use quicopy_protocol::path::Name;
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::DirHandle;

/// How a rename treats what stands at the new name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RenameMode {
    /// It fails with `EEXIST`.
    KeepOld,
    /// A file or link is replaced; a directory is an error.
    Replace,
    /// The two names change places.
    Exchange,
}

impl DirHandle {
    /// Moves an entry within the same file system.
    ///
    /// # Errors
    /// As `renameat2`: `EXDEV` across file systems, `EEXIST` where the old must stay, `EINVAL` or `ENOSYS` where the
    /// file system does not know the mode.
    pub fn rename(&self, from: &Name, into: &Self, to: &Name, mode: RenameMode) -> io::Result<()> {
        let flags = match mode {
            RenameMode::Replace => RenameFlags::empty(),
            RenameMode::KeepOld => RenameFlags::NOREPLACE,
            RenameMode::Exchange => RenameFlags::EXCHANGE,
        };
        let (from, to) = (from.as_bytes(), to.as_bytes());
        Ok(rustix::fs::renameat_with(self, from, into, to, flags)?)
    }

    /// Moves an entry to a name that is free, where a file system does not know how to ask for that, too.
    ///
    /// # Errors
    /// As [`rename`](Self::rename): `EEXIST` if the name is not free.
    pub(crate) fn move_to_free(&self, from: &Name, into: &Self, to: &Name) -> io::Result<()> {
        match self.rename(from, into, to, RenameMode::KeepOld) {
            Err(error) if Self::is_unknown_mode(&error) => match into.stat(to)? {
                Some(_) => Err(Errno::EXIST.into()),
                None => self.rename(from, into, to, RenameMode::Replace),
            },
            moved => moved,
        }
    }

    /// Whether a [`rename`](Self::rename) failed because the file system does not know its mode.
    pub(crate) fn is_unknown_mode(error: &io::Error) -> bool {
        matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP))
    }

    /// The exchange of a file system that knows none: what is called `to` in this directory moves to the name `aside` first,
    /// and back if what is called `name` in `from` cannot follow.
    ///
    /// # Errors
    /// As [`rename`](Self::rename); everything has its old name then, as far as the file system lets it.
    pub(crate) fn step_aside(
        &self,
        to: &Name,
        aside: &Name,
        from: &Self,
        name: &Name,
    ) -> io::Result<()> {
        self.rename(to, self, aside, RenameMode::Replace)?;
        if let Err(error) = from.rename(name, self, to, RenameMode::Replace) {
            self.rename(aside, self, to, RenameMode::Replace)?;
            return Err(error);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests set the stage with std")]
mod tests {
    use super::*;
    use std::fs;

    use crate::disk::Share;

    #[test]
    fn without_an_exchange_the_old_steps_aside_and_back_if_the_new_cannot_follow() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("to"), "old").unwrap();
        let share = Share::open(temp.path()).unwrap();
        let name = |text: &str| Name::new(text.as_bytes()).unwrap();
        let step =
            || share.root().step_aside(&name("to"), &name("aside"), share.root(), &name("new"));
        assert_eq!(step().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_to_string(temp.path().join("to")).unwrap(), "old");
        fs::create_dir(temp.path().join("new")).unwrap();
        step().unwrap();
        assert!(temp.path().join("to").is_dir());
        assert_eq!(fs::read_to_string(temp.path().join("aside")).unwrap(), "old");
    }
}
