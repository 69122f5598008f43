//! Buffers that are used again when what was in them is sent: [`Pool`].

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

type Free = Mutex<Vec<Box<[u8]>>>;

/// Buffers of one size, as many as were ever in use at once. New memory for each block would have to be cleared by the kernel
/// and once more by us, which takes a sixth of the time in which a block is read and hashed.
#[derive(Debug)]
pub(super) struct Pool {
    buffer_bytes: usize,
    free: Arc<Free>,
}

impl Pool {
    pub(super) fn new(buffer_bytes: usize) -> Self {
        Self { buffer_bytes, free: Arc::default() }
    }

    /// A buffer in which anything may stand.
    pub(super) fn take(&self) -> Buffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| vec![0; self.buffer_bytes].into_boxed_slice());
        Buffer { bytes, length: 0, free: Arc::downgrade(&self.free) }
    }
}

/// A buffer of a pool, to which it goes back.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    /// How many of its first bytes are content.
    length: usize,
    free: Weak<Free>,
}

impl Buffer {
    /// The first `length` bytes, to be filled: they become the content.
    pub(super) fn content_mut(&mut self, length: usize) -> &mut [u8] {
        self.length = length;
        &mut self.bytes[..length]
    }

    /// The content, without a copy.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Without the pool nobody will need it.
        if let Some(free) = self.free.upgrade() {
            let bytes = std::mem::take(&mut self.bytes);
            free.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_content_is_dropped_and_not_before() {
        let pool = Pool::new(8);
        let mut first = pool.take();
        first.content_mut(3).copy_from_slice(b"abc");
        let memory = first.bytes.as_ptr();
        let content = first.freeze();
        let part = content.slice(1..);
        drop(content);
        assert_ne!(pool.take().bytes.as_ptr(), memory);
        assert_eq!(part, "bc");
        pool.free.lock().unwrap().clear();
        drop(part);
        assert_eq!(pool.take().bytes.as_ptr(), memory);
    }

    #[test]
    fn content_outlives_its_pool() {
        let pool = Pool::new(8);
        let mut buffer = pool.take();
        buffer.content_mut(8).fill(7);
        drop(pool);
        assert_eq!(buffer.freeze(), [7; 8].as_slice());
    }
}
