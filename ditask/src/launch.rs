//! Starts a program: `ditask --package ..`.

use std::{
    env,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidings::{
    parallel::{self, Host, Runner},
    transport::Tcp,
};

use crate::{
    arguments::Run,
    fault::{Fault, Result},
    join::{self, Invitation},
    package::{self, Program},
    plan::{Plan, Surroundings},
    platform::Spec,
    progress::Progress,
    secret::{self, Lock},
    wire::Wire,
};

/// How long joining may take unless the command line says so.
const BY_HAND: Duration = Duration::from_secs(60);

/// The same where a platform starts the others when it has room for them.
const ON_PLATFORM: Duration = Duration::from_secs(300);

/// The variable that picks a program's function.
const MAIN: &str = "TIDINGS_MAIN";

/// Starts the program in as many processes as it is to have, and waits for its end.
pub(crate) fn run(run: Run) -> Result {
    // All that can be wrong with the words is found before anything is built.
    if let Some(main) = &run.main {
        package::check_main(main)?;
    }
    let wire = Wire::of(&run)?;
    let plan = Plan::new(&run, &wire, &surroundings(&run)?)?;
    let lock = Lock::of(&run, &plan)?;
    let cluster = cluster(&run, &wire, &plan)?;
    if run.startup_interval.is_some() {
        note("--startup-interval is not needed: mains begin when all are connected");
    }
    let program = Program::prepare(&run)?;
    let result = start(&run, &plan, &lock, cluster, &program);
    // What was unpacked for the run goes before its result is told.
    drop(program);
    result
}

fn surroundings(run: &Run) -> Result<Surroundings> {
    let workers = usize::from(run.parallel_workers);
    let port = run.ports.as_deref().and_then(|ports| ports.trim().parse().ok());
    let variable = |name: &str| env::var(name).ok();
    Ok(Surroundings {
        ranks: run.platform.map(|platform| platform.ranks(workers, port, &variable)).transpose()?,
        spec: run.platform_spec.as_deref().map(Spec::read).transpose()?,
        outward: Tcp::outward(),
    })
}

/// The name of the cluster, and whether it was drawn for this launch.
#[derive(Debug, Clone)]
struct Cluster {
    name: Option<String>,
    drawn: bool,
}

/// On a broker whoever has the cluster's name meets: two launches that say none must not.
fn cluster(run: &Run, wire: &Wire, plan: &Plan) -> Result<Cluster> {
    let said = |name: Option<String>| Ok(Cluster { name, drawn: false });
    match run.platform {
        _ if run.cluster.is_some() || !wire.is_broker() => return said(run.cluster.clone()),
        // All processes of a job have to come to the same name.
        Some(platform) if plan.on_platform => {
            let job = env::var(platform.job()).ok().filter(|job| !job.is_empty());
            return match job {
                Some(job) => said(Some(format!("job-{job}"))),
                None => Err(Fault::usage(format!(
                    "on a broker a job needs a name, so that others are kept out: set {} or give `--cluster`",
                    platform.job()
                ))),
            };
        }
        _ => {}
    }
    let digits: String = secret::random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Cluster { name: Some(format!("run-{digits}")), drawn: true })
}

fn start(run: &Run, plan: &Plan, lock: &Lock, cluster: Cluster, program: &Program) -> Result {
    let waiting = Arc::new(Mutex::new(Some(Progress::begin("waiting for all nodes to connect"))));
    let (told, invitation) = (Arc::clone(&waiting), invite(run, plan, lock, &cluster));
    let mut host = Host::new(&program.path, plan.seats.clone())
        .arguments(&program.arguments)
        .within(run.connect_timeout.unwrap_or(if run.platform.is_some() { ON_PLATFORM } else { BY_HAND }))
        // The program gets it by another way, and what it starts is not to have it.
        .variable(secret::VARIABLE, None)
        .on_progress(move |progress| match progress {
            parallel::Progress::Listening(addresses) => {
                if let Some(text) = invitation(&addresses) {
                    note(&text);
                }
            }
            _ => drop(told.lock().unwrap_or_else(PoisonError::into_inner).take()),
        });
    if let Some(main) = &run.main {
        host = host.variable(MAIN, Some(main.into()));
    }
    let mut runner =
        Runner::new(plan.seats.len(), None).topology(plan.topology).auto_recover(run.auto_recover);
    if let Some(cluster) = cluster.name {
        runner = runner.cluster(cluster);
    }
    if let Some(secret) = lock.secret.clone() {
        runner = runner.secret(secret);
    }
    if run.insecure {
        runner = runner.insecure_no_auth();
    }
    if run.prefix_output {
        runner = runner.prefix_output();
    }
    let result = runner.host(host).wait();
    drop(waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
    Ok(result?)
}

/// What is said to who wants to join, if anybody may and has to be told how.
fn invite(
    run: &Run,
    plan: &Plan,
    lock: &Lock,
    cluster: &Cluster,
) -> impl Fn(&[Vec<String>]) -> Option<String> + Send + Sync + 'static {
    let next = plan.seats.iter().map(|seat| seat.node_id).max().unwrap_or_default() + 1;
    let hub = plan.seats.iter().position(|seat| seat.node_id == 0).unwrap_or_default();
    let invites = lock.made.is_some() || cluster.drawn;
    let hub_id = plan.seats.get(hub).map(|seat| seat.node_id).unwrap_or_default();
    let (run, drawn) = (run.clone(), cluster.clone());
    let secret = lock.made.as_ref().map(|text| text.reveal().to_owned());
    move |addresses| {
        if !invites {
            return None;
        }
        let address = addresses.get(hub).and_then(|addresses| addresses.first());
        let command = join::command(
            &run,
            &Invitation {
                secret: secret.as_deref(),
                cluster: drawn.name.as_deref().filter(|_| drawn.drawn),
                address: address.map(String::as_str),
                node_id: next,
            },
        );
        let at = address.map(|address| format!("node {hub_id} listens on {address}; "));
        Some(format!(
            "{}to join from another server, type there, with other --node-ids on each:\n\n    {command}\n",
            at.unwrap_or_default()
        ))
    }
}

/// Says something on standard error that is no error.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "ditask: {text}");
}
