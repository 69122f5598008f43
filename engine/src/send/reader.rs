//! Reading a file of the source with patience.

use std::sync::Arc;

use quicopy_protocol::meta::Attribute;
use quicopy_protocol::options::{CopyFlags, Retry};

use crate::retry::RetryPolicy;
use crate::source::{Extent, FileError, OfferedFile, Source, SourceFile, StopFlag};

/// An open file that is opened again and read again, as `/R` and `/W` say, when that may help.
#[derive(Debug)]
pub(super) struct Reader {
    source: Arc<Source>,
    offered: OfferedFile,
    retry: Retry,
    stop: StopFlag,
    file: SourceFile,
}

impl Reader {
    pub(super) fn open(
        source: Arc<Source>,
        offered: OfferedFile,
        retry: Retry,
        stop: StopFlag,
    ) -> Result<Self, FileError> {
        let file = patiently(retry, &stop, || source.open_file(&offered))?;
        Ok(Self { source, offered, retry, stop, file })
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
        patiently(self.retry, &self.stop, || self.file.check_unchanged(source, path))
    }

    /// Does something with the file; after a failure that may pass, with the file opened anew.
    fn again_if_it_fails<T>(
        &mut self,
        mut operation: impl FnMut(&SourceFile) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let (file, mut failed) = (&mut self.file, false);
        patiently(self.retry, &self.stop, || {
            if failed {
                file.reopen(&self.source, &self.offered)?;
            }
            failed = true;
            operation(file)
        })
    }
}

/// Repeats what fails, as long as waiting may help, the retries last and nobody asks to stop.
fn patiently<T>(
    retry: Retry,
    stop: &StopFlag,
    mut operation: impl FnMut() -> Result<T, FileError>,
) -> Result<T, FileError> {
    let mut retry = RetryPolicy::new(retry);
    loop {
        match operation() {
            Err(error) if error.is_transient() => match retry.next_wait() {
                Some(wait) if !stop.wait(wait) => tracing::debug!(%error, "reading again"),
                Some(_) | None => return Err(error),
            },
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// How often an operation that always fails with `error` is tried.
    fn tries(error: fn() -> FileError, retries: u32, stop: &StopFlag) -> u32 {
        let mut tries = 0;
        let result = patiently(Retry { retries, wait_seconds: 0 }, stop, || {
            tries += 1;
            Err::<(), _>(error())
        });
        assert!(result.is_err());
        tries
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_after_a_stop() {
        let io = || FileError::Io(Errno::IO.into());
        let stop = StopFlag::default();
        assert_eq!(tries(io, 3, &stop), 4);
        assert_eq!(tries(io, 0, &stop), 1);
        assert_eq!(tries(|| FileError::Changed, 3, &stop), 1);
        stop.set();
        assert_eq!(tries(io, 3, &stop), 1);
    }
}
