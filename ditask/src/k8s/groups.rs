//! The Jobs of a job: one for all pods, or one for those with a GPU and one for the others, as a Job has one template.

use super::{arguments::Render, names};
use crate::fault::{Fault, Result};

/// Pods that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// The name of their Job.
    pub(super) job: String,
    /// What they are, where there are others.
    pub(super) component: Option<&'static str>,
    /// The rank of the first one.
    pub(super) base: u16,
    pub(super) pods: u16,
    /// The GPUs of each.
    pub(super) gpus: u16,
    /// Whether there are no others.
    pub(super) is_all: bool,
}

/// The groups of pods, in the order of their ranks: those with a GPU come first.
pub(super) fn of(render: &Render, name: &str) -> Result<Vec<Group>> {
    let (all, with) = (render.workers, render.gpus);
    if with > all {
        return Err(Fault::usage(format!(
            "--gpus {with}: there are {all} pods, and each that has GPUs counts once: see `--workers` and \
             `--gpus-per-worker`"
        )));
    }
    let group = |job: String, component, base, pods, gpus| Group {
        job,
        component,
        base,
        pods,
        gpus,
        is_all: pods == all,
    };
    let groups = match with {
        0 => vec![group(name.to_owned(), None, 0, all, 0)],
        with if with == all => vec![group(name.to_owned(), None, 0, all, render.gpus_per_worker)],
        with => vec![
            group(format!("{name}-gpu"), Some("gpu"), 0, with, render.gpus_per_worker),
            group(format!("{name}-cpu"), Some("cpu"), with, all - with, 0),
        ],
    };
    for group in &groups {
        names::host(name, &group.job, group.pods.into())?;
    }
    Ok(groups)
}

/// The host names of all pods, by rank. They are short: they need neither the namespace nor the cluster's domain.
pub(super) fn hosts(name: &str, groups: &[Group]) -> Vec<String> {
    let of_group = |group: &Group| {
        let job = group.job.clone();
        (0..group.pods).map(move |index| format!("{job}-{index}.{name}"))
    };
    groups.iter().flat_map(of_group).collect()
}

/// How many nodes each pod starts, by rank.
pub(super) fn workers(render: &Render) -> Result<Vec<u16>> {
    let (given, pods) = (&render.parallel_workers, usize::from(render.workers));
    match given.as_slice() {
        [] => Ok(vec![1; pods]),
        [one] => Ok(vec![*one; pods]),
        each if each.len() == pods => Ok(each.to_vec()),
        each => Err(Fault::usage(format!(
            "--parallel-workers has {} numbers for --workers {pods}: one for each pod, or one for all",
            each.len()
        ))),
    }
}
