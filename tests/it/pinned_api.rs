//! Programs outside are written against these lines: they must go on compiling, with the prelude alone.

use std::{sync::Arc, time::Duration};
use tidings::prelude::*;

async fn routers() -> Result<()> {
    let router: Arc<Router> = Router::builder()
        .node_id(1)
        .labels(["learner", "gpu"])
        .cluster("demo")
        .topology(Star)
        .transport(Tcp::bind("127.0.0.1:0"))
        .attach_to(["tcp://127.0.0.1:50515"])
        .secret(Secret::from_file("secret.key")?)
        .open()
        .await?;
    let _: NodeId = router.node_id();
    let _ = (router.addresses(), router.peers(), router.stats());
    router.wait_for_peers(2).timeout(Duration::from_secs(5)).await?;
    router.wait_for_listeners("greeting", 1).timeout(Duration::from_secs(5)).await?;

    router.emit("greeting", "Hi").await?;
    router.emit("greeting", &("Hi", 3)).only_remote().await?;
    router.emit("greeting", "Hi").only_local().await?;
    router.emit("greeting", "Hi").to(NodeId(3)).await?;
    router.emit("greeting", "Hi").try_now()?;
    router.emit("greeting", "Hi").wait()?;
    router.emit("blob", Bytes::from_static(b"Hi")).await?;
    let mut loan = router.loan(1 << 20);
    loan.fill(7);
    router.emit("blob", loan.freeze()).await?;

    let mut greetings = router.subscribe::<String>("greeting")?;
    let event: Option<Event<String>> = greetings.next().await;
    if let Some(event) = event {
        let _ = (event.name, event.source, event.payload);
    }
    let _blobs = router.subscribe::<Bytes>("blob")?;
    let _changes = router.changes();
    let report = router.shutdown(Duration::from_secs(1)).await;
    let _ = (report.flushed, report.discarded, report.unreachable);
    Ok(())
}

fn the_other_transports() {
    let _ = (Ipc::new(), Ipc::bind("/run/x.sock"), Memory::network());
    let _ = Ipc::new().shared_memory(64 << 20).shared_memory_from(32 << 10).busy_poll(true);
    let _ = (Topology::Star, Mesh, Alone, Scope::All, Secret::from_bytes([7; 32]));
}

#[derive(Default, State)]
struct Rollout {
    #[keep]
    env_step: u64,
    batch: Vec<f32>,
}

async fn save(_blob: Bytes) {}

async fn collect() -> Vec<f32> {
    Vec::new()
}

async fn tasks(router: Arc<Router>) -> Result<()> {
    let mut task = Task::builder().router(router.clone()).state(Rollout::default()).role("collector").build();
    let id = task.on("greeting", |msg: Event<String>| println!("Get msg: {}", msg.payload));
    task.on_async("ckpt", |msg: Event<Bytes>| async move { save(msg.payload).await });
    task.once("ready", |_: Event<()>| ());
    task.off(id);
    task.off_all("greet*");
    task.emit("greeting", "Hi").only_remote().await?;
    let _answer: Event<u64> = task.wait_for("answer").timeout(Duration::from_secs(1)).await?;

    task.step(|ctx: &mut Context<Rollout>| ctx.env_step += 1);
    task.step_async(|ctx| {
        Box::pin(async move {
            ctx.batch = collect().await;
            Ok(())
        })
    });
    task.with(StepTimer::default());
    task.parallel((|_: &Shared<Rollout>| (), |_: &Shared<Rollout>| ()));
    task.run(10).await?;
    task.finish();
    let _: Arc<Router> = task.router();
    let _: bool = task.match_labels(["node.0", "gpu*"]);
    Ok(())
}

fn mains() -> Result<()> {
    Parallel::runner(2).transport(Ipc::new()).topology(Star).auto_recover(3).run(node).wait()
}

async fn node(_router: Arc<Router>) -> Result<()> {
    Ok(())
}

/// What a `main.rs` holds.
mod program {
    use super::*;

    #[tidings::main]
    async fn main(router: Arc<Router>) -> tidings::Result<()> {
        router.emit("greeting", "Hi").await
    }

    #[tidings::entry]
    async fn evaluate(router: Arc<Router>) -> tidings::Result<()> {
        router.emit("evaluated", "Hi").await
    }

    pub(super) fn run() -> std::process::ExitCode {
        main()
    }
}

#[test]
fn what_programs_are_written_against_compiles() {
    let _ = (routers, the_other_transports, tasks, mains);
}

#[test]
fn a_main_that_stands_alone_succeeds() {
    assert_eq!(program::run(), std::process::ExitCode::SUCCESS);
}
