//! Marks code that runs in a step, so that what it waits for ends with the run. What others wait for goes on.

use std::{cell::Cell, future::Future};

use tidings_router_core::mark::{self, Scoped};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `code` as a step's.
pub(crate) fn scope<R>(code: impl FnOnce() -> R) -> R {
    mark::scope(&INSIDE, code)
}

/// Runs a future as a step's.
pub(crate) fn scoped<F: Future>(future: F) -> Scoped<F> {
    Scoped::new(&INSIDE, future)
}

/// Whether this is a step's code.
pub(crate) fn is_inside() -> bool {
    INSIDE.get()
}
