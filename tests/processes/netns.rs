//! Network namespaces that are gone with the test.

use std::{
    env,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::harness::{Case, Outcome};

/// The two ends of the wire, inside the namespaces and nowhere else.
pub(crate) const ADDRESSES: [&str; 2] = ["10.213.7.1", "10.213.7.2"];

/// The name of the wire's end, in either namespace.
pub(crate) const DEVICE: &str = "wire";

/// Two network namespaces with a wire between them.
#[derive(Debug)]
pub(crate) struct Network {
    names: [String; 2],
}

/// Why the network tests cannot run here, if they cannot.
fn missing() -> Option<String> {
    let probe = || -> Result<(), String> {
        let network = Network::new()?;
        network.filter(0, "input", "ip protocol tcp numgen random mod 100 < 1 drop")
    };
    probe().err()
}

/// A case that needs networks of its own. Where none can be made it is skipped, or fails if they are required.
pub(crate) fn case(name: impl Into<String>, body: impl FnOnce() -> String + Send + 'static) -> Case {
    Case::new(name, || match missing() {
        None => Outcome::Passed(body()),
        Some(reason) => {
            assert!(!is_required(), "the network tests cannot run here: {reason}");
            Outcome::Skipped(reason)
        }
    })
}

/// Whether a test that cannot run is one that fails.
fn is_required() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
        || env::var("TIDINGS_TEST_REQUIRE").is_ok_and(|value| value.contains("netns"))
}

fn call(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn ip(arguments: &str) -> Result<Output, String> {
    call(Command::new("ip").args(arguments.split(' ')))
}

impl Network {
    pub(crate) fn new() -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let unique = format!("tt{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        // From here on its drop removes what was made so far.
        let network = Self { names: [format!("{unique}a"), format!("{unique}b")] };
        let [a, b] = &network.names;
        for name in [a, b] {
            ip(&format!("netns add {name}"))?;
        }
        ip(&format!("-n {a} link add {DEVICE} type veth peer name {DEVICE} netns {b}"))?;
        for (name, address) in network.names.iter().zip(ADDRESSES) {
            ip(&format!("-n {name} address add {address}/24 dev {DEVICE}"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set {DEVICE} up"))?;
        }
        Ok(network)
    }

    /// The words that a command line begins with that runs in one of the two.
    pub(crate) fn words(&self, side: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[side]]
    }

    /// The same, as the beginning of a command.
    pub(crate) fn inside(&self, side: usize) -> Command {
        let [ip, arguments @ ..] = self.words(side);
        let mut command = Command::new(ip);
        command.args(arguments);
        command
    }

    /// Adds a rule to what enters (`input`) or leaves (`output`) a side.
    pub(crate) fn filter(&self, side: usize, hook: &str, rule: &str) -> Result<(), String> {
        let script = format!(
            "add table inet faults; \
             add chain inet faults {hook} {{ type filter hook {hook} priority 0; }}; \
             add rule inet faults {hook} {rule}"
        );
        call(self.inside(side).args(["nft", &script])).map(drop)
    }

    /// Takes all rules away.
    pub(crate) fn heal(&self) {
        for side in 0..2 {
            call(self.inside(side).args(["nft", "flush", "ruleset"])).unwrap();
        }
    }

    /// Sets one end of the wire `up` or `down`.
    pub(crate) fn set(&self, side: usize, state: &str) {
        ip(&format!("-n {} link set {DEVICE} {state}", self.names[side])).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            // One that was never made cannot be deleted.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}
