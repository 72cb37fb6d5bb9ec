//! Manifests for Kubernetes: `ditask k8s render`.

use clap::Args;

use crate::fault::{Fault, Result};

/// What to render.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// Prints manifests.
pub(crate) fn run(_arguments: Arguments) -> Result {
    Err(Fault::new("this build of ditask renders no manifests yet"))
}
