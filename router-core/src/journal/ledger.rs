//! The journal of one node that is open.

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{
    Durable, Entries, Journal, JournalContext, JournalLink, Position, Start, connecting, progress::Progress,
    reader::Reader, writer::Writer,
};
use crate::{BoxError, DropReason, Error, Result, exchange::Exchange, protocol::Config, runtime};

/// What a node has of a journal: what waits for the server, how far its listeners have come, and two tasks.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) context: JournalContext,
    pub(crate) entries: Arc<Entries>,
    progress: Arc<Progress>,
    /// When the writer has to have ended, once it is to end.
    closing: watch::Sender<Option<Instant>>,
    /// How many messages were not written, once it is over.
    over: watch::Sender<Option<u64>>,
}

impl Ledger {
    /// Connects, and finds where to begin. Nothing is written or read before it is [started](Self::start).
    pub(crate) async fn open(
        journal: Arc<dyn Journal>,
        config: &Config,
    ) -> Result<(Arc<Self>, Box<dyn JournalLink>)> {
        let (node_id, incarnation) = (config.node_id, config.incarnation);
        let context = JournalContext { node_id, incarnation, cluster: config.cluster.clone() };
        journal.durable().check()?;
        let server = journal.address()?.to_string();
        let mut link = connecting::first(&*journal, &context, config.limits.connect_timeout).await?;
        let start = start(journal.durable(), &mut *link, &server).await?;
        let ledger = Arc::new(Self {
            entries: Entries::new(config, server, link.entry_limit()),
            progress: Progress::new(start, &config.limits),
            journal,
            context,
            closing: watch::Sender::new(None),
            over: watch::Sender::new(None),
        });
        ledger.durable().attach(&ledger)?;
        Ok((ledger, link))
    }

    /// Writes and reads from now on.
    pub(crate) fn start(self: &Arc<Self>, link: Box<dyn JournalLink>, exchange: &Arc<Exchange>) {
        runtime::io().spawn(Reader::new(self.clone(), exchange.clone()).run());
        runtime::io().spawn(self.clone().write(link, exchange.clone()));
    }

    async fn write(self: Arc<Self>, link: Box<dyn JournalLink>, exchange: Arc<Exchange>) {
        tokio::select! {
            () = Writer::new(&self, link).run() => {}
            () = self.overdue() => {}
        }
        let left = self.entries.close();
        exchange.count_drop(DropReason::Shutdown, left);
        self.over.send_replace(Some(left));
    }

    async fn overdue(&self) {
        let mut closing = self.closing.subscribe();
        // The sender is ours.
        let Ok(deadline) = closing.wait_for(Option::is_some).await.map(|deadline| *deadline) else { return };
        tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now).into()).await;
    }

    pub(crate) fn durable(&self) -> &Durable {
        self.journal.durable()
    }

    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(crate) async fn flush(&self) -> Result<()> {
        self.entries.flush().await
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.borrow().is_some()
    }

    /// Ready when it is to end.
    pub(super) async fn closed(&self) {
        // An error cannot be: the sender is ours.
        let _ = self.closing.subscribe().wait_for(Option::is_some).await;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.borrow().is_some()
    }

    /// Reads no more; writes what waits, and then the position, but not beyond the deadline.
    pub(crate) fn close_by(&self, deadline: Instant) {
        self.closing
            .send_modify(|closing| *closing = Some(closing.map_or(deadline, |known| known.min(deadline))));
    }

    /// Waits until that is done. Returns how many messages were not written.
    pub(crate) async fn settled(&self) -> u64 {
        let mut over = self.over.subscribe();
        // An error cannot be: the sender is ours.
        over.wait_for(Option::is_some).await.ok().and_then(|left| *left).unwrap_or_default()
    }
}

/// Behind which position a node begins; with all that is kept behind `None`.
async fn start(durable: &Durable, link: &mut dyn JournalLink, server: &str) -> Result<Option<Position>> {
    let failed = |source: BoxError| Error::Journal { server: server.to_owned(), source };
    match durable.starts() {
        Start::All => Ok(None),
        Start::New => link.newest().await.map_err(failed),
        Start::Resume => link.load().await.map_err(failed),
        Start::After(position) => match link.check(position) {
            Ok(()) => Ok(Some(position.clone())),
            Err(reason) => {
                let reason = format!("`{position}` is no position of the journal at {server}: {reason}");
                Err(Error::Setting { setting: "start".to_owned(), reason })
            }
        },
    }
}
