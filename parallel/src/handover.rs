//! What a launcher hands to a child by the environment. Everything that is secret goes by the control
//! connection.

use std::{env, path::PathBuf, process::Command};

/// The index of the node, from 0.
const INDEX: &str = "TIDINGS_NODE_INDEX";
/// How many nodes the run has.
const COUNT: &str = "TIDINGS_NODE_COUNT";
/// Which of the program's `run` calls started it, from 1.
const CALL: &str = "TIDINGS_RUN_CALL";
/// The path of the launcher's control socket, which lies in the run directory.
const CONTROL: &str = "TIDINGS_CONTROL";
/// What the child says on the control socket to be let in: 32 hexadecimal digits, good for one child, once.
const TOKEN: &str = "TIDINGS_TOKEN";
/// Which version of what the two say to each other the launcher speaks: it may be another executable.
const VERSION: &str = "TIDINGS_CONTROL_VERSION";
/// The version that this build speaks.
pub(crate) const SPOKEN: u32 = 1;
/// The process id of the launcher. A process with another parent has only inherited the environment.
const LAUNCHER: &str = "TIDINGS_LAUNCHER_PID";

/// The identity of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handover {
    pub(crate) index: usize,
    pub(crate) count: usize,
    pub(crate) call: u64,
    pub(crate) control: PathBuf,
    pub(crate) token: String,
    pub(crate) launcher: i32,
    pub(crate) version: u32,
}

impl Handover {
    /// What this process was handed; `None` for a process that no launcher started.
    pub(crate) fn read() -> Option<Self> {
        Self::parse(|name| env::var(name).ok(), env::var_os(CONTROL).map(PathBuf::from))
    }

    fn parse(variable: impl Fn(&str) -> Option<String>, control: Option<PathBuf>) -> Option<Self> {
        Some(Self {
            index: variable(INDEX)?.parse().ok()?,
            count: variable(COUNT)?.parse().ok()?,
            call: variable(CALL)?.parse().ok()?,
            control: control?,
            token: variable(TOKEN)?,
            launcher: variable(LAUNCHER)?.parse().ok()?,
            version: variable(VERSION)?.parse().ok()?,
        })
    }

    /// Hands it to the process that `command` will start.
    pub(crate) fn write(&self, command: &mut Command) {
        command
            .env(INDEX, self.index.to_string())
            .env(COUNT, self.count.to_string())
            .env(CALL, self.call.to_string())
            .env(CONTROL, &self.control)
            .env(TOKEN, &self.token)
            .env(LAUNCHER, self.launcher.to_string())
            .env(VERSION, self.version.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_read_back() {
        let handover = Handover {
            index: 2,
            count: 3,
            call: 1,
            control: "/run/x/control".into(),
            token: "ab".into(),
            launcher: 77,
            version: SPOKEN,
        };
        let mut command = Command::new("true");
        handover.write(&mut command);
        let variable = |name: &str| {
            let found = command.get_envs().find(|(key, _)| *key == name)?;
            found.1?.to_str().map(str::to_owned)
        };
        assert_eq!(Handover::parse(variable, variable(CONTROL).map(Into::into)), Some(handover));
        assert_eq!(Handover::parse(|_| None, None), None);
    }
}
