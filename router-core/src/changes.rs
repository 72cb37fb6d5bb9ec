use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_core::Stream;
use tokio::sync::watch;

use crate::{Change, NodeId};

/// How many changes wait for a reader that does not read; older ones go.
const KEPT: usize = 4096;

/// The members, then every change; made by [`Router::changes`](crate::Router::changes). Ends when the router shuts
/// down. Who does not read keeps the last 4,096.
///
/// # Cancel safety
///
/// A future of [`next`](Self::next) that is dropped has taken nothing.
#[must_use = "streams do nothing unless polled"]
pub struct Changes {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    changes: VecDeque<Change>,
    ended: bool,
    waker: Option<Waker>,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    /// The next change, or `None` at the end.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next change if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        lock(&self.queue).changes.pop_front()
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        let mut queue = lock(&self.queue);
        match queue.changes.pop_front() {
            Some(change) => Poll::Ready(Some(change)),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("waiting", &lock(&self.queue).changes.len()).finish()
    }
}

/// The readers of the changes, and who waits for a revision.
#[derive(Debug)]
pub(crate) struct Watchers {
    readers: Mutex<Vec<Weak<Mutex<Queue>>>>,
    revision: watch::Sender<u64>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({})", self.changes.len())
    }
}

impl Watchers {
    pub(crate) fn new() -> Self {
        Self { readers: Mutex::default(), revision: watch::channel(0).0 }
    }

    /// A reader that starts with `members`. The caller keeps others from [telling](Self::tell) meanwhile.
    pub(crate) fn reader(&self, members: impl Iterator<Item = Change>, ended: bool) -> Changes {
        let queue = Arc::new(Mutex::new(Queue { changes: members.collect(), ended, waker: None }));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&queue));
        Changes { queue }
    }

    /// Tells every reader.
    pub(crate) fn tell(&self, change: &Change) {
        self.each(|queue| {
            if queue.changes.len() == KEPT {
                queue.changes.pop_front();
            }
            queue.changes.push_back(change.clone());
        });
    }

    /// Wakes who waits for a revision.
    pub(crate) fn touch(&self) {
        // The end is the highest revision, and stays it: a subscription may be dropped after its router.
        self.revision.send_modify(|revision| *revision = revision.saturating_add(1));
    }

    /// Ends every reader and revision.
    pub(crate) fn end(&self) {
        self.each(|queue| queue.ended = true);
        self.revision.send_modify(|revision| *revision = u64::MAX);
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision(self.revision.subscribe())
    }

    fn each(&self, update: impl Fn(&mut Queue)) {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in readers.iter().filter_map(Weak::upgrade) {
            let waker = {
                let mut queue = lock(&reader);
                update(&mut queue);
                queue.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Tells when peers or their listeners have changed; made by [`Router::revision`](crate::Router::revision).
#[derive(Debug, Clone)]
pub struct Revision(watch::Receiver<u64>);

impl Revision {
    /// Waits for a change since the last call, or since the revision was made. Returns false when the router shuts
    /// down.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped has missed nothing.
    pub async fn changed(&mut self) -> bool {
        *self.0.borrow() != u64::MAX && self.0.changed().await.is_ok() && *self.0.borrow() != u64::MAX
    }
}

/// What a shutdown came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Messages that were still on their way when it began and that their peers have received.
    pub flushed: u64,
    /// Messages that were still on their way and that nobody will receive.
    pub discarded: u64,
    /// The peers that did not confirm what was sent to them.
    pub unreachable: Vec<NodeId>,
    /// How long it took.
    pub took: Duration,
}
