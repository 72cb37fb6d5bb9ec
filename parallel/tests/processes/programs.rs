//! The programs under test, as a user would write them.

use std::{
    convert::Infallible,
    env,
    fs::OpenOptions,
    future::pending,
    io::{BufRead, Write},
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use rustix::process::{Signal, getpid, kill_process};
use tidings_parallel::Runner;
use tidings_router_core::{BoxError, Error, Router, Topology, Transport};
use tidings_transport_ipc::Ipc;

use crate::support::{PROGRAM, report_presence};

type Node = Arc<dyn Router>;

fn runner(processes: usize) -> Runner {
    Runner::new(processes, Some(Arc::new(Ipc::new()) as Arc<dyn Transport>))
}

pub(crate) fn run(program: &str) -> ExitCode {
    match program {
        "greeting" => runner(2).run(greeting).exit(),
        "greeting in a star" => runner(3).topology(Topology::Star).run(greeting).exit(),
        "arguments" => runner(2).run(arguments).exit(),
        "twice" => twice(),
        "error" => runner(3).run(error).exit(),
        "error from main" => into_exit_code(runner(3).run(error).wait()),
        "panic" => runner(2).run(panics).exit(),
        "exit" => runner(2).run(exits).exit(),
        "hold" => runner(3).run(hold).exit(),
        "hold alone" => runner(1).run(hold).exit(),
        "busy" => runner(2).deadline(Duration::from_secs(1)).run(busy).exit(),
        "slow start" => slow_start(),
        "recover 1" => runner(2).auto_recover(1).run(fails_once).exit(),
        "recover 0" => runner(2).auto_recover(0).run(fails_once).exit(),
        "recover always" => runner(2).auto_recover(2).run(always_fails).exit(),
        "die once" => runner(2).auto_recover(1).run(dies_once).exit(),
        "hub dies once" => runner(3).topology(Topology::Star).auto_recover(1).run(dies_once).exit(),
        "lines" => runner(3).run(lines).exit(),
        "prefixed lines" => runner(3).prefix_output().node_ids(5).run(lines).exit(),
        "begin" => runner(8).run(begin).exit(),
        "own runtime" => own_runtime(),
        "dropped" => dropped(),
        "nested" => runner(2).run(nested).exit(),
        "grandchild" => runner(2).run(grandchild).exit(),
        "single" => runner(1).run(single).exit(),
        "never there" => never_there(),
        "no transport" => Runner::new(2, None).run(hold).exit(),
        "after a run" => after_a_run(),
        other => panic!("no program `{other}`"),
    }
}

fn into_exit_code(result: Result<(), Error>) -> ExitCode {
    // What the standard library makes of `fn main() -> Result<(), Error>`.
    std::process::Termination::report(result)
}

async fn greeting(router: Node) -> Result<(), BoxError> {
    // Before it greets: who has had all greetings leaves.
    let others = router.peers().len();
    let mut greetings = router.subscribe::<String>("greeting")?;
    router.emit("greeting", "Hi").only_remote().await?;
    for _ in 0..others {
        let event = greetings.next().await.ok_or("no greeting")?;
        println!("{} got {} from {}", router.node_id(), event.payload, event.source);
    }
    Ok(())
}

async fn arguments(router: Node) -> Result<(), BoxError> {
    println!("{} {:?}", router.node_id(), env::args().skip(1).collect::<Vec<_>>());
    Ok(())
}

fn twice() -> ExitCode {
    let first = runner(2).run(async |router: Node| said("first", &router)).wait();
    println!("between");
    let second = runner(2).run(async |router: Node| said("second", &router)).wait();
    println!("after");
    into_exit_code(first.and(second))
}

fn said(what: &str, router: &Node) -> Result<(), Infallible> {
    println!("{what} {}", router.node_id());
    Ok(())
}

async fn error(router: Node) -> Result<(), BoxError> {
    match router.node_id().0 {
        1 => Err(Error::io("cannot learn", std::io::Error::other("disk full")).into()),
        _ => pending().await,
    }
}

async fn panics(router: Node) -> Result<(), BoxError> {
    assert_ne!(router.node_id().0, 1, "out of luck");
    pending().await
}

async fn exits(router: Node) -> Result<(), BoxError> {
    if router.node_id().0 == 1 {
        std::process::exit(7);
    }
    pending().await
}

async fn hold(router: Node) -> Result<(), BoxError> {
    report_presence(router.node_id().0);
    pending().await
}

async fn busy(router: Node) -> Result<(), BoxError> {
    report_presence(router.node_id().0);
    loop {
        std::thread::park();
    }
}

/// Waits before its run, and after the builder is there, for a line that never comes.
fn slow_start() -> ExitCode {
    let runner = runner(2);
    if env::var("TIDINGS_NODE_INDEX").is_ok() {
        report_presence(0);
        loop {
            std::thread::park();
        }
    }
    runner.run(hold).exit()
}

async fn fails_once(router: Node) -> Result<(), BoxError> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    if router.node_id().0 == 1 && RUNS.fetch_add(1, Ordering::Relaxed) == 0 {
        return Err("not yet".into());
    }
    println!("{} in process {}", router.node_id(), std::process::id());
    // Everyone greets until everyone has been greeted: the other one may have begun long ago.
    meet(&router).await
}

