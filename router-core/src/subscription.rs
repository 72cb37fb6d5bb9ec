use std::{
    any::type_name,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use crate::{DropReason, Envelope, Event, Listener, Result, runtime};

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
    /// The name of the last event, shared by all events of the same name.
    name: Arc<str>,
    payload: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + 'static> Subscription<T> {
    /// The events that `listener` gets.
    pub fn new(listener: Listener) -> Self {
        let name = listener.pattern().into();
        Self { listener, name, payload: PhantomData }
    }

    /// The next event, or `None` at the end.
    pub async fn next(&mut self) -> Option<Event<T>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event<T>> {
        loop {
            let envelope = self.listener.try_next()?;
            if let Some(event) = self.decode(&envelope) {
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
            let Some(envelope) = std::task::ready!(self.listener.poll_next(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(event) = self.decode(&envelope) {
                return Poll::Ready(Some(event));
            }
        }
    }

    fn decode(&mut self, envelope: &Envelope) -> Option<Event<T>> {
        match self.event(envelope) {
            Ok(event) => Some(event),
            Err(error) => {
                self.listener.reject(DropReason::Decode, &error);
                None
            }
        }
    }

    fn event(&mut self, envelope: &Envelope) -> Result<Event<T>> {
        let payload = envelope.decode()?;
        if *self.name != *envelope.event() {
            self.name = envelope.event().into();
        }
        Ok(Event { name: self.name.clone(), source: envelope.source(), payload })
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
