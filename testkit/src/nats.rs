use std::{fs, path::Path};

use tidings_servers::Guarded;

use crate::{PrivateDir, ports::Port};

/// What it writes when it can be connected to.
const READY: &str = "Server is ready";

/// A NATS server of one test, on a port of loopback that nobody else has; killed on drop.
#[derive(Debug)]
pub struct NatsServer {
    server: Option<Guarded>,
    port: Port,
    directory: PrivateDir,
}

impl Default for NatsServer {
    fn default() -> Self {
        Self::start()
    }
}

impl NatsServer {
    /// Starts one that lets everyone in.
    ///
    /// # Panics
    ///
    /// When `nats-server` is not installed (Debian: `apt-get install nats-server`), or does not start.
    pub fn start() -> Self {
        Self::with_config("")
    }

    /// Starts one with this text as its configuration; `$DIR` in it stands for [`directory`](Self::directory).
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    pub fn with_config(config: &str) -> Self {
        let mut server = Self::that_comes_later(config);
        server.restart();
        server
    }

    /// One that is not there until it is [restarted](Self::restart).
    ///
    /// # Panics
    ///
    /// When the place for temporary files cannot be written to.
    pub fn that_comes_later(config: &str) -> Self {
        let directory = PrivateDir::new();
        let config = config.replace("$DIR", &directory.path().display().to_string());
        fs::write(directory.join("nats.conf"), config).expect("a private directory can be written to");
        Self { server: None, port: Port::new(), directory }
    }

    /// Where it is, without a scheme.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// A private directory, for certificates and the like.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it: nobody is told, and what it had is lost.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Kills it, if it is there, and starts it again on the same port. It is ready when this returns.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    pub fn restart(&mut self) {
        self.kill();
        let directory = self.directory.path();
        self.server = Some(self.port.start(|port| {
            let port = port.to_string();
            Guarded::start(
                "nats-server",
                &["-a", "127.0.0.1", "-p", &port, "-c", "nats.conf"],
                directory,
                READY,
            )
        }));
    }

    /// The process.
    ///
    /// # Panics
    ///
    /// While it is killed.
    pub fn process(&self) -> &Guarded {
        self.server.as_ref().expect("the server runs")
    }
}
