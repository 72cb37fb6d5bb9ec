//! Marks what a thread runs, so that what is called there knows where it is.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    thread::LocalKey,
};

/// A mark: whether this thread runs what is marked so.
pub type Mark = LocalKey<Cell<bool>>;

/// Takes the mark back also when the code panics.
struct Restore(&'static Mark, bool);

impl Drop for Restore {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs `code` with a mark.
pub fn scope<R>(mark: &'static Mark, code: impl FnOnce() -> R) -> R {
    let _restore = Restore(mark, mark.replace(true));
    code()
}

/// Runs a future with a mark.
#[derive(Debug)]
pub struct Scoped<F> {
    mark: &'static Mark,
    future: Pin<Box<F>>,
}

impl<F: Future> Scoped<F> {
    /// Marks each poll of `future`.
    pub fn new(mark: &'static Mark, future: F) -> Self {
        Self { mark, future: Box::pin(future) }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mark = self.mark;
        scope(mark, || self.future.as_mut().poll(cx))
    }
}
