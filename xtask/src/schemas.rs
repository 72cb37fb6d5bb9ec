//! The official schemas of Kubernetes' objects, which come with a Python package that checks manifests against them.

use std::{env, path::PathBuf, process::Command};

use crate::{
    Result,
    command::{self, find_program, root},
};

/// The package, and its version: its schemas are those of Kubernetes 1.25 to 1.37.
const PACKAGE: &str = "kubernetes-validate==1.37.0";

/// Makes an environment of Python with the package in it, `kubernetes-validate` in the target folder, unless it is
/// there already.
pub(crate) fn install() -> Result {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join("kubernetes-validate");
    if folder.join("bin/kubernetes-validate").is_file() {
        return Ok(());
    }
    let Some(python) = find_program("python3") else {
        return Err("python3 not found, install python3-venv".to_owned());
    };
    let advice = |error| format!("{error}: install python3-venv, and see whether pip can reach its index");
    command::run(Command::new(python).args(["-m", "venv"]).arg(&folder)).map_err(advice)?;
    let mut pip = Command::new(folder.join("bin/pip"));
    command::run(pip.args(["install", "--quiet", "--disable-pip-version-check", PACKAGE])).map_err(advice)
}
