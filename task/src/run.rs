use std::{
    future::{Future, IntoFuture, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::Poll,
    time::Duration,
};

use tidings_router_core::{BoxFuture, Error, Result, Timeout, runtime};

use crate::{
    Context, State, Task,
    branch::{LAST_MOMENT, state_is_away},
    handle::Core,
    handlers::{catch_up, panic_error},
    in_step,
};

/// Steps about to be run; made by [`Task::run`].
#[derive(Debug)]
#[must_use = "a `Run` does nothing unless awaited or `.wait()`ed for"]
pub struct Run<'a, S: State> {
    task: &'a mut Task<S>,
    steps: u64,
}

impl<'a, S: State> Run<'a, S> {
    pub(crate) fn new(task: &'a mut Task<S>, steps: u64) -> Self {
        Self { task, steps }
    }

    /// Blocks this thread until the run is over.
    ///
    /// # Errors
    ///
    /// Those of [`Task::run`].
    pub fn wait(self) -> Result<()> {
        runtime::block_on(self.run())
    }

    async fn run(self) -> Result<()> {
        let core = self.task.handle().core;
        core.begin();
        self.steps(&core).await?;
        // What the steps have emitted is handled before the run is over, and an error that comes last still counts.
        catch_up(core.progress()).await;
        core.take_error().map_or(Ok(()), Err)
    }

    async fn steps(self, core: &Core) -> Result<()> {
        for _ in 0..self.steps {
            if let Some(error) = core.take_error() {
                return Err(error);
            }
            if core.is_finished() {
                return Ok(());
            }
            if !is_whole(&mut self.task.context).await {
                return Err(state_is_away());
            }
            let mut step = in_step::scoped(self.task.chain.start().run(&mut self.task.context));
            let step = poll_fn(move |cx| {
                let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut step).poll(cx)));
                let panicked = |panic| Poll::Ready(Err(Error::failed("a step", panic_error(panic))));
                polled.unwrap_or_else(panicked)
            });
            let failed = async {
                // A step that waits for something else is not waited for when a listener fails.
                core.until(|phase| phase.failed).await;
                // But branches are, for as long as it takes to give them up: they have the state.
                if core.branching.load(Relaxed) > 0 {
                    Timeout::new(4 * LAST_MOMENT, std::future::pending::<()>()).await;
                }
            };
            let result = tokio::select! {
                biased;
                result = step => result,
                () = failed => Ok(()),
            };
            if let Some(error) = core.take_error() {
                return Err(error);
            }
            match result {
                Err(Error::Finished) if core.is_finished() => return Ok(()),
                result => result?,
            }
            self.task.context.renew();
        }
        // Done with its steps, the task has finished everywhere.
        core.finish(core.phase().run());
        Ok(())
    }
}

/// Whether the state is here. Branches of a run that was dropped need a moment to let go of it, and nothing tells when
/// the last of them has.
async fn is_whole<S: State>(context: &mut Context<S>) -> bool {
    for _ in 0..100 {
        if context.reclaim() {
            return true;
        }
        Timeout::new(Duration::from_millis(1), std::future::pending::<()>()).await;
    }
    context.reclaim()
}

impl<'a, S: State> IntoFuture for Run<'a, S> {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'a, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    use tidings_router_core::{Error, Event};

    use crate::{Context, Task};

    fn greeting(task: &mut Task) {
        task.step_async(|ctx: &mut Context<()>| {
            Box::pin(async { ctx.task().emit("greeting", &ctx.total_step).await })
        });
    }

    #[test]
    fn what_the_steps_emit_is_handled_before_the_run_is_over() {
        let heard = Arc::new(AtomicU64::new(0));
        let mut task = Task::builder().build();
        let count = heard.clone();
        task.on("greeting", move |_: Event<u64>| {
            count.fetch_add(1, Relaxed);
        });
        greeting(&mut task);
        task.run(10).wait().unwrap();
        assert_eq!(heard.load(Relaxed), 10);
    }

    #[test]
    fn a_step_that_panics_fails_the_run() {
        let mut task = Task::builder().build();
        task.step(|ctx: &mut Context<()>| assert!(ctx.total_step < 3, "three are enough"));
        let error = task.run(10).wait().unwrap_err();
        let Error::Failed { what, source } = &error else { panic!("{error:?}") };
        assert_eq!((&**what, source.to_string().contains("three are enough")), ("a step", true));
    }

    #[test]
    fn a_handler_that_fails_at_the_last_message_fails_the_run() {
        let mut task = Task::builder().build();
        task.on("greeting", |event: Event<u64>| if event.payload == 9 { Err("no") } else { Ok(()) });
        greeting(&mut task);
        let error = task.run(10).wait().unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
    }
}
