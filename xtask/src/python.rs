//! Environments of Python in the target folder, for tests and examples.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result,
    command::{self, find_program, root},
};

/// What guests over ZeroMQ import.
const GUESTS: [&str; 2] = ["pyzmq>=27,<28", "msgpack>=1.1,<2"];

/// The official schemas of Kubernetes' objects, 1.25 to 1.37, with what checks manifests against them.
const SCHEMAS: [&str; 1] = ["kubernetes-validate==1.37.0"];

/// An interpreter that has what guests over ZeroMQ import.
pub(crate) fn interpreter() -> Result<PathBuf> {
    Ok(environment("venv-zmq", &GUESTS)?.join("bin/python"))
}

/// Makes `kubernetes-validate` in the target folder, where the tests look for it.
pub(crate) fn install_schemas() -> Result {
    environment("kubernetes-validate", &SCHEMAS).map(drop)
}

/// An environment with these packages, which is made when it is missing.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join(name);
    // Written last: an environment that was left half made is made again.
    let (made, list) = (folder.join("packages"), packages.join(" "));
    if fs::read_to_string(&made).is_ok_and(|there| there == list) {
        return Ok(folder);
    }
    make(&folder, packages)
        .map_err(|error| format!("{error}: install python3-venv, and see whether pip can reach its index"))?;
    fs::write(&made, list).map_err(|error| format!("{}: {error}", made.display()))?;
    Ok(folder)
}

fn make(folder: &Path, packages: &[&str]) -> Result {
    let python = find_program("python3").ok_or("python3 not found")?;
    command::run(Command::new(python).args(["-m", "venv"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    command::run(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))
}
