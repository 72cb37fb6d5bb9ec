use std::{future::pending, sync::Arc};

use async_nats::{Client, PublishError, StatusCode, Subject, SubscribeError};
use bytes::Bytes;
use tidings_router_core::{BoxError, Channel, Mailbox, Request, Tap};
use tokio::{
    select,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    dialer::{Dialer, Ended, Ending},
    ears::{Ears, Heard},
    nats::PATIENCE,
    note::Note,
    publisher::Publisher,
    roster::Roster,
    subjects::{Reply, Subjects},
};

/// A node on one connection.
pub(crate) struct Session<'a> {
    dialer: &'a Dialer,
    tap: &'a Arc<Tap>,
    client: Client,
    ended: Ended,
}

impl<'a> Session<'a> {
    pub(crate) fn new(dialer: &'a Dialer, tap: &'a Arc<Tap>, client: Client, ended: Ended) -> Self {
        Self { dialer, tap, client, ended }
    }

    /// Serves the tap until the node is gone or the connection breaks; `up` is called when everyone is found.
    pub(crate) async fn run(mut self, up: impl FnOnce()) -> Ending {
        let tap = self.tap;
        let subjects = self.dialer.subjects.clone();
        tap.limit_packets(self.client.max_payload());
        let host = Host {
            tap,
            client: self.client.clone(),
            publisher: Publisher::new(self.client.clone(), subjects.clone()),
            number: fastrand::u64(..),
            roster: Roster::default(),
            subjects,
        };
        let gone = async {
            tap.closed().await;
            // A server that is stopped takes nothing any more.
            sleep(PATIENCE).await;
        };
        select! {
            biased;
            Ok(reason) = self.ended.wait_for(Option::is_some) => {
                reason.clone().map_or(Ending::Closed, |reason| self.dialer.ending(reason))
            }
            () = gone => Ending::Closed,
            ending = host.run(up) => ending,
        }
    }
}

/// What a node does on a connection that works.
struct Host<'a> {
    tap: &'a Arc<Tap>,
    client: Client,
    subjects: Subjects,
    publisher: Publisher,
    /// Of the knock and the first mark: those of an earlier connection are none of ours.
    number: u64,
    roster: Roster,
}

fn broken(error: impl Into<BoxError>) -> Ending {
    Ending::Broken(error.into())
}

