use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use async_nats::{Client, PublishError, Subject};
use bytes::Bytes;
use tidings_router_core::{Mailbox, Tap};

use crate::subjects::Subjects;

/// How much is taken from the tap at once, in bytes.
const BATCH: usize = 256 << 10;

/// How often a packet asks the server whether anybody listens to it. Its cost is a longer line for that packet, and
/// nothing that anybody waits for.
const PROBE: Duration = Duration::from_millis(100);

/// How many mailboxes are kept in mind; those of nodes that are gone are among them.
const MAX_TARGETS: usize = 4096;

/// Publishes what a node has.
pub(crate) struct Publisher {
    client: Client,
    subjects: Subjects,
    /// Taken from the tap.
    batch: VecDeque<(Mailbox, Bytes)>,
    targets: HashMap<Mailbox, Target>,
}

struct Target {
    subject: Subject,
    /// Where the server says that nobody listens.
    unheard: Subject,
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

    async fn publish(&mut self, now: Instant, to: Mailbox, packet: Bytes) -> Result<(), PublishError> {
        if self.targets.len() >= MAX_TARGETS && !self.targets.contains_key(&to) {
            self.targets.clear();
        }
        let subjects = &self.subjects;
        let target = self.targets.entry(to).or_insert_with(|| Target {
            subject: subjects.mailbox(to),
            unheard: subjects.unheard(to),
            probed: None,
        });
        let subject = target.subject.clone();
        if target.probed.is_some_and(|probed| now.saturating_duration_since(probed) < PROBE) {
            return self.client.publish(subject, packet).await;
        }
        target.probed = Some(now);
        self.client.publish_with_reply(subject, target.unheard.clone(), packet).await
    }
}
