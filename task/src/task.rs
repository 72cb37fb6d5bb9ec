use std::{fmt, ops::Deref, sync::Arc};

use tidings_router_core::{BoxFuture, Result};

use crate::{
    Branch, Branches, Context, Middleware, Outcome, Run, State, TaskBuilder, TaskHandle,
    branch::BranchStep,
    chain::Chain,
    parallel, serial,
    step::{AsyncStep, Step},
};

/// Events with types, and a loop of steps.
///
/// All that has to do with events stands on [`TaskHandle`], to which a task derefs. Dropping the task stops its
/// listeners; what has been queued for them is dropped and counted.
///
/// ```
/// use tidings_task::{Context, Task};
///
/// let mut task = Task::builder().build();
/// task.step(|ctx: &mut Context<()>| println!("step {}", ctx.total_step));
/// task.run(3).wait()?;
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
pub struct Task<S: State = ()> {
    handle: TaskHandle,
    pub(crate) chain: Chain<S>,
    pub(crate) context: Context<S>,
}

impl Task {
    /// Starts to describe a task.
    pub fn builder() -> TaskBuilder<()> {
        TaskBuilder::default()
    }
}

impl<S: State> Task<S> {
    pub(crate) fn new(state: S, handle: TaskHandle) -> Self {
        let context = Context::new(state, handle.clone());
        Self { handle, chain: Chain::new(), context }
    }

    /// The task without its steps, to keep in handlers, steps and threads.
    pub fn handle(&self) -> TaskHandle {
        self.handle.clone()
    }

    /// Adds a function to every step; it may block.
    pub fn step<F, O>(&mut self, step: F) -> &mut Self
    where
        F: FnMut(&mut Context<S>) -> O + Send + 'static,
        O: Outcome,
    {
        self.with(Step::new(self.next_name(), step))
    }

    /// Adds an asynchronous function to every step.
    pub fn step_async<F>(&mut self, step: F) -> &mut Self
    where
        F: for<'a> FnMut(&'a mut Context<S>) -> BoxFuture<'a, Result<()>> + Send + 'static,
    {
        self.with(AsyncStep::new(self.next_name(), step))
    }

    fn next_name(&self) -> String {
        format!("step {}", self.chain.middlewares.len())
    }

    /// Adds a middleware to every step, or a wrapper around all of them.
    pub fn with(&mut self, middleware: impl Middleware<S>) -> &mut Self {
        middleware.attach(&self.handle);
        let wraps = middleware.wraps();
        let chain = if wraps { &mut self.chain.wrappers } else { &mut self.chain.middlewares };
        chain.push(Arc::new(middleware));
        self
    }

    /// Adds branches that run at the same time and are joined before the step goes on.
    ///
    /// They share the context by [`Shared::lock`](crate::Shared::lock). The first error ends the step; branches that
    /// still wait for an event get [`Error::Finished`](tidings_router_core::Error::Finished).
    pub fn parallel(&mut self, branches: impl Branches<S>) -> &mut Self {
        self.with(BranchStep(parallel(branches).into_part()))
    }

    /// Adds branches that run one after the other.
    pub fn serial(&mut self, branches: impl Branches<S>) -> &mut Self {
        self.with(BranchStep(serial(branches).into_part()))
    }

    /// Runs one middleware by hand, with nothing behind it: its forward part, then its backward part.
    ///
    /// # Errors
    ///
    /// The middleware's.
    pub async fn call(&mut self, middleware: &impl Middleware<S>) -> Result<()> {
        middleware.call(&mut self.context, Chain::new().start()).await
    }

    /// The state and the number of steps so far, between runs.
    pub fn context(&mut self) -> &mut Context<S> {
        self.context.reclaim();
        &mut self.context
    }

    /// Runs steps until there are so many, until any node of the task has finished, or until the first error: of a
    /// step, of a listener, here.
    ///
    /// A task that has done its steps has finished, and so ends on every node. When the end comes from elsewhere the
    /// current step is finished first; a [`wait_for`](TaskHandle::wait_for) in it that is still waiting gets
    /// [`Error::Finished`](tidings_router_core::Error::Finished), and if the step returns that, it was the last.
    ///
    /// Handlers then finish what they have been handed, for at most a second.
    ///
    /// # Errors
    ///
    /// The first error of a step or a listener; a panic of either is an [`Error::Failed`](tidings_router_core::Error).
    ///
    /// # Cancel safety
    ///
    /// Dropping the run ends it in the middle of a step; the task can be run again.
    pub fn run(&mut self, steps: u64) -> Run<'_, S> {
        Run::new(self, steps)
    }
}

impl<S: State> Deref for Task<S> {
    type Target = TaskHandle;

    fn deref(&self) -> &TaskHandle {
        &self.handle
    }
}

impl<S: State> Drop for Task<S> {
    fn drop(&mut self) {
        self.handle.core.close();
    }
}

impl<S: State> fmt::Debug for Task<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("name", &self.handle.core.name)
            .field("steps", &self.chain)
            .finish_non_exhaustive()
    }
}
