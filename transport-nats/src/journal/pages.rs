//! Reading a stream.

use std::{
    future::poll_fn,
    pin::pin,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull::Config},
    stream::Stream,
};
use futures_core::Stream as _;
use tidings_router_core::{BoxError, Page, Position, Trimmed};

/// How long the server waits for a message before it is asked again.
const WAIT: Duration = Duration::from_secs(10);

/// How long the server keeps a consumer that nobody asks for messages.
const KEPT: Duration = Duration::from_secs(60);

/// The number in a position.
pub(super) fn number(position: &Position) -> Option<u64> {
    position.as_str().parse().ok().filter(|_| position.as_str().bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads a stream, from anywhere on.
pub(super) struct Pages {
    stream: Stream,
    /// What the server has ready for us.
    cursor: Option<Cursor>,
}

/// A consumer of the server, and where it stands.
struct Cursor {
    consumer: PullConsumer,
    after: Option<u64>,
    /// How many messages are known to be behind that.
    pending: u64,
    used: Instant,
}

impl Pages {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, cursor: None }
    }

    /// Up to `count` entries behind a position; waits until there is one.
    pub(super) async fn next(&mut self, after: Option<&Position>, count: usize) -> Result<Page, BoxError> {
        let after = after.map(|after| number(after).ok_or("a position is a number")).transpose()?;
        // Who gives up in the middle leaves none: nobody would know where it stands.
        let known =
            self.cursor.take().filter(|known| known.after == after && known.used.elapsed() < KEPT / 2);
        let mut cursor = match known {
            Some(known) => known,
            None => self.open(after).await?,
        };
        let after = cursor.after;
        let mut messages = Vec::new();
        while messages.is_empty() {
            let count = cursor.pending.clamp(1, count as u64) as usize;
            cursor.read(count, &mut messages).await?;
        }
        let page = page(after, &messages)?;
        self.cursor = Some(cursor);
        Ok(page)
    }

    async fn open(&self, after: Option<u64>) -> Result<Cursor, BoxError> {
        let last = self.stream.get_info().await?.state.last_sequence;
        // A stream that was made anew begins anew.
        let after = after.filter(|after| *after <= last);
        let deliver_policy = match after {
            Some(after) => DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            None => DeliverPolicy::All,
        };
        let config = Config {
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold: KEPT,
            memory_storage: true,
            ..Config::default()
        };
        let consumer = self.stream.create_consumer(config).await?;
        let pending = consumer.cached_info().num_pending;
        Ok(Cursor { consumer, after, pending, used: Instant::now() })
    }
}

impl Cursor {
    /// Reads so many messages, or as many as come in time.
    async fn read(&mut self, count: usize, messages: &mut Vec<(u64, Message)>) -> Result<(), BoxError> {
        let batch = self.consumer.batch().max_messages(count).expires(WAIT).messages().await?;
        let mut batch = pin!(batch);
        while let Some(message) = poll_fn(|cx| batch.as_mut().poll_next(cx)).await {
            let message = message?;
            let info = message.info()?;
            (self.after, self.pending) = (Some(info.stream_sequence), info.pending);
            messages.push((info.stream_sequence, message));
        }
        self.used = Instant::now();
        Ok(())
    }
}

fn page(after: Option<u64>, messages: &[(u64, Message)]) -> Result<Page, BoxError> {
    let mut page = Page::default();
    let mut before = after;
    let mut trimmed = 0;
    for (number, message) in messages {
        trimmed += before.map_or(0, |before| number - before - 1);
        before = Some(*number);
        page.entries.push((number.to_string().parse()?, message.payload.clone()));
    }
    page.trimmed = Some(Trimmed::Count(trimmed));
    Ok(page)
}
