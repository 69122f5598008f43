//! Reading a file of the source with patience.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quicopy_protocol::code::Failure;
use quicopy_protocol::meta::Attribute;
use quicopy_protocol::options::{CopyFlags, Retry};
use quicopy_protocol::path::RelPath;

use super::serving::Context;
use crate::retry::RetryPolicy;
use crate::source::{Extent, FileError, OfferedFile, Source, SourceFile, StopFlag};

/// Is told of each failure after which a file is tried again: the file, the failure, and how long it waits.
#[derive(Clone)]
pub struct OnRetry(Arc<Tell>);

type Tell = dyn Fn(&RelPath, &Failure, Duration) + Send + Sync;

impl OnRetry {
    /// Calls `tell` on the thread that reads, before it waits.
    pub fn new(tell: impl Fn(&RelPath, &Failure, Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

/// Nobody is told.
impl Default for OnRetry {
    fn default() -> Self {
        Self::new(|_, _, _| {})
    }
}

impl fmt::Debug for OnRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRetry")
    }
}

/// What tries are made of a file.
#[derive(Clone, Debug)]
struct Patience {
    retry: Retry,
    stop: StopFlag,
    on_retry: OnRetry,
}

/// An open file that is opened again and read again, as `/R` and `/W` say, when that may help.
#[derive(Debug)]
pub(super) struct Reader {
    source: Arc<Source>,
    offered: OfferedFile,
    patience: Patience,
    file: SourceFile,
}

impl Reader {
    pub(super) fn open(context: &Context, offered: OfferedFile) -> Result<Self, FileError> {
        let Context { source, retry, stop, on_retry, .. } = context.clone();
        let patience = Patience { retry, stop, on_retry };
        let file = patience.bear(&offered.path, || source.open_file(&offered))?;
        Ok(Self { source, offered, patience, file })
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }

    /// Lets go of what memory holds of the file.
    pub(super) fn leave_cache(&self) {
        self.file.leave_cache();
    }

    /// Fills `buffer` from `offset`. A file that ends before has changed.
    pub(super) fn read_exact_at(
        &mut self,
        mut buffer: &mut [u8],
        mut offset: u64,
    ) -> Result<(), FileError> {
        while !buffer.is_empty() {
            let count = self.read_at(buffer, offset)?;
            buffer = &mut buffer[count..];
            offset += count as u64;
        }
        Ok(())
    }

    /// Reads at least one byte into `buffer`, which is not empty.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize, FileError> {
        match self.again_if_it_fails(|file| Ok(file.read_at(buffer, offset)?))? {
            0 => Err(FileError::Changed),
            count => Ok(count),
        }
    }

    pub(super) fn extent(&mut self, at: u64) -> Result<Option<Extent>, FileError> {
        self.again_if_it_fails(|file| Ok(file.extent(at)?))
    }

    /// The attributes that travel; how many do not fit is noted.
    pub(super) fn attributes(&mut self, copy: CopyFlags) -> Result<Vec<Attribute>, FileError> {
        let attributes = self.again_if_it_fails(|file| Ok(file.attributes(copy)?))?;
        if attributes.left_out > 0 {
            let (path, count) = (&self.offered.path, attributes.left_out);
            tracing::warn!(%path, count, "attributes of a file are too large to travel");
        }
        Ok(attributes.list)
    }

    /// The second look, after the last byte was read.
    pub(super) fn check_unchanged(&mut self) -> Result<(), FileError> {
        let (source, path) = (&self.source, &self.offered.path);
        self.patience.bear(path, || self.file.check_unchanged(source, path))
    }

    /// Does something with the file; after a failure that may pass, with the file opened anew.
    fn again_if_it_fails<T>(
        &mut self,
        mut operation: impl FnMut(&SourceFile) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let (file, mut failed) = (&mut self.file, false);
        self.patience.bear(&self.offered.path, || {
            if failed {
                file.reopen(&self.source, &self.offered)?;
            }
            failed = true;
            operation(file)
        })
    }
}

impl Patience {
    /// Repeats what fails, as long as waiting may help, the retries last and nobody asks to stop.
    fn bear<T>(
        &self,
        path: &RelPath,
        mut operation: impl FnMut() -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let mut retry = RetryPolicy::new(self.retry);
        loop {
            let error = match operation() {
                Err(error) if error.is_transient() => error,
                result => return result,
            };
            let Some(wait) = retry.next_wait().filter(|_| !self.stop.is_set()) else {
                return Err(error);
            };
            (self.on_retry.0)(path, &error.failure(), wait);
            if self.stop.wait(wait) {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::io::Errno;

    use super::*;

    /// How often an operation that always fails with `error` is tried, and how often that is told.
    fn tries(error: fn() -> FileError, retries: u32, stop: &StopFlag) -> (u32, u32) {
        let told = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&told);
        let on_retry = OnRetry::new(move |_, _, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let retry = Retry { retries, wait_seconds: 0 };
        let mut tries = 0;
        let result = Patience { retry, stop: stop.clone(), on_retry }.bear(&RelPath::ROOT, || {
            tries += 1;
            Err::<(), _>(error())
        });
        assert!(result.is_err());
        (tries, told.load(Ordering::Relaxed))
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_after_a_stop() {
        let io = || FileError::Io(Errno::IO.into());
        let stop = StopFlag::default();
        assert_eq!(tries(io, 3, &stop), (4, 3));
        assert_eq!(tries(io, 0, &stop), (1, 0));
        assert_eq!(tries(|| FileError::Changed, 3, &stop), (1, 0));
        stop.set();
        assert_eq!(tries(io, 3, &stop), (1, 0));
    }
}
