//! Manifests as YAML, one document for each.

use std::io::{self, Write};

use super::manifest::Manifest;
use crate::fault::{Fault, Result};

/// The manifests as text.
pub(super) fn text(manifests: &[Manifest]) -> Result<String> {
    // A long value stays in its line: kubectl reads folded ones, but people cannot search in them.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_multiple_with_options(manifests, options)
        .map_err(|error| Fault::new(format!("cannot write the manifests: {error}")))
}

/// Prints them.
pub(super) fn all(manifests: &[Manifest]) -> Result {
    let failed = |error: io::Error| Fault::io("cannot write the manifests", &error);
    let text = text(manifests)?;
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
    if manifests.iter().any(|manifest| matches!(manifest, Manifest::Secret(_))) {
        // A closed standard error is no reason to fail.
        let _ = writeln!(
            io::stderr(),
            "ditask: the manifests hold a secret that was made just now: for manifests that are kept, see --secret-name"
        );
    }
    Ok(())
}
