//! What a platform tells a process of its place among the others.

mod k8s;
mod nodes;
mod slurm;
mod spec;

pub(crate) use spec::Spec;

use clap::ValueEnum;

use crate::fault::{Fault, Result};

/// Who started this process and many others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    /// Kubernetes, or whoever else sets DI_NODES and DI_RANK.
    K8s,
    /// Slurm's srun.
    Slurm,
}

/// Reads a variable of the environment; a parameter, so that tests have an environment of their own.
pub(crate) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// All processes of a platform, in the order of their ranks, and which of them this one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranks {
    pub(crate) all: Vec<Rank>,
    pub(crate) this: usize,
    /// What labels the platform gives this process.
    pub(crate) labels: Vec<String>,
}

/// One process that a platform starts: one ditask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rank {
    /// The name by which the others reach its machine.
    pub(crate) host: String,
    /// How many nodes it starts.
    pub(crate) workers: usize,
    /// The id of its first node, counted up for the others.
    pub(crate) first_id: u32,
    /// The port of its first node, counted up for the others.
    pub(crate) first_port: u16,
}

impl Platform {
    /// The variable with the job's name, which all of its processes have alike.
    pub(crate) fn job(self) -> &'static str {
        match self {
            Self::K8s => "DI_JOB_ID",
            Self::Slurm => "SLURM_JOB_ID",
        }
    }

    /// What it says. `workers` is how many nodes each of its processes starts, `port` where the first of them
    /// listens if the command line says so.
    pub(crate) fn ranks(self, workers: usize, port: Option<u16>, variable: Variable<'_>) -> Result<Ranks> {
        match self {
            Self::K8s => k8s::ranks(workers, port, variable),
            Self::Slurm => slurm::ranks(workers, port, variable),
        }
    }
}

/// A variable that has to be there.
fn required(platform: &str, name: &str, variable: Variable<'_>) -> Result<String> {
    present(name, variable).ok_or_else(|| {
        Fault::usage(format!("--platform {platform} needs the variable {name}, which is not set"))
    })
}

/// A variable that may be there; an empty one is not.
fn present(name: &str, variable: Variable<'_>) -> Option<String> {
    variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// A variable's value as a number.
fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    value
        .parse()
        .map_err(|_| Fault::usage(format!("the variable {name} is `{value}`, which is no number in range")))
}

/// The sum of what each process counts up, as a number of the right size.
fn counted<T: TryFrom<usize>>(what: &str, first: usize, by: usize) -> Result<T> {
    let beyond = || {
        Fault::usage(format!(
            "the {what} of the platform's last process, {first} counted up by {by}, is too high"
        ))
    };
    first.checked_add(by).and_then(|number| T::try_from(number).ok()).ok_or_else(beyond)
}
