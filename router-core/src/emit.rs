use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
};

use crate::{EmitOptions, Error, NodeId, Payload, Result, Room, Router, Scope, handler, runtime};

/// What became of one try to publish.
#[derive(Debug)]
pub enum Publish {
    /// It is queued for everyone who gets it.
    Done,
    /// Nothing was queued, because one of the queues is full.
    Full {
        /// Which queue.
        queue: String,
        /// Ready when there is room.
        room: Room,
    },
}

/// An event about to be emitted; made by `Router::emit`.
///
/// It is encoded once, when somebody listens for it, and queued for all that do, or for nobody: where one of them has
/// no room, it waits for that one first.
///
/// # Errors
///
/// [`Error::InvalidEvent`], [`Error::Encode`], [`Error::FrameTooLarge`], [`Error::UnknownNode`] with [`to`](Self::to),
/// [`Error::Full`] with [`try_now`](Self::try_now) and beyond the byte budget of handlers, [`Error::Closed`]. Of an event
/// that goes through a [journal](crate::Durable) also [`Error::EntryTooLarge`], and [`Error::Full`] when its server has taken
/// nothing for [`Limits::max_wait`](crate::Limits::max_wait); [`Error::UnknownNode`] never.
///
/// # Cancel safety
///
/// A future that is dropped before it is done has emitted nothing to anybody.
#[must_use = "an `Emit` does nothing unless awaited, `.wait()`ed for or tried with `.try_now()`"]
pub struct Emit<'a, P> {
    router: &'a dyn Router,
    event: &'a str,
    payload: P,
    options: EmitOptions,
}

impl<'a, P: Payload + Unpin> Emit<'a, P> {
    pub(crate) fn new(router: &'a dyn Router, event: &'a str, payload: P) -> Self {
        Self { router, event, payload, options: EmitOptions::default() }
    }

    /// Reaches only the listeners of this process.
    pub fn only_local(self) -> Self {
        self.scope(Scope::Local)
    }

    /// Reaches only the listeners of other nodes.
    pub fn only_remote(self) -> Self {
        self.scope(Scope::Remote)
    }

    /// Reaches only the listeners of this one node, which may be this one itself.
    pub fn to(self, node: impl Into<NodeId>) -> Self {
        self.scope(Scope::Node(node.into()))
    }

    /// Reaches those whom `scope` names.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.options.scope = scope;
        self
    }

    /// Emits now or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] when it would have to wait; then nothing was emitted.
    pub fn try_now(self) -> Result<()> {
        match self.attempt()? {
            Publish::Done => Ok(()),
            Publish::Full { queue, .. } => Err(Error::Full {
                event: self.event.to_owned(),
                queue,
                hint: "`.await` or `.wait()` waits for room; `.queue_bytes(..)` and `.queue_messages(..)` raise the bound",
            }),
        }
    }

    /// Blocks this thread while a queue is full.
    ///
    /// # Errors
    ///
    /// Those of [`Emit`].
    pub fn wait(self) -> Result<()> {
        // The usual case costs neither a waker nor a look at the runtime.
        match self.attempt() {
            Ok(Publish::Done) => Ok(()),
            Ok(Publish::Full { room, .. }) => runtime::block_on(Emitting { emit: self, room: Some(room) }),
            Err(error) => Err(error),
        }
    }
}

impl<P: Payload> Emit<'_, P> {
    fn attempt(&self) -> Result<Publish> {
        self.router.publish(self.event, &self.payload, &self.options)
    }
}

impl<'a, P: Payload + Unpin> IntoFuture for Emit<'a, P> {
    type Output = Result<()>;
    type IntoFuture = Emitting<'a, P>;

    fn into_future(self) -> Emitting<'a, P> {
        Emitting { emit: self, room: None }
    }
}

impl<P> fmt::Debug for Emit<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit")
            .field("event", &self.event)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// An [`Emit`] that is being awaited.
#[derive(Debug)]
#[must_use = "a future does nothing unless polled"]
pub struct Emitting<'a, P> {
    emit: Emit<'a, P>,
    room: Option<Room>,
}

impl<P: Payload> Emitting<'_, P> {
    /// One try; `None` leaves `room` to wait for.
    fn attempt(&mut self) -> Option<Result<()>> {
        match self.emit.attempt() {
            Ok(Publish::Done) => Some(Ok(())),
            Ok(Publish::Full { room, .. }) => {
                debug_assert!(!handler::is_inside(), "a handler never waits");
                self.room = Some(room);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl<P: Payload + Unpin> Future for Emitting<'_, P> {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(room) = &mut this.room {
                std::task::ready!(Pin::new(room).poll(cx));
                this.room = None;
            }
            if let Some(result) = this.attempt() {
                return Poll::Ready(result);
            }
        }
    }
}
