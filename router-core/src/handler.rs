//! Marks code that runs as a handler, so that what it emits never waits.
//!
//! **A handler never waits for itself.** The queue that a handler fills may be the one that only this handler, or a
//! peer's handler in the same position, would empty. So an emit inside a handler is taken beyond the queue's bound, up
//! to the byte budget, and is refused beyond that.

use std::{cell::Cell, future::Future};

use crate::mark::{self, Scoped};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `code` as a handler.
pub fn scope<R>(code: impl FnOnce() -> R) -> R {
    mark::scope(&INSIDE, code)
}

/// Runs a future as a handler.
pub fn scoped<F: Future>(future: F) -> Scoped<F> {
    Scoped::new(&INSIDE, future)
}

/// Whether this is a handler's code.
#[inline]
pub fn is_inside() -> bool {
    INSIDE.get()
}
