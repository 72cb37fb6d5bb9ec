//! The task that writes to a journal.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    JournalLink, Ledger, Position,
    connecting::{Patience, again},
};
use crate::BoxError;

/// How many entries are sent before the first is confirmed.
pub(super) const BATCH: usize = 1024;

/// About how many bytes that are at most.
const BATCH_BYTES: usize = 256 * 1024;

/// How far apart two positions are that are saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Writes what waits to a journal, in order, and positions beside it.
pub(super) struct Writer<'a> {
    ledger: &'a Ledger,
    link: Option<Box<dyn JournalLink>>,
    patience: Patience,
    saved: Instant,
}

enum Work {
    Append(Vec<Bytes>),
    Save(Position),
}

impl<'a> Writer<'a> {
    pub(super) fn new(ledger: &'a Ledger, link: Box<dyn JournalLink>) -> Self {
        Self { ledger, link: Some(link), patience: Patience::default(), saved: Instant::now() }
    }

    /// Writes until the ledger is closed and there is nothing left to write.
    pub(super) async fn run(mut self) {
        while let Some(work) = self.next().await {
            let server = &self.ledger.entries.server;
            match self.work(work).await {
                Ok(()) if self.patience.end() => tracing::info!(server, "the journal is written again"),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(server, %error, "the journal cannot be written; tried again");
                    self.ledger.entries.trouble(&error);
                    self.link = None;
                    self.patience.pause().await;
                }
            }
        }
    }

    async fn work(&mut self, work: Work) -> Result<(), BoxError> {
        if self.link.is_none() {
            self.link = Some(again(&*self.ledger.journal, &self.ledger.context).await?);
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        match work {
            Work::Append(batch) => {
                link.append(&batch).await?;
                self.ledger.entries.confirm(batch.len());
            }
            Work::Save(position) => {
                link.save(&position).await?;
                self.ledger.progress().saved(position);
                self.saved = Instant::now();
            }
        }
        Ok(())
    }

    /// What is to be done next; `None` at the end.
    async fn next(&self) -> Option<Work> {
        let (entries, progress) = (&self.ledger.entries, self.ledger.progress());
        loop {
            let unsaved = progress.unsaved();
            let due = self.saved + SAVE_EVERY;
            if let Some(position) = unsaved.clone().filter(|_| due <= Instant::now()) {
                return Some(Work::Save(position));
            }
            let batch = entries.batch(BATCH, BATCH_BYTES);
            if !batch.is_empty() {
                return Some(Work::Append(batch));
            }
            if self.ledger.is_closing() {
                return unsaved.map(Work::Save);
            }
            tokio::select! {
                () = entries.arrived.notified() => {}
                () = progress.unsaved.notified() => {}
                () = self.ledger.closed() => {}
                () = tokio::time::sleep_until(due.into()), if unsaved.is_some() => {}
            }
        }
    }
}
