//! Where the nodes of a case put their files.

use std::{fs, path::PathBuf, process::Command};

use tidings_testkit::PrivateDir;

use crate::{
    remote::Remote,
    settings::{LOOPBACK, PRIVATE, Settings, ZMQ_LOOPBACK},
};

/// What connects the nodes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Ipc,
    Tcp,
    Zmq,
}

impl Over {
    pub(crate) const ALL: [Self; 3] = [Self::Ipc, Self::Tcp, Self::Zmq];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipc => "ipc",
            Self::Tcp => "tcp",
            Self::Zmq => "zmq",
        }
    }

    /// Where a node listens that nobody has to find but those who are told its address.
    pub(crate) fn anywhere(self) -> &'static str {
        match self {
            Self::Ipc => PRIVATE,
            Self::Tcp => LOOPBACK,
            Self::Zmq => ZMQ_LOOPBACK,
        }
    }
}

/// The place of the nodes' sockets, which is all that they write to.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PrivateDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: PrivateDir::new() }
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Starts this executable as a node with these settings.
    pub(crate) fn node(&self, settings: &Settings) -> Remote {
        self.node_by(Command::new(std::env::current_exe().unwrap()), settings)
    }

    /// The same, by a command that takes the executable as its last argument.
    pub(crate) fn node_by(&self, mut command: Command, settings: &Settings) -> Remote {
        let (variable, value) = settings.variable();
        command.env(variable, value);
        self.start_by(command, "node", &format!("node {}", settings.id))
    }

    /// Starts this executable as another program.
    pub(crate) fn start(&self, program: &str, variables: &[(&str, String)]) -> Remote {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        self.start_by(command, program, program)
    }

    fn start_by(&self, mut command: Command, program: &str, name: &str) -> Remote {
        command.env("XDG_RUNTIME_DIR", self.directory.path()).current_dir(self.directory.path());
        Remote::start(command, program, name)
    }

    /// Asserts that nothing is left here.
    pub(crate) fn assert_empty(&self) {
        let left: Vec<_> =
            fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [] as [PathBuf; 0], "left behind");
    }
}
