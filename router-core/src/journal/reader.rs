//! The task that reads from a journal.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use bytes::Bytes;
use tokio::time::timeout_at;

use super::{
    JournalLink, Ledger, Page, Position, Trimmed,
    connecting::{Patience, again},
    entry::Entry,
    progress::{Mark, Number, Progress, Turn},
    seen::Seen,
};
use crate::{BoxError, DropReason, exchange::Exchange, run::Run};

/// About how many bytes are read at once, as far as the sizes of those before tell.
const PAGE_BYTES: usize = 256 * 1024;

/// How many entries are read at once: at first, and at most.
const PAGE: (usize, usize) = (16, 512);

/// Reads a journal for the listeners of a node, as long as there are any.
pub(super) struct Reader {
    ledger: Arc<Ledger>,
    exchange: Arc<Exchange>,
    link: Option<Box<dyn JournalLink>>,
    patience: Patience,
    count: usize,
    /// How many messages were counted as missing, and behind which position.
    told: Option<(Option<Position>, u64)>,
}

/// How far reading has come in a turn.
struct Reading {
    turn: Turn,
    after: Option<Position>,
    seen: Seen,
    /// Until then what nobody wants is waited with: listeners come one after the other.
    waits_until: Instant,
}

/// Who took a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    /// Nobody wants it.
    Unwanted,
    /// Those who want it have had the one message that they take.
    Later,
    Taken,
}

impl Reader {
    pub(super) fn new(ledger: Arc<Ledger>, exchange: Arc<Exchange>) -> Self {
        Self { ledger, exchange, link: None, patience: Patience::default(), count: PAGE.0, told: None }
    }

    /// Reads until the ledger is closed.
    pub(super) async fn run(mut self) {
        let ledger = self.ledger.clone();
        tokio::select! {
            () = async { loop { self.take_turn().await } } => {}
            () = ledger.closed() => {}
        }
    }

    /// Reads as long as there is a listener.
    async fn take_turn(&mut self) {
        let progress = self.ledger.progress().clone();
        let (turn, after) = progress.turn().await;
        let waits_until = Instant::now() + self.exchange.config.limits.hold;
        let mut reading = Reading { turn, after, seen: Seen::default(), waits_until };
        while progress.is(turn) {
            let server = &self.ledger.entries.server.clone();
            match self.read(&mut reading).await {
                Ok(()) if self.patience.end() => tracing::info!(server, "the journal is read again"),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(server, %error, "the journal cannot be read; tried again");
                    self.link = None;
                    self.patience.pause().await;
                }
            }
        }
    }

    /// Reads once, and hands on what has come.
    async fn read(&mut self, reading: &mut Reading) -> Result<(), BoxError> {
        let progress = self.ledger.progress().clone();
        progress.room(reading.turn).await;
        if self.link.is_none() {
            self.link = Some(again(&*self.ledger.journal, &self.ledger.context).await?);
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        let page = tokio::select! {
            page = link.read(reading.after.as_ref(), self.count) => page?,
            () = progress.end(reading.turn) => return Ok(()),
        };
        self.adapt(&page);
        self.tell_trimmed(reading.after.as_ref(), page.trimmed);
        for (position, bytes) in page.entries {
            if !self.hand_on(reading, position.clone(), bytes).await {
                break;
            }
            reading.after = Some(position);
        }
        Ok(())
    }

    /// Chooses how many entries to read next, by the size of these.
    fn adapt(&mut self, page: &Page) {
        let bytes: usize = page.entries.iter().map(|(_, bytes)| bytes.len()).sum();
        if let Some(mean) = bytes.checked_div(page.entries.len()) {
            self.count = (PAGE_BYTES / mean.max(1)).clamp(1, PAGE.1);
        }
    }

    /// Counts what is missing behind a position, but for what was counted when it was read before.
    fn tell_trimmed(&mut self, after: Option<&Position>, trimmed: Option<Trimmed>) {
        let server = &self.ledger.entries.server;
        match trimmed {
            None | Some(Trimmed::Count(0)) => {}
            Some(Trimmed::Count(count)) => {
                let told = self.told.take().filter(|(known, _)| known.as_ref() == after);
                let told = told.map_or(0, |(_, told)| told);
                let new = count.saturating_sub(told);
                self.told = Some((after.cloned(), count.max(told)));
                if new > 0 {
                    let hint = "raise `max_messages`";
                    tracing::warn!(
                        count = new,
                        server,
                        hint,
                        "messages were dropped before they were read here"
                    );
                    self.exchange.count_drop(DropReason::Trimmed, new);
                }
            }
            Some(Trimmed::Perhaps) => {
                let hint = "raise `max_messages`";
                tracing::warn!(server, hint, "messages may have been dropped before they were read here");
            }
        }
    }

    /// Hands an entry to those who want it. Returns whether the turn goes on.
    async fn hand_on(&self, reading: &mut Reading, position: Position, bytes: Bytes) -> bool {
        let (progress, size) = (self.ledger.progress(), bytes.len());
        let Some(entry) = Entry::decode(bytes) else {
            self.exchange.count_drop(DropReason::Foreign, 1);
            return progress.pass(reading.turn, position);
        };
        if !reading.seen.is_new(entry.emitter(), entry.number) || !self.is_for_us(&entry) {
            return progress.pass(reading.turn, position);
        }
        progress.room(reading.turn).await;
        let Some(number) = progress.hand(reading.turn, position, size) else { return false };
        self.exchange.journaled.fetch_add(1, Relaxed);
        let run = Run::single(entry.event.as_str().into(), entry.header, entry.payload);
        self.hand_when_wanted(reading, &run, number).await
    }

    fn is_for_us(&self, entry: &Entry) -> bool {
        let own = self.exchange.node_id;
        let is_own = entry.header.source == own;
        let was_heard =
            is_own && (entry.only_remote || entry.incarnation == self.exchange.config.incarnation);
        !was_heard && entry.header.destination.is_none_or(|node| node == own)
    }

    /// Hands on a message once somebody takes it, or nobody will.
    async fn hand_when_wanted(&self, reading: &Reading, run: &Run, number: Number) -> bool {
        let progress = self.ledger.progress();
        loop {
            match self.exchange.hand_journaled(run, progress, number) {
                Heard::Taken => return true,
                Heard::Later => progress.change().await,
                Heard::Unwanted => {
                    let is_ours = self.ledger.durable().covers(run.event());
                    let change = timeout_at(reading.waits_until.into(), progress.change());
                    if !is_ours || change.await.is_err() {
                        progress.give_up(number);
                        return progress.is(reading.turn);
                    }
                }
            }
            if !progress.is(reading.turn) {
                return false;
            }
        }
    }
}

impl Exchange {
    /// Hands a message of a journal to the listeners that want it.
    fn hand_journaled(&self, run: &Run, progress: &Arc<Progress>, number: Number) -> Heard {
        let Ok(route) = self.routes.of(run.event()) else { return Heard::Unwanted };
        let mut heard = Heard::Unwanted;
        for (listener, mark) in route.listeners.iter().zip(progress.marks(number, route.listeners.len())) {
            let mut mark = Some(mark);
            let pushed = listener.push_marked(run.clone(), &mut mark);
            if pushed.taken + pushed.dropped > 0 {
                heard = Heard::Taken;
            } else {
                mark.into_iter().for_each(Mark::revoke);
                heard = heard.max(if listener.once { Heard::Later } else { Heard::Unwanted });
            }
            self.handed(listener, run.source(), pushed);
        }
        heard
    }
}
