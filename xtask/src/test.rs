use std::process::Command;

use crate::{
    Result,
    command::{self, cargo, find_program, output},
    python,
};

/// What the tests call, with the package that brings it.
const TOOLS: [(&str, &str); 6] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("redis-server", "redis-server"),
    ("nats-server", "nats-server"),
    // libzmq is built from its source.
    ("c++", "g++"),
    ("python3", "python3-venv"),
];

/// Whether a tool can be called, and does what is asked of it: Debian has a Python without its `venv`.
fn is_there(program: &str) -> bool {
    let Some(path) = find_program(program) else { return false };
    program != "python3" || output(Command::new(path).args(["-c", "import ensurepip"])).is_ok()
}

/// Installs what the tests need, then runs all of them, doc tests included.
pub(crate) fn run(arguments: &[String]) -> Result {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    if let Err(reason) = install_tools() {
        if in_ci {
            return Err(reason);
        }
        eprintln!("tests of networks and of servers will be skipped or fail: {reason}");
    }
    if let Err(reason) = python::install_schemas() {
        if in_ci {
            return Err(reason);
        }
        eprintln!("the tests with Kubernetes' schemas are skipped: {reason}");
    }
    let mut tests = with_all_signals(cargo(["test", "--workspace", "--all-features"]));
    if in_ci {
        // A machine that cannot run some tests fails them instead of skipping them.
        tests.arg("--no-fail-fast").env("TIDINGS_TEST_REQUIRE", "netns,schemas");
    }
    match python::interpreter() {
        Ok(python) => drop(tests.env("TIDINGS_TEST_PYTHON", python)),
        Err(reason) if in_ci => return Err(reason),
        Err(reason) => eprintln!("tests with Python are skipped: {reason}"),
    }
    command::run(tests.args(arguments))
}

/// The same command, with no signal ignored: what a shell has put into the background ignores SIGINT, and so does all that
/// it starts.
fn with_all_signals(command: Command) -> Command {
    const ALL: &str = "--default-signal=HUP,INT,QUIT,TERM";
    let mut env = Command::new("env");
    if output(env.args([ALL, "true"])).is_err() {
        return command;
    }
    let mut env = Command::new("env");
    env.arg(ALL).arg(command.get_program()).args(command.get_args());
    env
}

fn install_tools() -> Result {
    let missing: Vec<_> = TOOLS.iter().filter(|(program, _)| !is_there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(" and ");
    let packages = missing.iter().map(|(_, package)| *package).collect::<Vec<_>>();
    let advice = format!("{programs} not found, install {}", packages.join(" and "));
    if find_program("apt-get").is_none() || output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(advice);
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    let install = || command::run(apt().args(["install", "-y", "--no-install-recommends"]).args(&packages));
    // The lists of packages may be old or not there at all.
    install()
        .or_else(|_| command::run(apt().arg("update")).and_then(|()| install()))
        .map_err(|error| format!("{advice}: {error}"))
}
