//! Marks code that runs as a handler, so that what it emits never waits.
//!
//! **A handler never waits for itself.** The queue that a handler fills may be the one that only this handler, or a
//! peer's handler in the same position, would empty. So an emit inside a handler is taken beyond the queue's bound, up
//! to the byte budget, and is refused beyond that.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Restores the mark also when the handler panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// Runs `code` as a handler.
pub fn scope<R>(code: impl FnOnce() -> R) -> R {
    let _restore = Restore(INSIDE.replace(true));
    code()
}

/// Whether this is a handler's code.
#[inline]
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// Runs a future as a handler.
#[derive(Debug)]
pub struct Scoped<F>(Pin<Box<F>>);

impl<F: Future> Scoped<F> {
    /// Marks each poll of `future` as a handler's code.
    pub fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        scope(|| self.0.as_mut().poll(cx))
    }
}
