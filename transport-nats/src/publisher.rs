use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use async_nats::{Client, PublishError, Subject};
use bytes::Bytes;
use tidings_router_core::{Channel, Tap};

use crate::subjects::Subjects;

/// How much is taken from the tap at once, in bytes.
const BATCH: usize = 256 << 10;

/// How often a packet asks the server whether anybody listens to it. Its cost is a longer line for that packet, and
/// nothing that anybody waits for.
const PROBE: Duration = Duration::from_millis(100);

/// How many channels are kept in mind; those of nodes that are gone are among them.
const MAX_TARGETS: usize = 4096;

/// Publishes what a node has.
pub(crate) struct Publisher {
    client: Client,
    subjects: Subjects,
    /// Taken from the tap.
    batch: VecDeque<(Channel, Bytes)>,
    targets: HashMap<Channel, Target>,
}

struct Target {
    subject: Subject,
    /// Where the server says that nobody listens, if anybody wants to know.
    unheard: Option<Subject>,
    probed: Option<Instant>,
}

impl Publisher {
    pub(crate) fn new(client: Client, subjects: Subjects) -> Self {
        Self { client, subjects, batch: VecDeque::new(), targets: HashMap::new() }
    }

    /// Publishes until the node is gone and everything is handed to the client.
    ///
    /// # Cancel safety
    ///
    /// What was taken from the tap and not published is published by the next call.
    pub(crate) async fn run(&mut self, tap: &Tap) -> Result<(), PublishError> {
        loop {
            let now = Instant::now();
            while let Some((to, packet)) = self.batch.front() {
                let (to, packet) = (*to, packet.clone());
                self.publish(now, to, packet).await?;
                self.batch.pop_front();
            }
            self.batch = tap.outgoing().next(BATCH).await.into();
            if self.batch.is_empty() {
                return Ok(());
            }
        }
    }

    async fn publish(&mut self, now: Instant, to: Channel, packet: Bytes) -> Result<(), PublishError> {
        if self.targets.len() >= MAX_TARGETS && !self.targets.contains_key(&to) {
            self.targets.clear();
        }
        let subjects = &self.subjects;
        let target = self.targets.entry(to).or_insert_with(|| Target {
            subject: subjects.of(to),
            unheard: match to {
                Channel::Mailbox(mailbox) => Some(subjects.unheard(mailbox)),
                Channel::Broadcasts(_) => None,
            },
            probed: None,
        });
        let subject = target.subject.clone();
        let is_due = target.probed.is_none_or(|probed| now.saturating_duration_since(probed) >= PROBE);
        let Some(unheard) = target.unheard.clone().filter(|_| is_due) else {
            return self.client.publish(subject, packet).await;
        };
        target.probed = Some(now);
        self.client.publish_with_reply(subject, unheard, packet).await
    }
}
