use std::{future::Future, sync::Arc, time::Duration};

use tidings_router_core::{BoxError, Router, Secret, Topology, Transport};

use crate::{
    child::Child,
    host::{HOSTED, Host},
    plan::Plan,
    program::main_of,
    run::Run,
    series::Series,
};

/// Describes the same `main` in N processes; ended by [`run`](Self::run), which checks everything.
///
/// A run that nothing says others are to join (no `attach_to`, `address`, `ports`, `cluster` or `secret`)
/// draws a cluster name and a secret of its own: two runs never hear each other.
#[derive(Debug, Clone)]
#[must_use = "a `Runner` does nothing until `.run(main)` is awaited or `.wait()`ed for"]
pub struct Runner {
    plan: Plan,
}

impl Runner {
    /// So many nodes, from 1 to 1,024, each in a process of its own; a single one runs in this process.
    /// `default` is the transport of a run that is not given another one.
    ///
    /// In a process that a launcher has started, this is also where it begins to watch for its launcher's
    /// end: call it early.
    pub fn new(processes: usize, default: Option<Arc<dyn Transport>>) -> Self {
        Child::awake();
        Self { plan: Plan::new(processes, default) }
    }

    /// How the nodes reach each other. Each gets an address of its own from it.
    pub fn transport(self, transport: impl Transport) -> Self {
        self.shared_transport(Arc::new(transport))
    }

    /// The same, of a transport whose type the caller does not know.
    pub fn shared_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.plan.transport = Some(transport);
        self
    }

    /// The shape of the cluster. Default [`Topology::Mesh`].
    pub fn topology(mut self, topology: Topology) -> Self {
        self.plan.topology = topology;
        self
    }

    /// Runs a failed main again up to so many times for each node, after a pause of 100 ms that doubles up to
    /// 10 s, with jitter. Default 0.
    ///
    /// A main that returned an error or panicked is run again in the same process, with the same router. A
    /// process that died while its main ran is started again, with the same node id. A main of a process that
    /// was started again begins when it has reached the others that live, or after 5 s.
    pub fn auto_recover(mut self, times: u32) -> Self {
        self.plan.recoveries = times;
        self
    }

    /// Addresses outside of this run to connect to as well, added to those given before. In a star whose node
    /// 0 is in this run, only that one does.
    pub fn attach_to(mut self, addresses: impl IntoIterator<Item = impl ToString>) -> Self {
        self.plan.attach_to.extend(addresses.into_iter().map(|address| address.to_string().into()));
        self
    }

    /// The address to listen on, without a port. Default: the transport's.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.plan.address = Some(address.into());
        self
    }

    /// The ports to listen on: the first one, counted up, or a list; 0 stands for any free one. Default: the
    /// transport's.
    pub fn ports(mut self, ports: impl Into<Series<u16>>) -> Self {
        self.plan.ports = Some(ports.into());
        self
    }

    /// The nodes' ids: the first one, counted up, or a list. Default 0.
    pub fn node_ids(mut self, node_ids: impl Into<Series<u32>>) -> Self {
        self.plan.node_ids = node_ids.into();
        self
    }

    /// Labels of all nodes, added to those given before. At most 64 of 255 bytes each.
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.plan.labels.extend(labels.into_iter().map(Into::into));
        self
    }

    /// The name of the cluster. Default: one of this run alone, or `tidings` when others are to join.
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.plan.cluster = Some(cluster.into());
        self
    }

    /// What every node of the cluster must hold. Default: one of this run alone, or none when others are to
    /// join.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.plan.secret = Some(secret);
        self
    }

    /// Listens beyond this machine without a secret: whoever reaches the address is let in.
    pub fn insecure_no_auth(mut self) -> Self {
        self.plan.insecure = true;
        self
    }

    /// Begins each line that a child writes with `[node N] `.
    pub fn prefix_output(mut self) -> Self {
        self.plan.prefix = true;
        self
    }

    /// Runs all nodes in this process on the memory transport: for tests and small programs.
    pub fn in_process(mut self) -> Self {
        self.plan.in_process = true;
        self
    }

    /// How long an end in order may take, from the signal or the first failure on; at least 100 ms, default 5
    /// s. Mains are cancelled at its beginning, at their next await; who still lives at its end is killed.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.plan.deadline = deadline;
        self
    }

    /// The run of this `main` in every node.
    ///
    /// What stands before it runs in every process. What follows it runs only in the launcher: in a child,
    /// the run does not return. All nodes are connected before any main begins. A program may run several,
    /// one after another, or at once if all processes make these calls in the same order.
    pub fn run<M, F, E>(self, main: M) -> Run
    where
        M: Fn(Arc<dyn Router>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Run::new(self.plan, main_of(main))
    }

    /// The run of another executable in every node, as its seats say. What is said here of transports, ports,
    /// labels, ids and addresses does not count.
    pub fn host(mut self, host: Host) -> Run {
        self.plan.processes = host.seats.len();
        self.plan.node_ids = host.seats.iter().map(|seat| seat.node_id).collect::<Vec<_>>().into();
        self.plan.host = Some(Arc::new(host));
        let never = |_router| async { Err(tidings_router_core::Error::Closed) };
        Run::of_call(self.plan, main_of(never), HOSTED)
    }

    #[cfg(test)]
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
}
