use std::{path::Path, sync::Arc, time::Duration};

use tidings_router_core::{
    Address, AddressText, Error, NodeId, Placement, Result, Router, RouterBuilder, Secret, Topology,
    Transport,
};

use crate::{host::Host, series::Series};

/// The most nodes of one run.
const MAX_PROCESSES: usize = 1024;

/// A shorter deadline would kill children that do nothing wrong.
const SHORTEST_DEADLINE: Duration = Duration::from_millis(100);

/// What a run is to be: the settings of a `Runner`.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) processes: usize,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) topology: Topology,
    pub(crate) recoveries: u32,
    pub(crate) attach_to: Vec<AddressText>,
    pub(crate) address: Option<String>,
    pub(crate) ports: Option<Series<u16>>,
    pub(crate) node_ids: Series<u32>,
    pub(crate) labels: Vec<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) secret: Option<Secret>,
    pub(crate) insecure: bool,
    pub(crate) prefix: bool,
    pub(crate) in_process: bool,
    pub(crate) deadline: Duration,
    /// How long connecting with the other nodes may take, if a host says so.
    pub(crate) within: Option<Duration>,
    /// The transport is that of one node already, and needs no place.
    pub(crate) placed: bool,
    /// What is started, if it is not this executable.
    pub(crate) host: Option<Arc<Host>>,
}

/// What the launcher draws for a run that nobody else is to join, and hands to the children.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seal {
    pub(crate) cluster: Option<String>,
    pub(crate) secret: Option<[u8; 32]>,
}

impl Plan {
    /// The plan of so many processes of which nothing else has been said.
    pub(crate) fn new(processes: usize, transport: Option<Arc<dyn Transport>>) -> Self {
        Self {
            processes,
            transport,
            topology: Topology::default(),
            recoveries: 0,
            attach_to: Vec::new(),
            address: None,
            ports: None,
            node_ids: 0.into(),
            labels: Vec::new(),
            cluster: None,
            secret: None,
            insecure: false,
            prefix: false,
            in_process: false,
            deadline: Duration::from_secs(5),
            within: None,
            placed: false,
            host: None,
        }
    }

