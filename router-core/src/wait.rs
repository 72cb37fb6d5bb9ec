//! Operations that can wait: awaited, or `.wait()`ed for by a thread, with or without a time limit.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{BoxFuture, Error, Result, runtime};

/// An operation that is under way and can be awaited, or waited for by a thread.
///
/// # Cancel safety
///
/// Dropping it, or the future that it becomes, leaves everything as if it had never been asked for.
#[must_use = "a `Wait` does nothing unless awaited or `.wait()`ed for"]
pub struct Wait<'a, T> {
    what: String,
    future: BoxFuture<'a, Result<T>>,
    timeout: Option<Duration>,
}

impl<'a, T: Send + 'a> Wait<'a, T> {
    /// Waits for `future`; `what` completes the sentence "no .. within 5s".
    pub fn new(what: impl Into<String>, future: impl Future<Output = Result<T>> + Send + 'a) -> Self {
        Self { what: what.into(), future: Box::pin(future), timeout: None }
    }

    /// Gives up after `limit` with [`Error::Timeout`]. Default: waits for ever.
    pub fn timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }

    /// Blocks this thread until it is done.
    ///
    /// # Errors
    ///
    /// Those of the operation, and [`Error::Timeout`].
    pub fn wait(self) -> Result<T> {
        runtime::block_on(self.into_future())
    }
}

impl<'a, T: Send + 'a> IntoFuture for Wait<'a, T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'a, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        match self.timeout {
            None => self.future,
            Some(after) => Box::pin(async move {
                let what = self.what;
                Timeout::new(after, self.future).await.unwrap_or_else(|| Err(Error::Timeout { what, after }))
            }),
        }
    }
}

impl<T> fmt::Debug for Wait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("what", &self.what)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A future with a time limit, which works outside of a runtime: the timer is the I/O runtime's.
#[derive(Debug)]
pub struct Timeout<F> {
    timer: Pin<Box<tokio::time::Sleep>>,
    future: F,
}

impl<F: Future + Unpin> Timeout<F> {
    /// `future`, or `None` after `limit`.
    pub fn new(limit: Duration, future: F) -> Self {
        let _guard = runtime::io().enter();
        Self { timer: Box::pin(tokio::time::sleep(limit)), future }
    }
}

impl<F: Future + Unpin> Future for Timeout<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        self.timer.as_mut().poll(cx).map(|()| None)
    }
}
