//! A journal in a stream of JetStream.

mod pages;
mod streams;

use std::fmt;

use async_nats::jetstream::{
    self, Context,
    stream::{LastRawMessageErrorKind, Stream},
};
use bytes::Bytes;
use tidings_router_core::{
    Address, BoxError, BoxFuture, Durable, Error, Journal, JournalContext, JournalLink, Mailbox, NoJournal,
    Page, Position, Result,
};

use self::pages::Pages;
use crate::{
    dialer::{Dialer, Ended, Ending},
    nats::Nats,
};

/// The configuration.
#[derive(Debug)]
pub(crate) struct JetStream {
    pub(crate) nats: Nats,
    pub(crate) durable: Durable,
}

impl Journal for JetStream {
    fn durable(&self) -> &Durable {
        &self.durable
    }

    fn address(&self) -> Result<Address> {
        self.nats.address()
    }

    fn connect<'a>(
        &'a self,
        context: &'a JournalContext,
    ) -> BoxFuture<'a, Result<Box<dyn JournalLink>, NoJournal>> {
        Box::pin(async move {
            let own = Mailbox { node_id: context.node_id, incarnation: context.incarnation };
            let dialer = self.nats.dialer(&context.cluster, own).map_err(NoJournal::Refused)?;
            let (client, ended) = dialer.dial().await.map_err(no_journal)?;
            let entry_limit = client.max_payload();
            let context = jetstream::new(client);
            let opening = streams::open(&context, &dialer, self.durable.bound());
            let (journal, positions) = until_ended(&ended, opening).await.map_err(|reason| {
                no_journal(reason.map_or(Ending::Closed, |reason| dialer.ending(reason)))
            })??;
            let pages = Pages::new(journal.clone());
            let tape = Tape { dialer, ended, context, journal, positions, pages, entry_limit };
            Ok(Box::new(tape) as Box<dyn JournalLink>)
        })
    }
}

fn no_journal(ending: Ending) -> NoJournal {
    match ending {
        Ending::Closed => NoJournal::Broken("the connection was closed".into()),
        Ending::Broken(error) => NoJournal::Broken(error),
        Ending::Refused(error) => NoJournal::Refused(error),
    }
}

/// What `work` comes to, unless the connection ends before.
async fn until_ended<T>(
    ended: &Ended,
    work: impl Future<Output = T>,
) -> Result<T, Option<crate::dialer::Reason>> {
    let mut ended = ended.clone();
    tokio::select! {
        biased;
        done = work => Ok(done),
        // The client tells of its end before it lets go of the other side.
        reason = ended.wait_for(Option::is_some) => Err(reason.ok().and_then(|reason| reason.clone())),
    }
}

/// A connection.
struct Tape {
    dialer: Dialer,
    ended: Ended,
    context: Context,
    journal: Stream,
    positions: Stream,
    pages: Pages,
    entry_limit: usize,
}

impl Tape {
    /// What `work` comes to, or why the connection has ended.
    async fn during<T>(
        dialer: &Dialer,
        ended: &Ended,
        work: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, BoxError> {
        match until_ended(ended, work).await {
            Ok(done) => done,
            Err(reason) => {
                Err(match no_journal(reason.map_or(Ending::Closed, |reason| dialer.ending(reason))) {
                    NoJournal::Refused(error) => error.into(),
                    NoJournal::Broken(error) => error,
                    _ => "the connection was closed".into(),
                })
            }
        }
    }

    async fn publish(&self, entries: &[Bytes]) -> Result<(), BoxError> {
        let subject = self.dialer.subjects.journal();
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            answers.push(self.context.publish(subject.clone(), entry.clone()).await?);
        }
        for answer in answers {
            answer.await?;
        }
        Ok(())
    }

    async fn saved(&self) -> Result<Option<Position>, BoxError> {
        let subject = self.dialer.subjects.position();
        match self.positions.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(str::from_utf8(&message.payload)?.parse()?)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl JournalLink for Tape {
    fn entry_limit(&self) -> (usize, &'static str) {
        (self.entry_limit, "max_payload")
    }

    fn append<'a>(&'a mut self, entries: &'a [Bytes]) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(Self::during(&self.dialer, &self.ended, self.publish(entries)))
    }

    fn read<'a>(
        &'a mut self,
        after: Option<&'a Position>,
        count: usize,
    ) -> BoxFuture<'a, Result<Page, BoxError>> {
        Box::pin(Self::during(&self.dialer, &self.ended, self.pages.next(after, count)))
    }

    fn newest(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>> {
        let newest = async {
            let last = self.journal.get_info().await?.state.last_sequence;
            Ok((last > 0).then(|| last.to_string().parse()).transpose()?)
        };
        Box::pin(Self::during(&self.dialer, &self.ended, newest))
    }

    fn load(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>> {
        Box::pin(Self::during(&self.dialer, &self.ended, self.saved()))
    }

    fn save<'a>(&'a mut self, position: &'a Position) -> BoxFuture<'a, Result<(), BoxError>> {
        let save = async {
            let subject = self.dialer.subjects.position();
            self.context.publish(subject, position.to_string().into()).await?.await?;
            Ok(())
        };
        Box::pin(Self::during(&self.dialer, &self.ended, save))
    }

    fn check(&self, position: &Position) -> Result<(), String> {
        let is_number = pages::number(position).is_some();
        is_number.then_some(()).ok_or_else(|| "it is a number in NATS".to_owned())
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").finish_non_exhaustive()
    }
}

/// A refusal that a user can do something about.
fn refused(dialer: &Dialer, reason: String) -> NoJournal {
    let address = format!("nats://{}", crate::server::all(&dialer.servers));
    NoJournal::Refused(Error::Refused { address, reason })
}
