//! A Python with what guests over ZeroMQ import, for tests and examples.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Result,
    command::{self, find_program, root},
};

/// What is installed, as `pip` names it.
const PACKAGES: [&str; 2] = ["pyzmq>=27,<28", "msgpack>=1.1,<2"];

/// The interpreter of an environment in the target folder, which is made when it is missing.
pub(crate) fn interpreter() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join("venv-zmq");
    let python = folder.join("bin/python");
    if has_packages(&python) {
        return Ok(python);
    }
    let system = find_program("python3").ok_or("python3 not found: install it with its venv")?;
    command::run(Command::new(system).args(["-m", "venv"]).arg(&folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    command::run(Command::new(&python).args(install).args(PACKAGES))?;
    Ok(python)
}

fn has_packages(python: &Path) -> bool {
    let mut check = Command::new(python);
    check.args(["-c", "import msgpack, zmq"]).stderr(Stdio::null());
    check.status().is_ok_and(|status| status.success())
}
