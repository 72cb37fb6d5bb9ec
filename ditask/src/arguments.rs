//! The command line, as clap reads it. What the words mean together is decided in `plan` and `wire`.

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use tidings::Topology;

use crate::{fault::USAGE, k8s, platform::Platform};

/// Starts a program's main in many processes: on one machine, on servers, on Slurm and on Kubernetes.
///
/// A program is a cargo package whose main is marked with `#[tidings::main]`. What follows `--` goes to it.
#[derive(Debug, Parser)]
#[command(name = "ditask", version, disable_version_flag = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// What is started when no command is named.
    #[command(flatten)]
    pub(crate) run: Run,

    /// What else ditask does.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Print the version.
    #[arg(short = 'v', long, visible_short_alias = 'V', action = ArgAction::Version)]
    version: (),
}

/// What else ditask does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a program; the same as without a command.
    Run(Box<Run>),
    /// Manifests for Kubernetes.
    K8s(k8s::Arguments),
    /// Print the events of a name or pattern, their payloads as JSON.
    Sub(Sub),
    /// Emit one event, with JSON as its payload.
    Pub(Pub),
    /// List the nodes of a cluster.
    Peers(Peers),
    /// Watch the nodes of a cluster: links, rates, queues, drops.
    Top(Top),
    /// Find out why a node cannot connect.
    Doctor(Doctor),
    /// Make a secret.
    Keygen(Keygen),
    /// Measure the transports side by side on this machine.
    Bench(Bench),
    /// Print completions for a shell.
    Completions(Completions),
    /// Print the page of the manual.
    Man,
}

/// What to start, and how.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Run {
    /// The folder of a cargo package, a zip of one, or an executable. Default: this folder, if it is a package.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) package: Option<PathBuf>,

    /// The function to run: `my_module.main` or `my_module::main`. Default: the package's main.
    #[arg(short, long, value_name = "MODULE.FUNCTION")]
    pub(crate) main: Option<String>,

    /// How many processes to start.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) parallel_workers: u16,

    /// What the nodes talk over: tcp between machines, ipc on one.
    #[arg(long, value_enum, default_value_t, hide_default_value = false)]
    pub(crate) protocol: Protocol,

    /// The transport, whatever --protocol and --mq-type say: tcp, ipc, redis, nats, zmq, or a broker's address
    /// such as `nats://host:4222`.
    #[arg(long, value_name = "NAME or URL")]
    pub(crate) transport: Option<String>,

    /// nng stands for links between the nodes, without a server; redis and nats for a broker, zmq for ZeroMQ.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mq_type: MqType,

    #[command(flatten)]
    pub(crate) redis: RedisServer,

    /// The ports to listen on: the first one, counted up, or a list. Default 50515, with Slurm 15151. 0 stands
    /// for any free one.
    #[arg(long, value_name = "PORT,..", allow_negative_numbers = true)]
    pub(crate) ports: Option<String>,

    /// Addresses of nodes to connect to: `192.168.0.1:50515`, with or without `tcp://`.
    #[arg(long, value_name = "ADDRESS,..")]
    pub(crate) attach_to: Vec<String>,

    /// The address to listen on, without a port. Default: this machine's outward one.
    #[arg(long, value_name = "HOST")]
    pub(crate) address: Option<String>,

    /// The host that others are told to dial, where that is not the address that is listened on.
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,

    /// Labels of the nodes.
    #[arg(long, value_name = "LABEL,..")]
    pub(crate) labels: Vec<String>,

    /// The ids of the nodes: the first one, counted up, or a list. Default 0.
    #[arg(long, value_name = "ID,..", allow_negative_numbers = true)]
    pub(crate) node_ids: Option<String>,

    /// mesh: everyone to everyone; star: everyone to node 0, which forwards; alone: only what --attach-to says.
    #[arg(long, value_name = "SHAPE", default_value_t)]
    pub(crate) topology: Topology,

    /// Take node ids and addresses from what started this process: k8s or slurm.
    #[arg(long, value_enum)]
    pub(crate) platform: Option<Platform>,

    /// What each process of the platform is to be: JSON, or a JSON or YAML file.
    #[arg(long, value_name = "JSON or FILE", requires = "platform")]
    pub(crate) platform_spec: Option<String>,

    /// The name of the cluster. Nodes of different clusters never hear each other.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,

    /// The file of the secret that all nodes of the cluster share; TIDINGS_SECRET does as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// Listen beyond this machine without a secret: whoever reaches the address is let in.
    #[arg(long, conflicts_with = "secret_file")]
    pub(crate) insecure: bool,

    /// Run a main that failed again, up to so many times for each node.
    #[arg(long, value_name = "TIMES", default_value_t = 0)]
    pub(crate) auto_recover: u32,

    /// How many seconds joining may take: names that do not resolve yet and nodes that do not answer yet are
    /// tried again until then. Default 60, with --platform 300: pods and tasks start when they can.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) connect_timeout: Option<Duration>,

    /// The cargo profile that a package is built with.
    #[arg(long, value_name = "NAME", default_value = "release")]
    pub(crate) profile: String,

    /// Begin each line that a node prints with its id.
    #[arg(long)]
    pub(crate) prefix_output: bool,

    /// Accepted and not needed: mains begin when all are connected.
    #[arg(long, value_name = "SECONDS", value_parser = seconds_or_none, allow_negative_numbers = true)]
    pub(crate) startup_interval: Option<Duration>,

    /// The program's arguments. Without --package the first one is the program.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(crate) program: Vec<OsString>,
}

