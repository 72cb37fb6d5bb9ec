use std::{future::IntoFuture, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use tidings_router_core::{BoxFuture, Error, Event, ListenOptions, Listener, Result, Timeout, runtime};

use crate::{ListenerId, handle::Core, handlers::catch_up, in_step, phase::Phase};

/// An event that is being waited for; made by [`TaskHandle::wait_for`](crate::TaskHandle::wait_for).
///
/// # Cancel safety
///
/// Dropping it stops listening and leaves nothing behind; the message, if it has come, is gone.
#[derive(Debug)]
#[must_use = "a `WaitFor` does nothing unless awaited or `.wait()`ed for"]
pub struct WaitFor<T> {
    core: Arc<Core>,
    event: String,
    listener: Result<Listener>,
    id: ListenerId,
    /// In a step it ends with the run, elsewhere only when the task finishes once more.
    in_step: bool,
    before: Phase,
    timeout: Option<Duration>,
    payload: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + 'static> WaitFor<T> {
    pub(crate) fn new(core: Arc<Core>, event: &str) -> Self {
        let (in_step, before) = (in_step::is_inside(), core.phase());
        let listener = core.router.listen(event, ListenOptions::once());
        let id = core.next_id();
        Self {
            core,
            event: event.to_owned(),
            listener,
            id,
            in_step,
            before,
            timeout: None,
            payload: std::marker::PhantomData,
        }
    }

    /// Gives up after `limit` with [`Error::Timeout`]. Default: waits for ever.
    pub fn timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }

    /// Blocks this thread until the event has come.
    ///
    /// # Errors
    ///
    /// Those of [`TaskHandle::wait_for`](crate::TaskHandle::wait_for).
    pub fn wait(self) -> Result<Event<T>> {
        runtime::block_on(self.into_event())
    }

    async fn into_event(self) -> Result<Event<T>> {
        let Self { core, event, listener, id, in_step, before, timeout, .. } = self;
        let mut listener = listener?;
        let over = move |phase: &Phase| match in_step {
            true => phase.is_over() || phase.ends != before.ends,
            false => phase.closed || phase.finished != before.finished,
        };
        let coming = async {
            tokio::select! {
                biased;
                envelope = listener.next() => envelope.ok_or(Error::Closed),
                // A message that came first is looked at first.
                () = core.until(over) => Err(Error::Finished),
            }
        };
        let coming = Box::pin(coming);
        let envelope = match timeout {
            None => coming.await?,
            Some(after) => {
                let what = format!("`{event}`");
                Timeout::new(after, coming).await.unwrap_or_else(|| Err(Error::Timeout { what, after }))?
            }
        };
        catch_up(core.hearing(envelope.event(), id)).await;
        Ok(Event::new(envelope.event(), envelope.source(), envelope.decode()?))
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for WaitFor<T> {
    type Output = Result<Event<T>>;
    type IntoFuture = BoxFuture<'static, Result<Event<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.into_event())
    }
}
