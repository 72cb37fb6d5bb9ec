//! All nodes that a platform starts: where each is, and whom this process's nodes dial.

use tidings::Topology;

use super::{Group, Numbers, given, link};
use crate::{
    arguments::Run,
    fault::{Fault, Result},
    platform::{Ranks, Spec},
    wire::Wire,
};

/// The nodes of every process of the platform, by rank.
pub(super) fn groups(run: &Run, wire: &Wire, ranks: &Ranks, spec: Option<&Spec>) -> Result<Vec<Group>> {
    if let Some(spec) = spec.filter(|spec| spec.tasks.len() != ranks.all.len()) {
        return Err(Fault::usage(format!(
            "--platform-spec has {} tasks, the platform {} processes: one for each",
            spec.tasks.len(),
            ranks.all.len()
        )));
    }
    let of_flag = Numbers::read("--ports", run.ports.as_deref())?;
    let mut groups = Vec::new();
    for (index, rank) in ranks.all.iter().enumerate() {
        let task = spec.and_then(|spec| spec.tasks.get(index)).cloned().unwrap_or_default();
        let is_this = index == ranks.this;
        let ids_said = if is_this { run.node_ids.as_deref() } else { None };
        let ids = match Numbers::read("--node-ids", ids_said)? {
            Some(ids) => ids.counted("--node-ids", rank.workers)?,
            None => {
                let flag = format!("--platform-spec: node_ids of task {index}");
                let ids =
                    Numbers::read(&flag, task.node_ids.as_deref())?.unwrap_or(Numbers::First(rank.first_id));
                ids.counted(&flag, rank.workers)?
            }
        };
        let flag = format!("--platform-spec: ports of task {index}");
        let ports = match (Numbers::read(&flag, task.ports.as_deref())?, &of_flag) {
            (Some(ports), _) => ports.ports(&flag, rank.workers)?,
            (None, Some(Numbers::List(list))) => {
                Numbers::List(list.clone()).ports("--ports", rank.workers)?
            }
            (None, _) => Numbers::First(rank.first_port).ports("--ports", rank.workers)?,
        };
        if ports.contains(&0) && ranks.all.len() > 1 {
            return Err(Fault::usage(
                "--ports 0 cannot be with --platform: the others have to know the port",
            ));
        }
        let ports = if let Wire::Ports(_) = wire { ports } else { Vec::new() };
        groups.push(Group {
            host: given(task.address.as_deref()).unwrap_or_else(|| rank.host.clone()),
            ids,
            ports,
        });
    }
    let mut all: Vec<u32> = groups.iter().flat_map(|group| group.ids.clone()).collect();
    all.sort_unstable();
    match all.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            Err(Fault::usage(format!("two nodes of the platform have the id {}: see `node_ids`", pair[0])))
        }
        None => Ok(groups),
    }
}

/// Whom the nodes of rank `this` dial, where nothing else is said: node 0 in a star, the nodes of all lower ranks
/// in a mesh.
pub(super) fn dials(topology: Topology, groups: &[Group], this: usize, wire: &Wire) -> Result<Vec<String>> {
    match topology {
        Topology::Star if groups[this].ids.contains(&0) => Ok(Vec::new()),
        Topology::Star => link_of(0, groups, wire).map(|hub| vec![hub]),
        Topology::Mesh => Ok(groups[..this].iter().flat_map(|group| links(group, wire)).collect()),
        _ => Ok(Vec::new()),
    }
}

/// The address of one node. Who names a rank by its number is understood as well, as in the reference.
pub(super) fn link_of(id: u32, groups: &[Group], wire: &Wire) -> Result<String> {
    let of_group = |group: &Group| {
        let index = group.ids.iter().position(|known| *known == id)?;
        links(group, wire).nth(index)
    };
    let by_rank = || links(groups.get(usize::try_from(id).ok()?)?, wire).next();
    groups.iter().find_map(of_group).or_else(by_rank).ok_or_else(|| {
        let known: Vec<String> = groups.iter().flat_map(|group| &group.ids).map(u32::to_string).collect();
        Fault::usage(format!("no process of the platform has node {id}: there are {}", known.join(", ")))
    })
}

fn links(group: &Group, wire: &Wire) -> impl Iterator<Item = String> {
    let scheme = if let Wire::Ports(scheme) = wire { scheme } else { "tcp" };
    group.ports.iter().map(move |port| link(scheme, &group.host, *port))
}
