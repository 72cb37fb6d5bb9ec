use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use bytes::Bytes;

use crate::Lease;

/// Memory to fill with a payload in place; made by [`Router::loan`](crate::Router::loan).
///
/// Where the router's transport shares memory with its peers, a payload that is written here is never copied on its way
/// to them. Everywhere else, and when that memory is full, it is memory of this process, and works the same.
///
/// What stands in it at first is not specified: fill all of it. Dropping it gives it back.
///
/// ```
/// use tidings_router_core::{Bytes, Router};
///
/// let router = <dyn Router>::builder().open().wait()?;
/// let mut images = router.subscribe::<Bytes>("image")?;
/// let mut loan = router.loan(1 << 20);
/// loan.fill(7);
/// router.emit("image", loan.freeze()).wait()?;
/// assert_eq!(images.next_wait().unwrap().payload.len(), 1 << 20);
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
#[must_use = "a `Loan` is memory to fill: `.freeze()` it and emit the result"]
pub struct Loan {
    memory: Memory,
}

enum Memory {
    Own(Vec<u8>),
    Shared(Box<dyn Lease>),
}

impl Loan {
    pub(crate) fn own(len: usize) -> Self {
        Self { memory: Memory::Own(vec![0; len]) }
    }

    pub(crate) fn shared(lease: Box<dyn Lease>) -> Self {
        Self { memory: Memory::Shared(lease) }
    }

    /// Whether it is memory that peers can read: then nobody copies what is written here.
    pub fn is_shared(&self) -> bool {
        matches!(self.memory, Memory::Shared(_))
    }

    /// Ends the writing: a payload to emit, as often as you like, in whole or in slices.
    pub fn freeze(self) -> Bytes {
        match self.memory {
            Memory::Own(bytes) => bytes.into(),
            Memory::Shared(lease) => lease.freeze(),
        }
    }
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Own(bytes) => bytes,
            Memory::Shared(lease) => (**lease).as_ref(),
        }
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Own(bytes) => bytes,
            Memory::Shared(lease) => (**lease).as_mut(),
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len()).field("is_shared", &self.is_shared()).finish()
    }
}
