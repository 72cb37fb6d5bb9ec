use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tidings_router_core::{Topology, Transport};

use crate::PrivateDir;

/// What a case is given: a network that nobody else is on, and the topology to use on it.
///
/// It is no type parameter of the cases, so that they are compiled once and not once for each transport.
pub trait Fixture: fmt::Debug + Send + Sync {
    /// A transport for one more node, which listens on an address of its own.
    fn transport(&self) -> Arc<dyn Transport>;

    /// The topology that every node of the case has.
    fn topology(&self) -> Topology;

    /// The name of the case's cluster, which no other case has: an address may be given to another test's
    /// node as soon as its node is gone.
    fn cluster(&self) -> &str;

    /// A private directory, which is gone after the case.
    fn directory(&self) -> &Path;
}

/// Makes the transport of the node of this index, with files in this directory.
type Make = Box<dyn Fn(&Path, usize) -> Arc<dyn Transport> + Send + Sync>;

/// A [`Fixture`] made of a function that makes transports.
pub struct Setup {
    topology: Topology,
    cluster: String,
    made: AtomicUsize,
    make: Make,
    directory: PrivateDir,
}

impl Setup {
    /// A fixture whose transports are what `make` returns: given a private directory and a number that is new
    /// each time, it listens where nobody else does.
    pub fn new<T: Transport>(
        topology: Topology,
        make: impl Fn(&Path, usize) -> T + Send + Sync + 'static,
    ) -> Self {
        let make = move |directory: &Path, number| Arc::new(make(directory, number)) as Arc<dyn Transport>;
        let cluster = format!("test-{:016x}", fastrand::u64(..));
        let (made, directory) = (AtomicUsize::new(0), PrivateDir::new());
        Self { topology, cluster, made, make: Box::new(make), directory }
    }
}

impl Fixture for Setup {
    fn transport(&self) -> Arc<dyn Transport> {
        (self.make)(self.directory.path(), self.made.fetch_add(1, Relaxed))
    }

    fn topology(&self) -> Topology {
        self.topology
    }

    fn cluster(&self) -> &str {
        &self.cluster
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("topology", &self.topology).finish_non_exhaustive()
    }
}
