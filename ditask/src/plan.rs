//! What each node of a launch is to be: a pure function of the command line and the platform.

mod numbers;
mod ranks;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use tidings::{Address, Topology, parallel::Seat};

use crate::{
    arguments::Run,
    fault::{Fault, Result},
    platform::{Ranks, Spec},
    wire::Wire,
};
use numbers::Numbers;

/// The first port to listen on, where neither the command line nor the platform says another.
pub(crate) const PORT: u16 = 50515;

/// Ids from here on are those of observers.
const OBSERVERS: u32 = 0xF000_0000;

/// What stands for all addresses of a machine.
const EVERYWHERE: &str = "0.0.0.0";

/// A launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) topology: Topology,
    /// What each node is to be.
    pub(crate) seats: Vec<Seat>,
    /// Whether the nodes join others that were there before: whoever they are, they know the secret.
    pub(crate) joins: bool,
    /// Whether a platform starts others besides these.
    pub(crate) on_platform: bool,
}

/// What a plan depends on besides the command line.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) ranks: Option<Ranks>,
    pub(crate) spec: Option<Spec>,
    /// The address that connections out of this machine come from.
    pub(crate) outward: IpAddr,
}

/// The nodes of one process of a platform, or of this one where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// The host that others dial.
    host: String,
    ids: Vec<u32>,
    /// Empty where nodes have none.
    ports: Vec<u16>,
}

impl Plan {
    /// Decides what each node is to be.
    ///
    /// # Errors
    ///
    /// A fault that names the flag, or the variable of the platform.
    pub(crate) fn new(run: &Run, wire: &Wire, around: &Surroundings) -> Result<Self> {
        let (groups, this) = match &around.ranks {
            Some(ranks) => (ranks::groups(run, wire, ranks, around.spec.as_ref())?, ranks.this),
            None => (vec![alone(run, wire, around)?], 0),
        };
        let group = &groups[this];
        check_ids(&group.ids)?;
        let task = around.spec.as_ref().and_then(|spec| spec.tasks.get(this));
        let labels = labels(run, around, task.and_then(|task| task.labels.as_deref()))?;
        let said: Vec<String> = match parts(&run.attach_to) {
            said if !said.is_empty() => said,
            _ => parts(task.and_then(|task| task.attach_to.as_ref())),
        };
        let attach_to: Vec<String> = match (said.is_empty(), &around.ranks) {
            (false, _) => {
                said.iter().map(|part| address(part, wire, &groups, around)).collect::<Result<_>>()?
            }
            (true, Some(_)) if !wire.is_broker() => ranks::dials(run.topology, &groups, this, wire)?,
            (true, _) => Vec::new(),
        };
        if wire.is_broker() && !attach_to.is_empty() {
            return Err(Fault::usage(
                "--attach-to is of no use with a broker, where all nodes of a cluster meet",
            ));
        }
        check_star(run, group, &attach_to, wire)?;
        let on_platform = groups.len() > 1;
        if on_platform && *wire == Wire::Ipc {
            return Err(Fault::usage("--protocol ipc reaches no other machine: with --platform use tcp"));
        }
        let place = Place::of(run, group, around);
        let is_hub_here = group.ids.contains(&0);
        let seats = group.ids.iter().enumerate().map(|(index, id)| {
            // A leaf has one link: to the hub, which the launcher tells it of when it is one of ours.
            let is_leaf = run.topology == Topology::Star && is_hub_here && *id != 0;
            Seat {
                node_id: *id,
                listen: place.listen(wire, group.ports.get(index).copied()),
                advertise: place.advertise.clone().filter(|_| *wire == Wire::Ports("tcp")),
                attach_to: if is_leaf { Vec::new() } else { attach_to.clone() },
                labels: labels.clone(),
            }
        });
        Ok(Self { topology: run.topology, seats: seats.collect(), joins: !attach_to.is_empty(), on_platform })
    }

    /// The first address that other machines can reach, if there is one.
    pub(crate) fn exposed(&self) -> Option<&str> {
        self.seats.iter().map(|seat| seat.listen.as_str()).find(|listen| is_exposed(listen))
    }
}

