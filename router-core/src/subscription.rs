use std::{
    any::type_name,
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::{DropReason, Event, Listener, Result, runtime};

/// The events of one name or pattern, as a stream of `T`s; made by `Router::subscribe`.
///
/// It ends when the router shuts down, or when the subscription lags and is evicted. A payload that is no `T` is
/// skipped, counted as [`DropReason::Decode`] and logged. Dropping the subscription unsubscribes.
///
/// # Cancel safety
///
/// A future of [`next`](Self::next) that is dropped has taken nothing.
#[must_use = "dropping a `Subscription` unsubscribes"]
pub struct Subscription<T> {
    listener: Listener,
    payload: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + 'static> Subscription<T> {
    /// The events that `listener` gets.
    pub fn new(listener: Listener) -> Self {
        Self { listener, payload: PhantomData }
    }

    /// The next event, or `None` at the end.
    pub async fn next(&mut self) -> Option<Event<T>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event<T>> {
        loop {
            let event = self.listener.try_next_as()?;
            if let Some(event) = self.checked(event) {
                return Some(event);
            }
        }
    }

    /// The next event; blocks this thread until there is one. `None` at the end.
    pub fn next_wait(&mut self) -> Option<Event<T>> {
        // The usual case under load needs neither a waker nor a look at the runtime.
        self.try_next().or_else(|| runtime::block_on(self.next()))
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event<T>>> {
        loop {
            let Some(event) = std::task::ready!(self.listener.poll_next_as(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(event) = self.checked(event) {
                return Poll::Ready(Some(event));
            }
        }
    }

    /// The event, if its payload was a `T`.
    fn checked(&self, event: Result<Event<T>>) -> Option<Event<T>> {
        event.map_err(|error| self.listener.reject(DropReason::Decode, &error)).ok()
    }
}

impl<T: DeserializeOwned + 'static> Stream for Subscription<T> {
    type Item = Event<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event<T>>> {
        self.get_mut().poll_event(cx)
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("pattern", &self.listener.pattern())
            .field("payload", &type_name::<T>())
            .finish_non_exhaustive()
    }
}
