//! Files that are asked about without their content: their hash is compared (`/IM`, `/VERIFY`), or their attributes are set
//! (`/SECFIX`, `/IT`).
//!
//! The source hashes its file while this side hashes what is here; whoever is second compares.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, select};
use quicopy_protocol::code::Operation;
use quicopy_protocol::meta::{Attribute, Digest, WantId};
use quicopy_protocol::path::{Name, RelPath};
use quicopy_protocol::verdict::{Origins, OutcomeResult};

use super::finisher::{Finisher, Try};
use super::fix;
use super::job::Job;
use super::presence;
use super::work::{Task, Work};
use crate::commit::CommitError;
use crate::compare::Present;
use crate::disk::DirHandle;
use crate::fault::Fault;

/// Threads that hash what is here. As with writers, two saturate most disks.
pub(super) const HASHERS: usize = 2;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Asks about files, and draws the conclusions.
pub(super) struct Checker<'a> {
    job: &'a Job,
    finisher: &'a Finisher<'a>,
    queue: (Sender<Own>, Receiver<Own>),
    asked: Mutex<HashMap<WantId, Asked>>,
}

/// What is known of a file that was asked about.
#[derive(Debug)]
enum Asked {
    /// Its content is compared.
    Content { ours: Option<Result<Digest, Fault>>, theirs: Option<Digest> },
    /// Its attributes are on their way.
    Attributes,
}

/// A file that is to be hashed here.
#[derive(Debug)]
struct Own {
    want: WantId,
    dir: DirHandle,
    name: Name,
    present: Present,
}

impl<'a> Checker<'a> {
    pub(super) fn new(job: &'a Job, finisher: &'a Finisher<'a>) -> Self {
        let queue = crossbeam_channel::unbounded();
        Self { job, finisher, queue, asked: Mutex::default() }
    }

    /// Notes that the hash of a file is asked for, and has the file here hashed meanwhile.
    pub(super) fn begin_content(&self, want: WantId, dir: DirHandle, work: &Work) {
        let Some(present) = work.present.clone() else {
            unreachable!("only a file that is there is compared")
        };
        self.asked().insert(want, Asked::Content { ours: None, theirs: None });
        let own = Own { want, dir, name: work.entry.name.clone(), present };
        // The receiver lives as long as the sender: both are here.
        let _ = self.queue.0.send(own);
    }

    /// Notes that the attributes of a file are asked for.
    pub(super) fn begin_attributes(&self, want: WantId) {
        self.asked().insert(want, Asked::Attributes);
    }

    /// Hashes files until the job is stopped or over. Run by each hasher.
    pub(super) fn run(&self) {
        loop {
            select! {
                recv(self.queue.1) -> own => match own {
                    Ok(own) => {
                        let ours = self.hash(&own);
                        self.note(own.want, |asked| asked.set_ours(ours));
                    }
                    Err(_) => return,
                },
                recv(self.job.over()) -> _ => return,
            }
        }
    }

    /// Takes what the source says of a file; false if that was not asked about here.
    pub(super) fn take(&self, want: WantId, digest: Digest, attributes: &[Attribute]) -> bool {
        let is_content = match self.asked().get(&want) {
            None => return false,
            Some(Asked::Content { .. }) => true,
            Some(Asked::Attributes) => false,
        };
        if is_content {
            self.note(want, |asked| asked.set_theirs(digest));
            return true;
        }
        self.asked().remove(&want);
        if let Some(entry) = self.finisher.land(want) {
            match fix::fix(self.job, &entry.work, Some(attributes)) {
                Ok(()) => self.finisher.finish(entry.work.id, fix::outcome(&entry.work)),
                Err(fault) => self.finisher.failed(entry, fault),
            }
        }
        true
    }

    /// Forgets a file that the source could not look into.
    pub(super) fn forget(&self, want: WantId) {
        self.asked().remove(&want);
    }

    fn note(&self, want: WantId, set: impl FnOnce(&mut Asked)) {
        let (ours, theirs) = {
            let mut asked = self.asked();
            let Some(file) = asked.get_mut(&want) else { return };
            set(file);
            let Asked::Content { ours: Some(_), theirs: Some(_) } = file else { return };
            match asked.remove(&want) {
                Some(Asked::Content { ours: Some(ours), theirs: Some(theirs) }) => (ours, theirs),
                _ => return,
            }
        };
        let Some(entry) = self.finisher.land(want) else { return };
        match ours {
            Ok(ours) if ours == theirs => self.same(entry),
            Ok(_) => self.differs(entry),
            Err(fault) => self.finisher.failed(entry, fault),
        }
    }

    /// The content is equal: what the job sets or fixes on such files is set.
    fn same(&self, entry: Try) {
        let policy = &self.job.setup.policy;
        let sets = policy.fix.security || policy.fix.times || policy.classes.include_tweaked;
        if sets && !policy.list_only {
            self.put(entry, Task::Fix);
        } else {
            self.finisher.finish(entry.work.id, OutcomeResult::Unchanged);
        }
    }

    /// The content is not: it is to be copied.
    fn differs(&self, entry: Try) {
        if self.job.setup.policy.list_only {
            let copied = OutcomeResult::Done(Origins::default());
            return self.finisher.finish(entry.work.id, copied);
        }
        self.put(entry, Task::Copy);
    }

    /// Puts an entry in work anew.
    fn put(&self, entry: Try, task: impl FnOnce(RelPath) -> Task) {
        let Some(path) = entry.work.path().cloned() else { return };
        let work = Work { task: task(path), ..(*entry.work).clone() };
        self.finisher.at_once(Try { work: Arc::new(work), ..entry });
    }

    /// The hash of a file that is still what the plan saw.
    fn hash(&self, own: &Own) -> Result<Digest, Fault> {
        let fail = |error: &std::io::Error| Fault::of(Operation::CopyFile, error);
        let Own { dir, name, present, .. } = own;
        let (mut file, stat) = dir.open_file_for_read(name).map_err(|error| fail(&error))?;
        if !present.is_unchanged(&presence::present(dir, name, &stat)) {
            return Err(Fault::lasting(CommitError::Changed.failure()));
        }
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let stopped = || std::io::Error::from(std::io::ErrorKind::Interrupted);
            if self.job.stop.is_set() {
                return Err(fail(&stopped()));
            }
            match file.read(&mut buffer).map_err(|error| fail(&error))? {
                0 => return Ok(hasher.finalize().into()),
                length => hasher.update(&buffer[..length]),
            };
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<WantId, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn set_ours(&mut self, digest: Result<Digest, Fault>) {
        if let Self::Content { ours, .. } = self {
            *ours = Some(digest);
        }
    }

    fn set_theirs(&mut self, digest: Digest) {
        if let Self::Content { theirs, .. } = self {
            *theirs = Some(digest);
        }
    }
}
