use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_nats::{Client, Message, SubscribeError, Subscriber};
use futures_core::Stream;
use tidings_router_core::{Channel, Mailbox, Tap};
use tokio::task::unconstrained;

use crate::subjects::Subjects;

/// How many packets are taken in at a time.
const PACKETS: usize = 256;

/// What a node listens to.
pub(crate) struct Ears {
    tap: Arc<Tap>,
    mailbox: Subscriber,
    /// Those of other nodes.
    pub(crate) broadcasts: HashMap<Mailbox, Subscriber>,
    replies: Subscriber,
    /// Once it has entered.
    pub(crate) lobby: Option<Subscriber>,
    /// Comes after the packets that were there before it.
    held: Option<Heard>,
}

/// What was said beside the packets.
pub(crate) enum Heard {
    Reply(Message),
    InLobby(Message),
    /// The client takes nothing in any more.
    Ended,
}

/// The client takes nothing in any more.
struct Ended;

/// Hands packets over to the tap; ready when there may be more, or will never be.
fn hand_over(packets: &mut Subscriber, tap: &Arc<Tap>, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
    for _ in 0..PACKETS {
        match ready!(Pin::new(&mut *packets).poll_next(cx)) {
            Some(message) => tap.arrived(message.payload),
            None => return Poll::Ready(Err(Ended)),
        }
    }
    Poll::Ready(Ok(()))
}

impl Ears {
    pub(crate) async fn open(
        client: &Client,
        subjects: &Subjects,
        tap: &Arc<Tap>,
    ) -> Result<Self, SubscribeError> {
        let mailbox = client.subscribe(subjects.of(Channel::Mailbox(subjects.own()))).await?;
        let replies = client.subscribe(subjects.replies()).await?;
        let broadcasts = HashMap::new();
        Ok(Self { tap: tap.clone(), mailbox, broadcasts, replies, lobby: None, held: None })
    }

    /// Hands packets over to the tap until something else is said.
    ///
    /// The last packets of a node that has gone come before the server's word that it is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Heard {
        // Else the runtime's budget would say that there are no packets when there are, and break that order.
        unconstrained(poll_fn(|cx| self.poll_next(cx))).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        if self.held.is_none() {
            self.held = self.poll_beside(cx);
        }
        let mut has_more = false;
        for packets in self.broadcasts.values_mut().chain([&mut self.mailbox]) {
            match hand_over(packets, &self.tap, cx) {
                Poll::Ready(Ok(())) => has_more = true,
                Poll::Ready(Err(Ended)) => return Poll::Ready(Heard::Ended),
                Poll::Pending => {}
            }
        }
        if has_more {
            // The others' turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.held.take().map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_beside(&mut self, cx: &mut Context<'_>) -> Option<Heard> {
        if let Poll::Ready(message) = Pin::new(&mut self.replies).poll_next(cx) {
            return Some(message.map_or(Heard::Ended, Heard::Reply));
        }
        match Pin::new(self.lobby.as_mut()?).poll_next(cx) {
            Poll::Ready(message) => Some(message.map_or(Heard::Ended, Heard::InLobby)),
            Poll::Pending => None,
        }
    }

    /// Nothing more shall arrive. Hands over what has.
    pub(crate) async fn close_mailbox(&mut self) {
        // An error means that the connection is broken, and then nothing more arrives either.
        let _ = self.mailbox.unsubscribe().await;
        while let Some(message) = poll_fn(|cx| Pin::new(&mut self.mailbox).poll_next(cx)).await {
            self.tap.arrived(message.payload);
        }
    }

    pub(crate) async fn reply(&mut self) -> Option<Message> {
        poll_fn(|cx| Pin::new(&mut self.replies).poll_next(cx)).await
    }
}
