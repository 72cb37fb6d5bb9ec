//! A receiver and a sender, two middlewares of one task, over ten steps in one process.

use tidings::prelude::*;

fn main() -> Result<()> {
    let mut task = Task::builder().build();
    task.with(Receiver).with(Sender);
    task.run(10).wait()
}

struct Receiver;

impl Middleware<()> for Receiver {
    /// Called once, when the middleware is added: the time to listen.
    fn attach(&self, task: &TaskHandle) {
        task.on("greeting", |msg: Event<String>| println!("Get msg: {}", msg.payload));
    }

    async fn call(&self, ctx: &mut Context<()>, next: Next<'_, ()>) -> Result<()> {
        next.run(ctx).await
    }
}

struct Sender;

impl Middleware<()> for Sender {
    async fn call(&self, ctx: &mut Context<()>, next: Next<'_, ()>) -> Result<()> {
        let greeting = format!("Hi {} times", ctx.total_step);
        ctx.task().emit("greeting", &greeting).await?;
        next.run(ctx).await
    }
}
