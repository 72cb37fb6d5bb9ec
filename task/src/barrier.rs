use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::{Deserialize, Serialize};
use tidings_router_core::{Change, Error, ListenOptions, NodeId, Result, Subscription, runtime};
use tokio::sync::watch;

use crate::{Context, Middleware, Next, State, TaskHandle};

/// Has all nodes of the cluster wait for each other at this place of the step, on the way forward and on the way back.
///
/// Nobody is told how many nodes there are: a node waits for those that are members while it waits. One that joins later
/// starts at its own first step, and the others wait until it has come as far. One that leaves, or whose task has
/// finished, is not waited for.
///
/// Every member of the cluster must have the same barriers in its task, told apart by their [names](Self::named).
#[derive(Debug)]
pub struct Barrier {
    name: String,
    meeting: OnceLock<Arc<Meeting>>,
}

impl Default for Barrier {
    fn default() -> Self {
        Self::named("step")
    }
}

/// What a node tells the others.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Word {
    /// It has come to this meeting: two a step, forward and backward.
    Arrived(u64),
    /// It is new here: how far are you?
    Where,
}

/// How far everyone has come.
#[derive(Debug)]
struct Meeting {
    task: TaskHandle,
    event: String,
    /// How many meetings this node has come to.
    here: AtomicU64,
    /// The same of the others.
    others: Mutex<HashMap<NodeId, u64>>,
    changed: watch::Sender<u64>,
}

impl Barrier {
    /// A barrier that is told from others by its name. Default: `step`.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), meeting: OnceLock::new() }
    }
}

impl<S: State> Middleware<S> for Barrier {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        let meeting = self.meeting.get().cloned().ok_or(Error::Closed)?;
        meeting.arrive(2 * ctx.total_step + 1).await?;
        next.run(ctx).await?;
        match meeting.arrive(2 * ctx.total_step + 2).await {
            // Whoever has finished is not waited for, and the step is over.
            Err(Error::Finished) if ctx.task().is_finished() => Ok(()),
            result => result,
        }
    }

    fn attach(&self, task: &TaskHandle) {
        let meeting = Arc::new(Meeting {
            task: task.clone(),
            // Tasks that follow each other on the same nodes do not meet each other.
            event: format!("tidings.task.barrier.{}.{}", task.core.id, self.name),
            here: AtomicU64::new(0),
            others: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        match task.router().listen(&meeting.event, ListenOptions::default()) {
            Ok(listener) => {
                runtime::work().spawn(meeting.clone().listen(Subscription::new(listener)));
            }
            Err(error) => task.core.fail(error),
        }
        // A barrier stands in one task.
        let _ = self.meeting.set(meeting);
    }

    fn name(&self) -> String {
        "Barrier".into()
    }
}

impl Meeting {
    fn others(&self) -> MutexGuard<'_, HashMap<NodeId, u64>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes to a meeting, and waits until all members have.
    async fn arrive(&self, meeting: u64) -> Result<()> {
        self.here.store(meeting, Relaxed);
        let mut changed = self.changed.subscribe();
        let router = self.task.router();
        router.emit(&self.event, &Word::Arrived(meeting)).only_remote().await?;
        loop {
            let missing = {
                let others = self.others();
                router.peers().iter().any(|peer| others.get(&peer.node_id).is_none_or(|come| *come < meeting))
            };
            if !missing {
                return Ok(());
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = self.task.core.until_over() => return Err(Error::Finished),
            }
        }
    }

    /// Hears what the others say, and sees who comes and goes, until the task is over.
    async fn listen(self: Arc<Self>, mut words: Subscription<Word>) {
        let router = self.task.router();
        let mut changes = router.changes();
        self.say(Word::Where, None).await;
        loop {
            tokio::select! {
                word = words.next() => match word {
                    None => return,
                    Some(event) => match event.payload {
                        Word::Arrived(meeting) => {
                            let mut others = self.others();
                            let come = others.entry(event.source).or_default();
                            *come = meeting.max(*come);
                        }
                        Word::Where => self.say(Word::Arrived(self.here.load(Relaxed)), Some(event.source)).await,
                    },
                },
                change = changes.next() => match change {
                    None => return,
                    // It may come back as another incarnation, which starts from the beginning.
                    Some(Change::Left { peer, .. }) => drop(self.others().remove(&peer.node_id)),
                    // Members that a star's hub or a mesh tells of may have missed what was said before.
                    Some(Change::Joined(peer)) => self.say(Word::Arrived(self.here.load(Relaxed)), Some(peer.node_id)).await,
                    Some(_) => {}
                },
                () = self.task.core.until(|phase| phase.closed) => return,
            }
            self.changed.send_modify(|changes| *changes += 1);
        }
    }

    async fn say(&self, word: Word, to: Option<NodeId>) {
        let router = self.task.router();
        let emit = router.emit(&self.event, &word);
        let said = match to {
            Some(node) => emit.to(node).await,
            None => emit.only_remote().await,
        };
        if let Err(error) = said {
            // Who has left meanwhile need not know.
            tracing::debug!(%error, "not said at a barrier");
        }
    }
}
