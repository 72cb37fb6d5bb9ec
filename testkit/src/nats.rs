use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{DEADLINE, PrivateDir};

/// Starts a program, and ends it when the standard input is closed: also when the test is killed.
const WARD: &str = r#""$@" </dev/null & read -r _; kill -KILL "$!" 2>/dev/null; wait"#;

/// Ports that no outgoing connection of this machine is given, so that a server gets its own one again.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How far apart two looks are.
const LOOK: Duration = Duration::from_millis(2);

/// A NATS server of one test, on a port of loopback that nobody else has; killed on drop.
#[derive(Debug)]
pub struct NatsServer {
    directory: PrivateDir,
    port: u16,
    ward: Option<Ward>,
}

/// The server's process, and the one that ends it.
#[derive(Debug)]
struct Ward {
    child: Child,
    /// Once it is ready.
    server: Option<Pid>,
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
        Self { directory, port: fastrand::u16(PORTS), ward: None }
    }

    /// Where it is, without a scheme.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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
        self.ward = None;
    }

    /// Kills it, if it is there, and starts it again on the same port. It is ready when this returns.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    pub fn restart(&mut self) {
        self.restart_by(Instant::now() + DEADLINE);
    }

    fn restart_by(&mut self, deadline: Instant) {
        let was_there = self.directory.join("started").exists();
        self.kill();
        loop {
            if let Some(ward) = self.spawn(deadline) {
                self.ward = Some(ward);
                break;
            }
            assert!(Instant::now() < deadline, "nats-server does not start on port {}", self.port);
            if !was_there {
                // Somebody has this port.
                self.port = fastrand::u16(PORTS);
            }
        }
        fs::write(self.directory.join("started"), "").expect("a private directory can be written to");
    }

    /// None if it ends at once.
    fn spawn(&self, deadline: Instant) -> Option<Ward> {
        let ports = PrivateDir::new();
        let mut command = Command::new("sh");
        command.args(["-c", WARD, "ward"]).arg(program()).args(["-a", "127.0.0.1", "-p"]);
        command.arg(self.port.to_string()).arg("--ports_file_dir").arg(ports.path());
        command.arg("-c").arg(self.directory.join("nats.conf"));
        command.arg("--log").arg(self.directory.join("nats.log"));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut ward = Ward { child: command.spawn().expect("a shell can be started"), server: None };
        while ward.server.is_none() {
            if self.has_failed() || Instant::now() > deadline {
                return None;
            }
            thread::sleep(LOOK);
            // It writes this file when it listens, and names it after its process.
            ward.server = started(ports.path());
        }
        Some(ward)
    }

    /// Whether its log says that it cannot listen, or anything else it ends for.
    fn has_failed(&self) -> bool {
        let log = self.directory.join("nats.log");
        let failed = fs::read_to_string(&log).is_ok_and(|text| text.contains("[FTL]"));
        if failed {
            // The next try has a log of its own.
            let _ = fs::rename(&log, self.directory.join("nats.failed.log"));
        }
        failed
    }

    /// Stops it: connections stay, and nothing goes on in it.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let server = self.ward.as_ref().and_then(|ward| ward.server).expect("the server was started");
        kill_process(server, signal).expect("the server is there");
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("nats.log")).unwrap_or_default()
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Else it is a zombie until the test ends.
        let _ = self.child.wait();
    }
}

/// The process whose file of ports is there.
fn started(ports: &Path) -> Option<Pid> {
    let mut names = fs::read_dir(ports).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pid = names.find_map(|name| name.strip_suffix(".ports")?.rsplit_once('_')?.1.parse().ok())?;
    Pid::from_raw(pid)
}

/// Where the server is installed; Debian has it where not everyone looks.
fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = env::split_paths(&path).collect();
    directories.push("/usr/sbin".into());
    let found = directories.iter().map(|directory| directory.join("nats-server")).find(|file| file.is_file());
    found.expect("`nats-server` is not installed (apt-get install nats-server, or `cargo xtask test`)")
}
