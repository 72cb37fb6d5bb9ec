//! Manifests for Kubernetes: `ditask k8s render`. They need no operator, only what every cluster has: Indexed Jobs,
//! whose pods keep their names, and a headless Service, by which the names are found.
//!
//! What the words of the command line mean is decided in [`groups`], and by the file of each kind of value; [`job`]
//! puts it together; [`manifest`] is how Kubernetes calls it. What a pod does with it is `platform/k8s.rs`'s.

mod arguments;
mod command;
mod environment;
mod groups;
mod indexes;
mod job;
mod manifest;
mod names;
mod print;
mod quantity;
mod resources;
mod span;
#[cfg(test)]
mod tests;
mod volumes;

use clap::{Args, Subcommand};

use crate::fault::Result;

/// What to do for Kubernetes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What can be done for Kubernetes.
#[derive(Debug, Subcommand)]
enum Command {
    /// Print the manifests of a job, for `kubectl apply -f -`.
    Render(Box<arguments::Render>),
}

/// Prints manifests.
pub(crate) fn run(arguments: Arguments) -> Result {
    let Command::Render(render) = arguments.command;
    let manifests = job::manifests(&render)?;
    print::all(&manifests)
}
