//! The variables of a pod: where it stands among the others, the secret, and what its user says.

use std::collections::BTreeSet;

use super::{arguments::Render, command::literal, groups::Group, manifest::EnvVar, names};
use crate::{
    fault::{Fault, Result},
    plan,
    secret::VARIABLE,
};

/// What tells a pod its place: `platform/k8s.rs` reads it.
const NODES: &str = "DI_NODES";
const RANK: &str = "DI_RANK";
const BASE: &str = "DI_RANK_BASE";
const WORKERS: &str = "DI_WORKERS";
const LABELS: &str = "DI_LABELS";
/// The job's name, for programs that were written for DI-orchestrator.
const JOB: &str = "DI_JOB_ID";

/// What is not for the user to set: ours, and what Kubernetes adds to every pod of an Indexed Job.
const TAKEN: [&str; 8] = [NODES, RANK, BASE, WORKERS, LABELS, JOB, "JOB_COMPLETION_INDEX", VARIABLE];

/// Where Kubernetes keeps a pod's index, in words for `fieldPath`.
const INDEX: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";

/// The key of the Secret that holds the bus's secret.
pub(super) const KEY: &str = "secret";

/// The label of nodes that have a GPU, as seed 001 of the reference has it.
const GPU: &str = "gpu";

/// The longest variable, in bytes: Linux starts no program with one of 128 KiB.
const LONGEST: usize = 120 << 10;

/// The variables of a group's pods.
pub(super) fn of(
    render: &Render,
    name: &str,
    group: &Group,
    nodes: &[String],
    workers: &[u16],
) -> Result<Vec<EnvVar>> {
    let nodes = nodes.join(",");
    if nodes.len() > LONGEST {
        return Err(Fault::usage(format!(
            "--name `{name}` is too long for {} pods: their names together have {} characters, at most {LONGEST}",
            render.workers,
            nodes.len()
        )));
    }
    let mut variables = vec![EnvVar::value(JOB, name)];
    variables.push(match group.is_all {
        true => EnvVar::field(RANK, INDEX),
        // The rank is the sum of this and the index, which Kubernetes sets by itself.
        false => EnvVar::value(BASE, group.base.to_string()),
    });
    variables.push(EnvVar::value(NODES, nodes));
    if workers.iter().any(|each| *each != workers[0]) {
        let each: Vec<String> = workers.iter().map(u16::to_string).collect();
        variables.push(EnvVar::value(WORKERS, each.join(",")));
    }
    let labels = labels(render, group)?;
    if !labels.is_empty() {
        variables.push(EnvVar::value(LABELS, literal(&labels.join(","))));
    }
    if !render.insecure {
        let secret = secret_name(render, name)?;
        variables.push(EnvVar::secret(VARIABLE, secret, KEY));
    }
    variables.extend(said(render)?);
    Ok(variables)
}

/// The name of the Secret that the pods read.
pub(super) fn secret_name(render: &Render, name: &str) -> Result<String> {
    let Some(given) = &render.secret_name else { return Ok(name.to_owned()) };
    names::object("--secret-name", given)?;
    Ok(given.clone())
}

fn labels(render: &Render, group: &Group) -> Result<Vec<String>> {
    let of_gpu = (group.gpus > 0).then(|| GPU.to_owned());
    plan::distinct_labels(of_gpu.into_iter().chain(plan::parts(&render.labels)))
}

/// What `--env` says.
fn said(render: &Render) -> Result<Vec<EnvVar>> {
    let mut seen = BTreeSet::new();
    let mut variables = Vec::new();
    for text in &render.env {
        let (name, value) = read(text)?;
        if !seen.insert(name) {
            return Err(Fault::usage(format!("--env `{name}`: it is there twice")));
        }
        variables.push(EnvVar::value(name, literal(value)));
    }
    Ok(variables)
}

/// Reads `NAME=VALUE`. No error tells the value, which may be for nobody else to read.
fn read(text: &str) -> Result<(&str, &str)> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Fault::usage(format!("--env `{text}`: say `{text}=VALUE`")));
    };
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_name =
        !name.is_empty() && name.chars().all(inner) && !name.starts_with(|c: char| c.is_ascii_digit());
    let fault = match name {
        _ if !is_name => "no name of a variable: letters, digits, `_`, `-` and `.`, and no digit first",
        name if TAKEN.contains(&name) => "ditask sets this variable itself: take another name",
        _ if value.len() > LONGEST => "the value is too long: put it into a ConfigMap, and see `--volume`",
        _ => return Ok((name, value)),
    };
    Err(Fault::usage(format!("--env `{name}`: {fault}")))
}
