//! Buffers that serve again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

/// How many buffers are kept, and how many bytes they have together at most.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 4 << 20;

/// Buffers of one link whose messages are all gone. Memory that is fresh from the system costs about as much as what is
/// read into it.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer for so many bytes. One that is kept has less than twice of that; of these it is the one that came
    /// back last, which is in the caches still.
    pub(super) fn take(&self, capacity: usize) -> Vec<u8> {
        let mut kept = self.lock();
        let fits = |buffer: &Vec<u8>| (capacity..2 * capacity).contains(&buffer.capacity());
        let found = kept.iter().rposition(fits).map(|index| kept.remove(index));
        drop(kept);
        found.unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    /// The bytes in `buffer`, which comes back when they are gone.
    pub(super) fn lend(self: &Arc<Self>, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, spare: Arc::downgrade(self) })
    }

    fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.lock();
        // The oldest goes: what is read now may have another size.
        if kept.len() == KEPT {
            kept.remove(0);
        }
        if kept.iter().map(Vec::capacity).sum::<usize>() + buffer.capacity() <= KEPT_BYTES {
            kept.push(buffer);
        }
    }
}

/// A buffer in use.
struct Lent {
    buffer: Vec<u8>,
    spare: Weak<Spare>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(spare) = self.spare.upgrade() {
            spare.put(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_is_gone() {
        let spare = Arc::new(Spare::default());
        let mut buffer = spare.take(1000);
        buffer.extend_from_slice(b"abc");
        let place = buffer.as_ptr();
        let bytes = spare.lend(buffer);
        let slice = bytes.slice(1..);
        drop(bytes);
        assert_eq!(spare.lock().len(), 0);
        assert_eq!(slice, "bc");
        drop(slice);
        let again = spare.take(800);
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn no_more_is_kept_than_the_bounds_say() {
        let spare = Arc::new(Spare::default());
        (0..2 * KEPT).for_each(|_| drop(spare.lend(Vec::with_capacity(100))));
        assert_eq!(spare.lock().len(), KEPT);
        drop(spare.lend(Vec::with_capacity(KEPT_BYTES)));
        assert!(spare.lock().iter().all(|buffer| buffer.capacity() < KEPT_BYTES));
        assert!(spare.take(10).capacity() < 20, "none that is much too large");
    }

    #[test]
    fn a_buffer_may_outlive_its_link() {
        let spare = Arc::new(Spare::default());
        let bytes = spare.lend(vec![1, 2, 3]);
        drop(spare);
        assert_eq!(bytes[..], [1, 2, 3]);
    }
}
