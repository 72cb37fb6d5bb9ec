//! Kubernetes, and whoever else sets the same variables.

use super::{Rank, Ranks, Variable, counted, number, present, required};
use crate::fault::{Fault, Result};

/// The host names of all pods, separated by commas.
const NODES: &str = "DI_NODES";
/// Which of them this one is, from 0.
const RANK: &str = "DI_RANK";
/// The same within one Indexed Job.
const INDEX: &str = "JOB_COMPLETION_INDEX";
/// Where that Job's pods begin among all.
const BASE: &str = "DI_RANK_BASE";
/// How many nodes each pod starts, separated by commas, where they differ.
const WORKERS: &str = "DI_WORKERS";
/// Labels of this pod's nodes.
const LABELS: &str = "DI_LABELS";

/// The port of the first node of each pod: every pod has an address of its own.
const PORT: u16 = 50515;

pub(super) fn ranks(workers: usize, port: Option<u16>, variable: Variable<'_>) -> Result<Ranks> {
    let nodes = required("k8s", NODES, variable)?;
    let hosts: Vec<&str> = nodes.split(',').map(str::trim).collect();
    if hosts.iter().any(|host| host.is_empty()) {
        return Err(Fault::usage(format!(
            "the variable {NODES} is `{nodes}`: a name between its commas is empty"
        )));
    }
    let this = rank(variable)?;
    if this >= hosts.len() {
        return Err(Fault::usage(format!(
            "this process's rank is {this}, but the variable {NODES} names {} pods: ranks count from 0",
            hosts.len()
        )));
    }
    let workers = workers_of(hosts.len(), this, workers, variable)?;
    let first_port = port.unwrap_or(PORT);
    let mut before = 0;
    let mut all = Vec::new();
    for (host, workers) in hosts.into_iter().zip(workers) {
        let first_id = counted("node id", before, 0)?;
        all.push(Rank { host: host.to_owned(), workers, first_id, first_port });
        before += workers;
    }
    let labels = present(LABELS, variable).unwrap_or_default();
    let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned);
    Ok(Ranks { all, this, labels: labels.collect() })
}

fn rank(variable: Variable<'_>) -> Result<usize> {
    if let Some(rank) = present(RANK, variable) {
        return number(RANK, &rank);
    }
    let Some(index) = present(INDEX, variable) else {
        return Err(Fault::usage(format!(
            "--platform k8s needs the variable {RANK}, or {INDEX} in an Indexed Job, and neither is set"
        )));
    };
    let base: usize = present(BASE, variable).map_or(Ok(0), |base| number(BASE, &base))?;
    counted("rank", base, number(INDEX, &index)?)
}

/// How many nodes each pod starts.
fn workers_of(pods: usize, this: usize, workers: usize, variable: Variable<'_>) -> Result<Vec<usize>> {
    let Some(list) = present(WORKERS, variable) else { return Ok(vec![workers; pods]) };
    let each: Vec<usize> = list.split(',').map(|one| number(WORKERS, one.trim())).collect::<Result<_>>()?;
    if each.len() != pods {
        return Err(Fault::usage(format!(
            "the variable {WORKERS} has {} numbers, the variable {NODES} {pods} names: one for each",
            each.len()
        )));
    }
    if each.contains(&0) {
        return Err(Fault::usage(format!(
            "the variable {WORKERS} is `{list}`: every pod has a node at least"
        )));
    }
    if each[this] != workers && workers != 1 {
        return Err(Fault::usage(format!(
            "--parallel-workers is {workers}, but the variable {WORKERS} says {} of this pod: leave one of them out",
            each[this]
        )));
    }
    Ok(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(workers: usize, variables: &[(&str, &str)]) -> Result<Ranks> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        ranks(workers, None, &variable)
    }

    #[test]
    fn node_ids_are_the_rank_times_the_workers_and_every_pod_has_the_same_ports() {
        let ranks = of(2, &[(NODES, "SH-0,SH-1,SH-2"), (RANK, "1")]).unwrap();
        assert_eq!(ranks.this, 1);
        let seen: Vec<_> =
            ranks.all.iter().map(|rank| (&*rank.host, rank.first_id, rank.first_port)).collect();
        assert_eq!(seen, [("SH-0", 0, 50515), ("SH-1", 2, 50515), ("SH-2", 4, 50515)]);
    }

    #[test]
    fn the_index_of_a_job_counts_from_its_base() {
        let nodes = (NODES, "test-gpu-0.test,test-gpu-1.test,test-cpu-0.test");
        assert_eq!(of(1, &[nodes, (INDEX, "0"), (BASE, "2")]).unwrap().this, 2);
        assert_eq!(of(1, &[nodes, (INDEX, "1")]).unwrap().this, 1);
        assert_eq!(of(1, &[nodes, (INDEX, "0"), (RANK, "2")]).unwrap().this, 2, "DI_RANK comes first");
    }

    #[test]
    fn pods_of_different_sizes_have_ids_behind_each_other() {
        let ranks =
            of(1, &[(NODES, "a,b,c"), (RANK, "2"), (WORKERS, "1,4,4"), (LABELS, "gpu, learner")]).unwrap();
        let seen: Vec<_> = ranks.all.iter().map(|rank| (rank.first_id, rank.workers)).collect();
        assert_eq!(seen, [(0, 1), (1, 4), (5, 4)]);
        assert_eq!(ranks.labels, ["gpu", "learner"]);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let nodes = (NODES, "a,b");
        for (variables, named) in [
            (vec![], NODES),
            (vec![nodes], RANK),
            (vec![nodes, (RANK, "")], RANK),
            (vec![nodes, (RANK, "one")], RANK),
            (vec![nodes, (RANK, "-1")], RANK),
            (vec![nodes, (RANK, "2")], NODES),
            (vec![(NODES, "a,,b"), (RANK, "0")], NODES),
            (vec![nodes, (INDEX, "x")], INDEX),
            (vec![nodes, (INDEX, "0"), (BASE, "x")], BASE),
            (vec![nodes, (RANK, "0"), (WORKERS, "1")], WORKERS),
            (vec![nodes, (RANK, "0"), (WORKERS, "1,x")], WORKERS),
            (vec![nodes, (RANK, "0"), (WORKERS, "0,1")], WORKERS),
        ] {
            let fault = of(1, &variables).unwrap_err();
            assert!(fault.to_string().contains(named), "{variables:?}: {fault}");
            assert_eq!(fault.code(), 64);
        }
    }
}