/// Whether other machines can reach what listens there. A broker looks after itself.
fn is_exposed(listen: &str) -> bool {
    let target = listen.strip_prefix("tcp://").or_else(|| listen.strip_prefix("zmq+tcp://"));
    let Some((host, _)) = target.and_then(|target| target.rsplit_once(':')) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where the nodes of one machine listen.
struct Place {
    host: String,
    advertise: Option<String>,
}

impl Place {
    fn of(run: &Run, group: &Group, around: &Surroundings) -> Self {
        let advertise = given(run.advertise.as_deref());
        match (given(run.address.as_deref()), &around.ranks) {
            (Some(host), _) => Self { host, advertise },
            // A platform's names may stand for another address here than elsewhere.
            (None, Some(_)) => {
                Self { host: EVERYWHERE.to_owned(), advertise: advertise.or(Some(group.host.clone())) }
            }
            (None, None) => Self { host: group.host.clone(), advertise },
        }
    }

    fn listen(&self, wire: &Wire, port: Option<u16>) -> String {
        match wire {
            Wire::Ipc => "ipc".to_owned(),
            Wire::Broker(broker) => broker.clone(),
            Wire::Ports(scheme) => link(scheme, &self.host, port.unwrap_or_default()),
        }
    }
}

/// An address out of its parts.
fn link(scheme: &str, host: &str, port: u16) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("{scheme}://[{host}]:{port}"),
        false => format!("{scheme}://{host}:{port}"),
    }
}

/// The only group where there is no platform.
fn alone(run: &Run, wire: &Wire, around: &Surroundings) -> Result<Group> {
    let workers = usize::from(run.parallel_workers.max(1));
    let ids = Numbers::read("--node-ids", run.node_ids.as_deref())?.unwrap_or(Numbers::First(0));
    let ports = Numbers::read("--ports", run.ports.as_deref())?.unwrap_or(Numbers::First(PORT));
    Ok(Group {
        host: given(run.address.as_deref()).unwrap_or_else(|| around.outward.to_string()),
        ids: ids.counted("--node-ids", workers)?,
        ports: match wire {
            Wire::Ports(_) => ports.ports("--ports", workers)?,
            _ => Vec::new(),
        },
    })
}

fn labels(run: &Run, around: &Surroundings, of_task: Option<&str>) -> Result<Vec<String>> {
    let of_platform = around.ranks.iter().flat_map(|ranks| ranks.labels.clone());
    let of_task = of_task.map(str::to_owned);
    distinct_labels(of_platform.chain(parts(&run.labels)).chain(parts(of_task.as_ref())))
}

/// The labels of a node, each once.
///
/// # Errors
///
/// More of them than a node can have, or longer ones.
pub(crate) fn distinct_labels(all: impl IntoIterator<Item = String>) -> Result<Vec<String>> {
    let mut labels: Vec<String> = Vec::new();
    for label in all {
        if label.len() > 255 {
            return Err(Fault::usage("--labels: a label has at most 255 bytes"));
        }
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    if labels.len() > 64 {
        return Err(Fault::usage(format!("--labels: {} labels, at most 64 are possible", labels.len())));
    }
    Ok(labels)
}

fn check_ids(ids: &[u32]) -> Result {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Fault::usage(format!("--node-ids: two nodes have the id {}", pair[0])));
    }
    match sorted.last().filter(|id| **id >= OBSERVERS) {
        Some(id) => {
            Err(Fault::usage(format!("--node-ids: {id} is too high: ids from {OBSERVERS} on are observers")))
        }
        None => Ok(()),
    }
}

fn check_star(run: &Run, group: &Group, attach_to: &[String], wire: &Wire) -> Result {
    if run.topology != Topology::Star || wire.is_broker() || group.ids.contains(&0) {
        return Ok(());
    }
    match attach_to.len() {
        1 => Ok(()),
        0 => Err(Fault::usage(
            "--topology star needs node 0: give it to a node here with `--node-ids 0`, or connect to it with \
             `--attach-to`",
        )),
        _ => Err(Fault::usage(
            "--topology star: a leaf connects to node 0 alone, so `--attach-to` has one address",
        )),
    }
}

/// What stands between the commas of several values, but for what is empty.
pub(crate) fn parts<'a>(values: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let parts = values.into_iter().flat_map(|value| value.split(','));
    parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A value that is not empty: an empty one stands for none, as scripts pass it.
fn given(value: Option<&str>) -> Option<String> {
    value.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// An address to attach to, as it was said.
fn address(part: &str, wire: &Wire, groups: &[Group], around: &Surroundings) -> Result<String> {
    if let Some(node) = part.strip_prefix("$node.") {
        let Some(id) = node.parse::<u32>().ok() else {
            return Err(Fault::usage(format!("--attach-to `{part}`: `{node}` is no node id")));
        };
        if around.ranks.is_none() {
            return Err(Fault::usage(format!(
                "--attach-to `{part}` needs --platform, which knows where nodes are"
            )));
        }
        return ranks::link_of(id, groups, wire);
    }
    let scheme = if let Wire::Ports(scheme) = wire { scheme } else { "tcp" };
    let text = if part.contains("://") { part.to_owned() } else { format!("{scheme}://{part}") };
    match text.parse::<Address>() {
        Ok(address) => Ok(address.as_str().to_owned()),
        Err(_) if !part.contains(':') => {
            Err(Fault::usage(format!("--attach-to `{part}` has no port, as in `{part}:{PORT}`")))
        }
        Err(error) => Err(Fault::usage(format!("--attach-to: {error}"))),
    }
}