/// Where a Redis server is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RedisServer {
    /// The host of the Redis server.
    #[arg(long = "redis-host", id = "redis-host", value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// The port of the Redis server.
    #[arg(long = "redis-port", id = "redis-port", value_name = "PORT")]
    pub(crate) port: Option<u16>,
}

impl RedisServer {
    /// Whether the command line says anything of it.
    pub(crate) fn is_named(&self) -> bool {
        self.host.is_some() || self.port.is_some()
    }
}

/// What the nodes of a launch talk over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Between machines.
    #[default]
    Tcp,
    /// Between processes of one machine.
    Ipc,
}

/// What carries the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MqType {
    /// Links between the nodes.
    #[default]
    Nng,
    /// A Redis server.
    Redis,
    /// A NATS server.
    Nats,
    /// ZeroMQ.
    Zmq,
}

/// Where a cluster is, and how to get in.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cluster {
    /// The address of any node of the cluster; of node 0, if it is a star. Default: port 50515 of this
    /// machine, or the only launch over ipc that runs here.
    #[arg(long, visible_alias = "attach-to", value_name = "ADDRESS")]
    pub(crate) at: Option<String>,

    /// The name of the cluster.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,

    /// The file of the cluster's secret; TIDINGS_SECRET does as well.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// How many seconds connecting may take.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) connect_timeout: Duration,

    /// One JSON value on each line, for machines.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to listen for.
#[derive(Debug, Args)]
pub(crate) struct Sub {
    /// The name of an event; `*` stands for any run of characters, `?` for any one.
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: String,

    /// End after so many events.
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,

    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// What to emit.
#[derive(Debug, Args)]
pub(crate) struct Pub {
    /// The name of the event.
    #[arg(value_name = "EVENT")]
    pub(crate) event: String,

    /// Its payload. Default null.
    #[arg(value_name = "JSON", default_value = "null")]
    pub(crate) payload: String,

    /// The one node that gets it. Default: all that listen.
    #[arg(long, value_name = "ID")]
    pub(crate) to: Option<u32>,

    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Whose nodes to list.
#[derive(Debug, Args)]
pub(crate) struct Peers {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Whose nodes to watch.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// End after so many looks. Default: on a terminal without end, else one.
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,

    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// What to look into.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// Remove sockets and directories that killed nodes have left on this machine.
    #[arg(long)]
    pub(crate) clean: bool,
}

/// Where to put the secret.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The file to make, for its owner's eyes only. Default: standard output.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// What to measure.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Bench {
    /// The transports: memory, ipc, tcp, redis, nats, zmq, or a broker's address such as `nats://host:4222`. Default:
    /// all. A broker that no address names is a private server, started for as long as it is measured.
    #[arg(long, value_name = "NAME or URL,..", value_delimiter = ',')]
    pub(crate) transports: Vec<String>,

    #[command(flatten)]
    pub(crate) redis: RedisServer,

    /// The sizes of payloads, in bytes.
    #[arg(long, value_name = "BYTES,..", value_delimiter = ',', default_value = "64,16384,1048576")]
    pub(crate) sizes: Vec<usize>,

    /// How many seconds each measurement may take.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: Duration,

    /// A file to draw the plot into, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// One JSON value on each line, for machines.
    #[arg(long)]
    pub(crate) json: bool,

    /// The other end of a measurement, which is told by its input where to meet.
    #[arg(long, hide = true)]
    pub(crate) echo: bool,
}

/// Which shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// The command line of this process; an exit status where there is nothing more to do.
pub(crate) fn parse() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|error| {
        // A closed output is no reason to fail in another way.
        let _ = error.print();
        if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS }
    })
}

/// The command line's description, for completions and the manual.
pub(crate) fn description() -> clap::Command {
    Arguments::command()
}

/// Seconds above zero, with a fraction if need be.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match seconds_or_none(text)? {
        Duration::ZERO => Err("must be above zero".to_owned()),
        seconds => Ok(seconds),
    }
}

fn seconds_or_none(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration > Duration::from_secs(7 * 24 * 3600) {
        Err("more than a week".to_owned())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_the_command_line_is_sound() {
        description().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_is_the_programs() {
        let arguments = Arguments::try_parse_from(["ditask", "-p", "x", "--", "--ports", "1"]).unwrap();
        assert_eq!(arguments.run.program, ["--ports", "1"]);
        assert_eq!(arguments.run.ports, None);
        let named = Arguments::try_parse_from(["ditask", "run", "--platform", "k8s", "--", "./x"]).unwrap();
        let Some(Command::Run(run)) = named.command else { panic!("another command") };
        assert_eq!((run.platform, run.program), (Some(Platform::K8s), vec!["./x".into()]));
    }
}
