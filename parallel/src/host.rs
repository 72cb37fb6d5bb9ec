//! Runs of another executable, whose own main is the main of the nodes: what `ditask` starts.

use std::{
    ffi::OsString,
    fmt,
    path::PathBuf,
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tidings_router_core::{BoxFuture, Error, Result, Router, Secret, Topology, Transport};

use crate::{
    child::{self, Child},
    failure::{FAILED, Failure},
    plan::Plan,
    program::main_of,
};

/// The number that stands for the `run` call of a program that is hosted: it has none.
pub(crate) const HOSTED: u64 = 0;

/// How long a hosted program may take to say who it is, unless its host says otherwise.
const JOIN_WITHIN: Duration = Duration::from_secs(60);

/// What stands for a socket in the run's own directory.
const IN_RUN_DIRECTORY: &str = "ipc";

/// Another executable, started once for each seat by [`Runner::host`](crate::Runner::host).
///
/// The program joins the bus by `#[tidings::main]`. It is told who it is by the launcher: nothing but its
/// arguments stands on its command line, and no secret in its environment.
///
/// ```no_run
/// use tidings_parallel::{Host, Runner, Seat};
///
/// let seats = (0..2).map(|node_id| Seat { node_id, listen: "ipc".to_owned(), ..Seat::default() });
/// Runner::new(2, None).host(Host::new("./my_program", seats)).wait()?;
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Host {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: Vec<(OsString, Option<OsString>)>,
    pub(crate) seats: Vec<Seat>,
    pub(crate) within: Duration,
    pub(crate) progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

/// What one node of a hosted program is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seat {
    /// Its id.
    pub node_id: u32,
    /// Where it listens, as an address; the bare `ipc` stands for a socket in the run's own directory, and
    /// the address of a broker for that broker.
    pub listen: String,
    /// The host that others are told to dial, where that is not the one it listens on.
    pub advertise: Option<String>,
    /// Whom it dials besides the nodes of this run.
    pub attach_to: Vec<String>,
    /// Its labels.
    pub labels: Vec<String>,
}

/// How far a hosted run is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Every node listens; where, in the order of the seats.
    Listening(Vec<Vec<String>>),
    /// All are connected, and the mains have begun.
    Begun,
}

impl Host {
    /// This program, in so many processes as there are seats.
    pub fn new(program: impl Into<PathBuf>, seats: impl IntoIterator<Item = Seat>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            seats: seats.into_iter().collect(),
            within: JOIN_WITHIN,
            progress: None,
        }
    }

    /// The program's arguments.
    #[must_use = "a `Host` is a description"]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the program's environment, or with `None` takes it away.
    #[must_use = "a `Host` is a description"]
    pub fn variable(mut self, name: impl Into<OsString>, value: Option<OsString>) -> Self {
        self.variables.push((name.into(), value));
        self
    }

    /// How long joining may take: of the program, of names that do not resolve yet, and of nodes elsewhere
    /// that do not answer yet. Default 60 s.
    #[must_use = "a `Host` is a description"]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// Who is told how far the run is. It is called by the launcher's thread and must not block.
    #[must_use = "a `Host` is a description"]
    pub fn on_progress(mut self, told: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(told));
        self
    }

    /// The command that starts one of its processes.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("program", &self.program)
            .field("seats", &self.seats)
            .finish_non_exhaustive()
    }
}

/// What a hosted node is told of the run, by the control connection alone.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hosted {
    pub(crate) node_id: u32,
    pub(crate) labels: Vec<String>,
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
    pub(crate) attach_to: Vec<String>,
    pub(crate) topology: String,
    pub(crate) cluster: Option<String>,
    pub(crate) secret: Option<Key>,
    pub(crate) insecure: bool,
    /// In milliseconds, as the next one.
    pub(crate) deadline: u64,
    pub(crate) within: u64,
}

/// A secret on its way to a child.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Hosted {
    /// What the node of this seat is told.
    pub(crate) fn of(plan: &Plan, host: &Host, index: usize) -> Option<Self> {
        let seat = host.seats.get(index)?.clone();
        Some(Self {
            node_id: seat.node_id,
            labels: seat.labels,
            listen: seat.listen,
            advertise: seat.advertise,
            attach_to: seat.attach_to,
            topology: plan.topology.to_string(),
            cluster: plan.cluster.clone(),
            secret: plan.secret.as_ref().map(|secret| Key(secret.expose().to_vec())),
            insecure: plan.insecure,
            deadline: plan.deadline.as_millis() as u64,
            within: host.within.as_millis() as u64,
        })
    }

    /// The plan of the one node that it tells of, at its place among the others.
    pub(crate) fn plan(self, index: usize, count: usize, listening_on: ListeningOn) -> Result<Plan> {
        let topology: Topology = self
            .topology
            .parse()
            .map_err(|reason| Error::Setting { setting: "topology".into(), reason: format!("{reason:?}") })?;
        let mut node_ids = vec![u32::MAX; count];
        node_ids[index] = self.node_id;
        let secret = self.secret.map(|key| Secret::try_from(key.0.as_slice())).transpose()?;
        Ok(Plan {
            processes: count,
            transport: Some(listening_on(&self.listen, self.advertise.as_deref())?),
            topology,
            attach_to: self.attach_to.into_iter().map(Into::into).collect(),
            node_ids: node_ids.into(),
            labels: self.labels,
            cluster: self.cluster,
            secret,
            insecure: self.insecure,
            deadline: Duration::from_millis(self.deadline),
            within: Some(Duration::from_millis(self.within)),
            placed: self.listen != IN_RUN_DIRECTORY,
            ..Plan::new(count, None)
        })
    }
}

/// Makes the transport that listens on an address and tells others to dial a host; the program knows which
/// ones it was built with.
pub type ListeningOn = fn(&str, Option<&str>) -> Result<Arc<dyn Transport>>;

/// The main of a node.
pub type HostedMain = fn(Arc<dyn Router>) -> BoxFuture<'static, Result<()>>;

/// Whether a host has started this process.
pub fn is_hosted() -> bool {
    static HOSTED_HERE: OnceLock<bool> = OnceLock::new();
    *HOSTED_HERE.get_or_init(|| Child::this().is_some_and(|child| child.call() == HOSTED))
}

/// Lives as the node that the host says, and ends the process.
pub fn live(main: HostedMain, listening_on: ListeningOn) -> ! {
    match Child::this().filter(|_| is_hosted()) {
        Some(child) => child::host(child, main_of(main), listening_on),
        None => std::process::exit(FAILED.into()),
    }
}

/// Tells the host that the program cannot do what it was started for, and ends the process.
pub fn refuse(reason: &str, code: u8) -> ! {
    match Child::this() {
        Some(child) => child.refuse(&Failure::new(reason, code)),
        None => std::process::exit(code.into()),
    }
}
