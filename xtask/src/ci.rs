use crate::{
    Result, check_deps,
    command::{self, cargo},
    examples, loom,
};

/// Everything that CI checks besides the tests.
pub(crate) fn run() -> Result {
    command::run(&mut cargo(["fmt", "--all", "--check"]))?;
    clippy(&["--workspace", "--all-features"])?;
    clippy(&["--package", "tidings"])?;
    clippy(&["--package", "tidings", "--no-default-features"])?;
    let mut docs = cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    command::run(docs.env("RUSTDOCFLAGS", "-D warnings"))?;
    check_deps::run()?;
    loom::run()?;
    examples::run()
}

fn clippy(what: &[&str]) -> Result {
    let mut clippy = cargo(["clippy", "--quiet", "--all-targets"]);
    command::run(clippy.args(what).args(["--", "-D", "warnings"]))
}
