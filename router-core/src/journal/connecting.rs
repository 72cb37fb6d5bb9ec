//! Connections to a journal that are tried until there is one.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Journal, JournalContext, JournalLink, NoJournal};
use crate::{BoxError, Error, Result, protocol::backoff};

/// Pauses that grow as long as nothing works.
#[derive(Debug, Default)]
pub(super) struct Patience {
    attempt: u32,
    random: fastrand::Rng,
}

impl Patience {
    pub(super) async fn pause(&mut self) {
        let delay = backoff::delay(self.attempt, &mut self.random);
        self.attempt += 1;
        sleep(delay).await;
    }

    /// Something has worked. Returns whether something had not before.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(&mut self.attempt) > 0
    }
}

/// The first connection: tried until the server is there, but not when it refuses.
pub(super) async fn first(
    journal: &dyn Journal,
    context: &JournalContext,
    after: Duration,
) -> Result<Box<dyn JournalLink>> {
    let deadline = Instant::now() + after;
    let (mut patience, mut last) = (Patience::default(), None);
    loop {
        match timeout_at(deadline, journal.connect(context)).await {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(NoJournal::Refused(error))) => return Err(error),
            Ok(Err(NoJournal::Broken(error))) => last = Some(error),
            Err(_) => {}
        }
        if timeout_at(deadline, patience.pause()).await.is_err() {
            return Err(Error::Unreachable { address: journal.address()?, after, source: last });
        }
    }
}

/// One more connection, one try.
pub(super) async fn again(
    journal: &dyn Journal,
    context: &JournalContext,
) -> Result<Box<dyn JournalLink>, BoxError> {
    journal.connect(context).await.map_err(|error| match error {
        NoJournal::Broken(error) => error,
        NoJournal::Refused(error) => error.into(),
    })
}
