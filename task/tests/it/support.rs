//! What the tests share: nodes on a memory network, and a record of what happened.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use tidings_router_core::{Memory, Router, Topology};
use tidings_task::Task;
use tidings_testkit::{Cluster, Setup, eventually};

/// Runs a test under a watchdog.
pub(crate) fn within_deadline<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    tidings_testkit::run("task test", test);
}

/// A network of its own.
pub(crate) fn network(topology: Topology) -> Setup {
    let network = Memory::network();
    Setup::new(topology, move |_directory, _number| network.clone())
}

/// So many nodes in a mesh that know each other.
pub(crate) async fn mesh(count: u32) -> Cluster {
    Cluster::of(&network(Topology::Mesh), count).await
}

/// A task without a state.
pub(crate) fn task(router: &Arc<dyn Router>) -> Task {
    Task::builder().router(router.clone()).build()
}

/// What happened, in order.
#[derive(Debug)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits until there are so many entries, and returns them.
    pub(crate) async fn filled(&self, count: usize) -> Vec<T> {
        eventually("entry of the log", || self.len() >= count).await;
        self.all()
    }
}
