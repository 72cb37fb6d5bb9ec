//! What it ran on, and what versions of what.

use std::{env, fs, process::Command, thread};

use serde::{Deserialize, Serialize};

/// The machine and the day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) machine: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) date: String,
    pub(crate) commit: String,
    /// How long and how often was measured.
    pub(crate) rounds: String,
    /// Of the peers, each with its name.
    pub(crate) versions: Vec<String>,
}

/// The crates that a peer is.
const CRATES: [&str; 8] = ["tokio", "tokio-util", "zmq", "nng", "zenoh", "iceoryx2", "redis", "async-nats"];

const UNKNOWN: &str = "unknown";

impl Machine {
    /// This one, now.
    pub(crate) fn here(rounds: String) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut versions: Vec<String> = CRATES.iter().filter_map(|name| locked(name)).collect();
        versions
            .extend(said("redis-server", &["--version"]).and_then(|said| after(&said, "v=", "redis-server")));
        let nats =
            said("nats-server", &["--version"]).or_else(|| said("/usr/sbin/nats-server", &["--version"]));
        versions.extend(nats.and_then(|said| after(&said, "v", "nats-server")));
        let python = crate::di_engine::interpreter();
        let pynng = "import pynng, platform; print('pynng', pynng.__version__, 'on Python', platform.python_version())";
        versions.extend(python.to_str().and_then(|python| said(python, &["-c", pynng])));
        Self {
            machine: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| UNKNOWN.into()),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory: line_of("/proc/meminfo", "MemTotal").unwrap_or_else(|| UNKNOWN.into()),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_else(|_| UNKNOWN.into())
                .trim()
                .into(),
            rustc: said("rustc", &["--version"]).unwrap_or_else(|| UNKNOWN.into()),
            date: said("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(|| UNKNOWN.into()),
            commit: said("git", &["-C", root, "describe", "--always", "--dirty"])
                .unwrap_or_else(|| UNKNOWN.into()),
            rounds,
            versions,
        }
    }
}

/// The first line that a program says, if there is such a program.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

/// The word of `text` that begins with `prefix` and a digit, without the prefix, as a version of `name`.
fn after(text: &str, prefix: &str, name: &str) -> Option<String> {
    let mut words = text.split_whitespace().filter_map(|word| word.strip_prefix(prefix));
    let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    Some(format!("{name} {version}"))
}

/// The value of `key` in a file of the kernel's.
fn line_of(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The version of a crate that this program was built with.
fn locked(name: &str) -> Option<String> {
    let lock = include_str!("../../Cargo.lock");
    let (_, entry) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(format!("{name} {}", entry.split('"').next()?))
}
