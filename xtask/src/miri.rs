use std::process::Command;

use crate::{
    Result,
    command::{self, output, root},
};

/// Where the tests are that Miri can run, and the crate that has them.
const TESTS: (&str, &str) = ("tidings-transport-ipc", "map::heap::");

/// Runs what two threads do to shared memory under Miri, which sees what no processor shows: races, and references that
/// may not be there. It comes with the nightly toolchain alone, and is installed there if rustup can.
pub(crate) fn run() -> Result {
    let miri = || {
        let mut cargo = Command::new("rustup");
        cargo.args(["run", "nightly", "cargo", "miri"]).current_dir(root());
        cargo
    };
    if output(miri().arg("--version")).is_err() {
        let install =
            ["toolchain", "install", "nightly", "--profile", "minimal", "--component", "miri,rust-src"];
        command::run(Command::new("rustup").args(install))?;
    }
    let (package, tests) = TESTS;
    command::run(
        miri().args(["test", "--package", package, "--lib", tests]).args(["--target-dir", "target/miri"]),
    )
}
