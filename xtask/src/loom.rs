use crate::{
    Result,
    command::{self, cargo},
};

/// The crates that have models of what two processes share.
const CRATES: [&str; 1] = ["tidings-transport-ipc"];

/// Runs the models in every order of events that loom finds, without the project's other tests.
pub(crate) fn run() -> Result {
    CRATES.into_iter().try_for_each(|name| {
        let mut models = cargo(["test", "--package", name, "--lib", "models::"]);
        // A flag of our own: tokio has no sockets under loom's. A folder of its own, since flags change everything.
        models.env("RUSTFLAGS", "--cfg tidings_loom").args(["--target-dir", "target/loom"]);
        command::run(&mut models)
    })
}
