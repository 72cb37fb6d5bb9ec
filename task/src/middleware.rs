use std::future::Future;

use tidings_router_core::{BoxFuture, Result};

use crate::{Context, Next, State, TaskHandle};

/// A part of every step.
///
/// What stands before `next.run(ctx)` runs on the way forward, in the order in which the middlewares were added, and
/// what stands after it on the way back, in the reverse order: what a generator does around its `yield`.
///
/// ```
/// use tidings_task::{Context, Middleware, Next, State, Task};
/// # use tidings_router_core::Result;
///
/// struct Announce;
///
/// impl<S: State> Middleware<S> for Announce {
///     async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
///         println!("step {} begins", ctx.total_step);
///         next.run(ctx).await?;
///         println!("step {} ends", ctx.total_step);
///         Ok(())
///     }
/// }
///
/// let mut task = Task::builder().build();
/// task.with(Announce);
/// task.run(2).wait()?;
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
pub trait Middleware<S: State>: Send + Sync + 'static {
    /// Runs, and runs the rest of the step by `next.run(ctx)`, or ends the step early by not doing so.
    ///
    /// # Errors
    ///
    /// Whatever ends the task's `run`.
    fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> impl Future<Output = Result<()>> + Send;

    /// Whether it is a wrapper: called around every other middleware, those added before and those added after.
    /// Default: it is not.
    fn wraps(&self) -> bool {
        false
    }

    /// Is called when it is added to a task: the time to listen for events.
    fn attach(&self, _task: &TaskHandle) {}

    /// What it is called in messages to people. Default: the name of its type.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// A middleware whose type is not known.
pub(crate) trait AnyMiddleware<S: State>: Send + Sync {
    fn call<'a>(&'a self, ctx: &'a mut Context<S>, next: Next<'a, S>) -> BoxFuture<'a, Result<()>>;
    fn name(&self) -> String;
}

impl<S: State, M: Middleware<S>> AnyMiddleware<S> for M {
    fn call<'a>(&'a self, ctx: &'a mut Context<S>, next: Next<'a, S>) -> BoxFuture<'a, Result<()>> {
        Box::pin(Middleware::call(self, ctx, next))
    }

    fn name(&self) -> String {
        Middleware::name(self)
    }
}