    /// Checks what can be checked without I/O.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong =
            |setting: &str, reason: String| Err(Error::Setting { setting: setting.to_owned(), reason });
        if self.processes == 0 || self.processes > MAX_PROCESSES {
            return wrong("runner", format!("{} processes: from 1 to {MAX_PROCESSES}", self.processes));
        }
        if self.deadline < SHORTEST_DEADLINE {
            return wrong("deadline", format!("{:?} is shorter than {SHORTEST_DEADLINE:?}", self.deadline));
        }
        let mut ids = Vec::new();
        for index in 0..self.processes {
            let Some(id) = self.node_ids.at(index) else {
                return wrong("node_ids", format!("there is none for process {index} of {}", self.processes));
            };
            ids.push(id);
            if self.ports.is_some() && self.port(index).is_none() {
                return wrong("ports", format!("there is none for process {index} of {}", self.processes));
            }
        }
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong("node_ids", format!("two processes have node id {}", pair[0]));
        }
        if self.topology == Topology::Star
            && self.processes > 1
            && self.hub().is_none()
            && self.attach_to.is_empty()
            && self.host.is_none()
        {
            return wrong(
                "node_ids",
                "a star needs node 0: give it to a process, or `.attach_to(..)` it".into(),
            );
        }
        if self.processes > 1 && !self.in_process && self.transport.is_none() && self.host.is_none() {
            let reason = "processes need one: set it, enable the cargo feature `ipc` of tidings, or run all \
                          nodes here with `.in_process()`";
            return wrong("transport", reason.into());
        }
        self.addresses().map(drop)
    }

    /// The id of the node of this index; checked before.
    pub(crate) fn node_id(&self, index: usize) -> NodeId {
        NodeId(self.node_ids.at(index).unwrap_or_default())
    }

    /// How long a child may take to end in order. The rest of the deadline is for those that do not: SIGTERM
    /// a [step](Self::step) before its end, SIGKILL at its end.
    pub(crate) fn child_deadline(&self) -> Duration {
        self.deadline - 2 * self.step()
    }

    /// How long a node may take to leave the cluster when all end: those that it would deliver to are ending, too.
    pub(crate) fn farewell(&self) -> Duration {
        (self.child_deadline() / 2).min(Duration::from_millis(500))
    }

    /// How long a child may take to heed a signal.
    pub(crate) fn step(&self) -> Duration {
        (self.deadline / 4).min(Duration::from_millis(500))
    }

    /// How a node is called in errors.
    pub(crate) fn name(&self, index: usize) -> String {
        format!("node {}", self.node_id(index))
    }

    fn port(&self, index: usize) -> Option<u16> {
        let ports = self.ports.as_ref()?;
        // Port 0 means any free one, for each of them.
        if ports.starts_at(0) { Some(0) } else { ports.at(index) }
    }

    /// The index of the hub of a star, if it is one of ours.
    fn hub(&self) -> Option<usize> {
        (0..self.processes).find(|index| self.node_id(*index) == NodeId::HUB)
    }

    /// The indices of the nodes that the node of this `index` dials when all start together.
    pub(crate) fn dials(&self, index: usize) -> Vec<usize> {
        match (self.topology, self.hub()) {
            // The hub is told by its id, and ids can be given in any order.
            (Topology::Star, hub) => hub.into_iter().filter(|hub| *hub != index).collect(),
            (topology, _) => topology.dials(index).collect(),
        }
    }

    /// The indices of the nodes that the node of this `index` dials when it is started again while the others
    /// live: those may know only an address that is gone.
    pub(crate) fn dials_again(&self, index: usize) -> Vec<usize> {
        match self.topology {
            Topology::Mesh => (0..self.processes).filter(|other| *other != index).collect(),
            _ => self.dials(index),
        }
    }

    /// The indices of the nodes that the node of this `index` has to see before its main begins.
    pub(crate) fn sees(&self, index: usize) -> Vec<usize> {
        let others = (0..self.processes).filter(|other| *other != index);
        others.take(self.topology.reaches(self.processes)).collect()
    }

    /// The addresses to attach to that the user gave for the node of this `index`.
    pub(crate) fn attach_to(&self, index: usize) -> Result<Vec<Address>> {
        // A leaf has one link: to the hub.
        let is_leaf = self.topology == Topology::Star && self.hub().is_some_and(|hub| hub != index);
        if is_leaf { Ok(Vec::new()) } else { self.addresses() }
    }

    fn addresses(&self) -> Result<Vec<Address>> {
        self.attach_to.iter().map(|text| text.parse()).collect()
    }

    /// Draws the cluster and the secret of this run, if nothing says that nodes of others are to join it.
    pub(crate) fn seal(&self) -> Result<Seal> {
        let open = !self.attach_to.is_empty()
            || self.address.is_some()
            || self.ports.is_some()
            || self.cluster.is_some()
            || self.secret.is_some()
            || self.insecure
            || self.host.is_some();
        if open {
            return Ok(Seal::default());
        }
        let cluster: u128 = u128::from_le_bytes(random()?);
        Ok(Seal { cluster: Some(format!("run-{cluster:032x}")), secret: Some(random()?) })
    }

    /// A router for the node of this `index`, without anything to attach to.
    pub(crate) fn router(&self, index: usize, seal: &Seal) -> RouterBuilder {
        let router = <dyn Router>::builder()
            .node_id(self.node_id(index))
            .labels(self.labels.iter().cloned())
            .topology(self.topology);
        let router = match self.within {
            Some(within) => router.connect_timeout(within),
            None => router,
        };
        let router = match self.cluster.as_ref().or(seal.cluster.as_ref()) {
            Some(cluster) => router.cluster(cluster.clone()),
            None => router,
        };
        let router = match self.secret.clone().or(seal.secret.map(Secret::from_bytes)) {
            Some(secret) => router.secret(secret),
            None => router,
        };
        if self.insecure { router.insecure_no_auth() } else { router }
    }

    /// The same, on the plan's transport, with files in `directory`.
    pub(crate) fn placed_router(&self, index: usize, seal: &Seal, directory: &Path) -> Result<RouterBuilder> {
        let router = self.router(index, seal);
        let Some(transport) = &self.transport else { return Ok(router) };
        let mut placement = Placement::new(index, directory);
        placement.address = self.address.clone();
        placement.port = self.port(index);
        if self.placed {
            return Ok(router.shared_transport(Arc::clone(transport)));
        }
        Ok(router.shared_transport(transport.place(&placement)?))
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::io("cannot draw random bytes", std::io::Error::other(error)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use crate::Runner;
    use tidings_router_core::{Error, Topology};

    fn setting(runner: Runner) -> String {
        match runner.in_process().plan().check() {
            Err(Error::Setting { setting, .. }) => setting,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(setting(Runner::new(0, None)), "runner");
        assert_eq!(setting(Runner::new(2, None).node_ids([1])), "node_ids");
        assert_eq!(setting(Runner::new(2, None).node_ids([1, 1])), "node_ids");
        assert_eq!(setting(Runner::new(2, None).ports(65_535)), "ports");
        assert_eq!(setting(Runner::new(2, None).topology(Topology::Star).node_ids(4)), "node_ids");
        assert_eq!(setting(Runner::new(2, None).deadline(std::time::Duration::ZERO)), "deadline");
    }

    #[test]
    fn everyone_in_a_star_dials_the_node_with_id_0() {
        let runner = Runner::new(3, None).topology(Topology::Star).node_ids([5, 0, 7]);
        let plan = runner.plan();
        assert_eq!((plan.dials(0), plan.dials(1), plan.dials(2)), (vec![1], vec![], vec![1]));
    }

    #[test]
    fn a_run_is_sealed_unless_others_are_to_join_it() {
        let seal = |runner: Runner| runner.plan().seal().unwrap();
        let (one, other) = (seal(Runner::new(2, None)), seal(Runner::new(2, None)));
        assert!(one.secret.is_some() && one.cluster != other.cluster && one.secret != other.secret);
        assert!(seal(Runner::new(2, None).cluster("demo")).secret.is_none());
        assert!(seal(Runner::new(2, None).attach_to(["127.0.0.1:1"])).cluster.is_none());
    }
}
