//! The programs that this executable is, besides the test.

use std::{
    env,
    future::pending,
    io::{Read, Write, stdin},
    os::unix::net::UnixStream,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

use tidings::{Address, BoxError, Parallel, Router, Topology, parallel::Runner};
use tidings_testkit::{Raw, frame, hello};

use crate::{entries, node, settings::Settings};

/// The node's address to whom half a hello is said.
pub(crate) const TARGET: &str = "TIDINGS_TEST_TARGET";

/// Where the nodes of a launcher listen, and to whom they attach, in words; then whether they flood.
pub(crate) const LAUNCH: &str = "TIDINGS_TEST_LAUNCH";

/// A socket of the test's on which each main says that it is there, and waits to be told to go on.
pub(crate) const GATE: &str = "TIDINGS_TEST_GATE";

/// The number of a job.
pub(crate) const JOB: &str = "TIDINGS_TEST_JOB";

pub(crate) fn run(program: &str) -> ExitCode {
    match program {
        "node" => node::run(),
        "half a hello" => half_a_hello(),
        "launcher" => launcher(),
        "first message" => first_message(),
        "entries" => entries::run(),
        "job" => Parallel::runner(2).run(job).exit(),
        "job over redis" => {
            let server = std::env::var(crate::jobs::SERVER).unwrap();
            Parallel::runner(2).transport(tidings::transport::Redis::connect(server)).run(job).exit()
        }
        "job over tcp" => {
            Parallel::runner(2).transport(tidings::transport::Tcp::bind("127.0.0.1:0")).run(job).exit()
        }
        other => panic!("no program `{other}`"),
    }
}

/// A stranger in the middle of its handshake, that does what its standard input says.
fn half_a_hello() -> ExitCode {
    let target: Address = env::var(TARGET).unwrap().parse().unwrap();
    let runtime =
        tidings_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut raw = runtime.block_on(async {
        let mut raw = Raw::connect(&target).await.unwrap();
        let hello = frame(&hello(2, "tidings", Topology::Mesh));
        raw.send(&hello[..hello.len() / 2]).await.unwrap();
        raw
    });
    println!("half");
    for line in stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            "panic" => panic!("told to"),
            "exit 1" => std::process::exit(1),
            "closed" => {
                runtime.block_on(raw.until_closed());
                println!("closed");
            }
            _ => break,
        }
    }
    ExitCode::SUCCESS
}

fn launcher() -> ExitCode {
    let text = env::var(LAUNCH).unwrap();
    let mut words = text.split_whitespace();
    let (floods, listen) = (words.next() == Some("floods"), words.next().unwrap());
    let runner = Parallel::runner(2).node_ids(2).cluster("tidings").attach_to(words);
    let runner: Runner = match listen {
        crate::settings::PRIVATE => runner,
        address => runner.transport(tidings::transport::Tcp::bind(address)),
    };
    // The process is there before its node is: a run that never gets to its main is told as well.
    println!("process {}", std::process::id());
    runner.run(move |router| hold(router, floods)).exit()
}

async fn hold(router: Arc<Router>, floods: bool) -> Result<(), BoxError> {
    let _numbered = router.subscribe::<tidings::Bytes>("numbered")?;
    println!("main {}", router.node_id());
    if floods {
        let node = router.clone();
        let forever = AtomicBool::new(false);
        thread::spawn(move || node::flood_until(&node, node.node_id().0, &node::MIXED, &forever));
    }
    pending().await
}

/// Emits right after `open`, and only then listens.
fn first_message() -> ExitCode {
    let settings = Settings::of_environment();
    let expected = env::var(JOB).unwrap().parse().unwrap();
    println!("opening");
    let router = settings.builder().open().wait().unwrap();
    router.emit("first", &settings.id).only_remote().wait().unwrap();
    let mut first = router.subscribe::<u32>("first").unwrap();
    let mut heard: Vec<u32> = (0..expected).map(|_| first.next_wait().unwrap().payload).collect();
    heard.sort_unstable();
    println!("heard {heard:?}");
    // The end of the input is the end of the test.
    let _ = stdin().read(&mut [0]);
    router.shutdown(Duration::from_secs(1)).wait();
    ExitCode::SUCCESS
}

/// A main whose every event carries the number of its job.
async fn job(router: Arc<Router>) -> Result<(), BoxError> {
    const MESSAGES: usize = 100;
    let job: u32 = env::var(JOB)?.parse()?;
    let mut gate = UnixStream::connect(env::var(GATE)?)?;
    let mut all = router.subscribe::<u32>("*")?;
    pass(&mut gate)?;
    for number in 0..MESSAGES {
        router.emit(&format!("event.{number}"), &job).only_remote().await?;
    }
    let mut jobs = Vec::new();
    for _ in 0..MESSAGES {
        jobs.push(all.next().await.ok_or("the end")?.payload);
    }
    // What another job has said must have had the time to come, were there a way.
    pass(&mut gate)?;
    jobs.extend(std::iter::from_fn(|| all.try_next()).map(|event| event.payload));
    let own = jobs.iter().filter(|other| **other == job).count();
    println!("job {job} node {} own {own} foreign {}", router.node_id(), jobs.len() - own);
    pass(&mut gate)?;
    Ok(())
}

/// Says that this main has come so far, and waits until all have.
fn pass(gate: &mut UnixStream) -> std::io::Result<()> {
    gate.write_all(&[1])?;
    gate.read_exact(&mut [0])
}
