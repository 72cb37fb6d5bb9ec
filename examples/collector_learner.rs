//! A collector and a learner, a process each, step for step; the learner says when both are done.

use std::sync::Arc;
use tidings::prelude::*;

#[derive(Default, State)]
struct Training {
    /// Survives the step. What is not kept is renewed after each.
    #[keep]
    trained: u64,
    batch: Vec<f32>,
}

fn main() -> Result<()> {
    Parallel::runner(2).run(node).wait()
}

async fn node(router: Arc<Router>) -> Result<()> {
    let role = if router.node_id() == NodeId(0) { "learner" } else { "collector" };
    let mut task = Task::builder().router(router).state(Training::default()).role(role).build();
    // Before each step, and again behind it, the two wait for each other: the collector does not run ahead.
    task.with(Barrier::default());
    if task.has_role("collector") {
        collect(&mut task);
    } else {
        learn(&mut task)?;
    }
    task.run(1_000).await
}

fn collect(task: &mut Task<Training>) {
    task.step(|ctx: &mut Context<Training>| ctx.batch = vec![ctx.total_step as f32; 64]);
    task.step_async(|ctx| Box::pin(async move { ctx.task().emit("batch", &ctx.batch).only_remote().await }));
}

fn learn(task: &mut Task<Training>) -> Result<()> {
    let mut batches = task.router().subscribe::<Vec<f32>>("batch")?;
    task.step(move |ctx: &mut Context<Training>| {
        let Some(batch) = batches.next_wait() else { return };
        println!("learner: batch {} of {} numbers", batch.payload[0], batch.payload.len());
        ctx.trained += 1;
        if ctx.trained == 20 {
            println!("learner: trained on {} batches", ctx.trained);
            ctx.task().finish();
        }
    });
    Ok(())
}