async fn always_fails(router: Node) -> Result<(), BoxError> {
    if router.node_id().0 != 1 {
        return pending().await;
    }
    println!("try");
    Err("never".into())
}

/// Says something to every node and hears something of every node, whenever these begin.
async fn meet(router: &Node) -> Result<(), BoxError> {
    let mut meetings = router.subscribe::<u32>("meeting")?;
    router.wait_for_listeners("meeting", router.peers().len().max(1)).await?;
    router.emit("meeting", &router.node_id().0).only_remote().await?;
    let event = meetings.next().await.ok_or("no meeting")?;
    println!("{} met {}", router.node_id(), event.source);
    Ok(())
}

/// Node 0 of a star, node 1 of a mesh, kills itself once.
async fn dies_once(router: Node) -> Result<(), BoxError> {
    let victim = if router.topology() == Topology::Star { 0 } else { 1 };
    let is_first = || OpenOptions::new().write(true).create_new(true).open("died").is_ok();
    if router.node_id().0 == victim && is_first() {
        kill_process(getpid(), Signal::KILL)?;
    }
    if router.node_id().0 != victim {
        // The victim's next life, however much of the first one was seen.
        let mut meetings = router.subscribe::<u32>("meeting")?;
        let event = meetings.next().await.ok_or("no meeting")?;
        println!("{} met {}", router.node_id(), event.source);
        return Ok(());
    }
    let others = router.peers().len();
    println!("{} lives again with {others}", router.node_id());
    router.emit("meeting", &router.node_id().0).only_remote().await?;
    Ok(())
}

async fn lines(router: Node) -> Result<(), BoxError> {
    let letter = char::from(b'a' + router.node_id().0 as u8).to_string();
    let mut out = std::io::stdout();
    for _ in 0..200 {
        // In pieces that a line buffer would not keep together.
        for _ in 0..20 {
            out.write_all(letter.repeat(50).as_bytes())?;
            out.flush()?;
        }
        out.write_all(b"\n")?;
    }
    out.write_all(b"end")?;
    Ok(())
}

async fn begin(_: Node) -> Result<(), BoxError> {
    println!("{}", SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros());
    Ok(())
}

fn own_runtime() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    into_exit_code(runtime.block_on(async { runner(2).run(greeting).await }))
}

/// Gives up a run when told by a line.
fn dropped() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let run = tokio::spawn(runner(2).run(hold).into_future());
        let (told, mut is_told) = tokio::sync::mpsc::channel(1);
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = std::io::stdin().lock().read_line(&mut line);
            let _ = told.blocking_send(());
        });
        // Nobody tells a child: it has no standard input, and lives until its launcher says stop.
        if env::var("TIDINGS_NODE_INDEX").is_ok() {
            return drop(run.await);
        }
        is_told.recv().await;
        run.abort();
        let _ = run.await;
    });
    // The launcher lives on until it is told to end.
    println!("dropped");
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    ExitCode::SUCCESS
}

async fn nested(router: Node) -> Result<(), BoxError> {
    let refused = runner(2).run(greeting).await;
    println!("{} {}", router.node_id(), matches!(refused, Err(Error::Setting { .. })));
    Runner::new(2, None).in_process().run(greeting).await?;
    Ok(())
}

async fn grandchild(router: Node) -> Result<(), BoxError> {
    if router.node_id().0 == 0 {
        let status = Command::new(env::current_exe()?).env(PROGRAM, "single").status()?;
        println!("grandchild {status}");
    }
    Ok(())
}

async fn single(router: Node) -> Result<(), BoxError> {
    println!("single {} in {}", router.node_id(), std::process::id());
    Ok(())
}

fn never_there() -> ExitCode {
    if env::var("TIDINGS_NODE_INDEX").as_deref() == Ok("1") {
        return ExitCode::SUCCESS;
    }
    runner(2).run(hold).exit()
}

/// Waits for a signal after its run.
fn after_a_run() -> ExitCode {
    let done = runner(2).run(|_: Node| async { Ok::<(), Infallible>(()) }).exit();
    report_presence(9);
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    done
}