impl Host<'_> {
    async fn run(mut self, up: impl FnOnce()) -> Ending {
        match self.serve(up).await {
            Ok(()) => Ending::Closed,
            Err(ending) => ending,
        }
    }

    async fn serve(&mut self, up: impl FnOnce()) -> Result<(), Ending> {
        let mut ears = Ears::open(&self.client, &self.subjects, self.tap).await.map_err(broken)?;
        self.enter(&mut ears).await?;
        let mut up = Some(up);
        // Begins when the server has answered: without that, nothing works at all.
        let mut patience = None;
        loop {
            let impatient = async {
                match patience {
                    Some(end) => sleep_until(end).await,
                    None => pending().await,
                }
            };
            let heard = select! {
                biased;
                heard = ears.next() => Some(heard),
                request = self.tap.next_request() => {
                    self.grant(request, &mut ears).await.map_err(broken)?;
                    continue;
                }
                published = self.publisher.run(self.tap) => {
                    published.map_err(broken)?;
                    return self.leave(&mut ears).await.map_err(broken);
                }
                () = impatient => None,
            };
            let is_over = heard.is_none();
            match heard {
                Some(Heard::Reply(message)) => {
                    let was_refused = message.status == Some(StatusCode::NO_RESPONDERS);
                    self.reply(&message.subject, was_refused, &message.payload);
                }
                Some(Heard::InLobby(message)) => self.in_lobby(&message.payload).await.map_err(broken)?,
                Some(Heard::Ended) => return Err(broken("the client has ended")),
                None => {}
            }
            if self.roster.is_settled() {
                continue;
            }
            if self.roster.is_complete() || is_over {
                patience = None;
                let waiting = self.roster.settle();
                self.tap.up();
                if let Some(up) = up.take() {
                    up();
                }
                for who in waiting {
                    self.answer(who).await.map_err(broken)?;
                }
            } else if patience.is_none() && self.roster.is_marked() {
                patience = Some(Instant::now() + PATIENCE);
            }
        }
    }

    /// Knocks, enters the lobby and asks who is there, without waiting for any of it: see [`Roster`].
    async fn enter(&self, ears: &mut Ears) -> Result<(), Ending> {
        let (client, subjects) = (&self.client, &self.subjects);
        let publish = |subject: Subject, reply: Option<Subject>, bytes: Bytes| async move {
            match reply {
                Some(reply) => client.publish_with_reply(subject, reply, bytes).await,
                None => client.publish(subject, bytes).await,
            }
            .map_err(broken)
        };
        publish(subjects.lobby(), Some(subjects.knock(self.number)), Note::Knock.encode()).await?;
        ears.lobby =
            Some(client.subscribe(subjects.lobby()).await.map_err(|error: SubscribeError| broken(error))?);
        publish(subjects.lobby(), None, Note::Ask(subjects.own()).encode()).await?;
        publish(subjects.mark(self.number), None, Bytes::new()).await
    }

    /// Subscribes to the broadcasts of another node, or no longer.
    async fn grant(&self, request: Request, ears: &mut Ears) -> Result<(), SubscribeError> {
        match request {
            Request::Subscribe(mailbox) => {
                let subject = self.subjects.of(Channel::Broadcasts(mailbox));
                // The server has done that before it takes what is published next.
                ears.broadcasts.insert(mailbox, self.client.subscribe(subject).await?);
                self.tap.subscribed(mailbox);
            }
            // Unsubscribes by itself when it is dropped.
            Request::Unsubscribe(mailbox) => drop(ears.broadcasts.remove(&mailbox)),
        }
        Ok(())
    }

    async fn answer(&self, who: Mailbox) -> Result<(), PublishError> {
        let here = Note::Here(self.subjects.own(), self.roster.count());
        self.client.publish(self.subjects.here(who), here.encode()).await
    }

    fn reply(&mut self, subject: &str, nobody: bool, bytes: &[u8]) {
        match (self.subjects.reply(subject), nobody) {
            (Some(Reply::Knock(number)), true) if number == self.number => self.roster.nobody_there(),
            (Some(Reply::Mark(number)), false) if number == self.number => self.roster.marked(),
            (Some(Reply::Unheard(mailbox)), true) => {
                self.roster.left(mailbox);
                self.tap.unheard(mailbox);
            }
            (Some(Reply::Here), false) => match Note::decode(bytes) {
                Some(Note::Here(who, count)) => {
                    self.tap.found(who);
                    self.roster.answered(who, count);
                }
                _ => self.foreign(),
            },
            // Of an earlier connection.
            (Some(Reply::Knock(_)), true) | (Some(Reply::Mark(_)), false) => {}
            _ => self.foreign(),
        }
    }

    async fn in_lobby(&mut self, bytes: &[u8]) -> Result<(), PublishError> {
        match Note::decode(bytes) {
            Some(Note::Ask(who) | Note::Bye(who)) if who == self.subjects.own() => {}
            Some(Note::Ask(who)) => {
                self.tap.found(who);
                if self.roster.asked(who) {
                    self.answer(who).await?;
                }
            }
            // What it had to say to us stands in its packets, which may still be on their way.
            Some(Note::Bye(who)) => self.roster.left(who),
            Some(Note::Knock) => {}
            Some(Note::Here(..)) | None => self.foreign(),
        }
        Ok(())
    }

    /// Something came that no node of ours has written.
    fn foreign(&self) {
        // Nothing is no packet either, and counted.
        self.tap.arrived(Bytes::new());
    }

    /// The node is gone, and what it had is published: takes its leave.
    async fn leave(&mut self, ears: &mut Ears) -> Result<(), BoxError> {
        self.client.publish(self.subjects.lobby(), Note::Bye(self.subjects.own()).encode()).await?;
        ears.close_mailbox().await;
        // The answers to what had arrived.
        self.publisher.run(self.tap).await?;
        // A connection that is closed while something is there to be read may take with it what was written: the server
        // has all of it when this is back.
        let mark = self.subjects.mark(self.number.wrapping_add(1));
        self.client.publish(mark.clone(), Bytes::new()).await?;
        let back = async { while ears.reply().await.is_some_and(|message| message.subject != mark) {} };
        // Without an answer there is nothing left to do but to go.
        let _ = timeout(PATIENCE, back).await;
        Ok(())
    }
}
