//! Marks code that runs in a step, so that what it waits for ends with the run. What others wait for goes on.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Restores the mark also when the step panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// Runs `code` as a step's.
pub(crate) fn scope<R>(code: impl FnOnce() -> R) -> R {
    let _restore = Restore(INSIDE.replace(true));
    code()
}

/// Whether this is a step's code.
pub(crate) fn is_inside() -> bool {
    INSIDE.get()
}

/// Runs a future as a step's.
pub(crate) struct Scoped<F>(Pin<Box<F>>);

impl<F: Future> Scoped<F> {
    /// Marks each poll of `future`.
    pub(crate) fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        scope(|| self.0.as_mut().poll(cx))
    }
}
