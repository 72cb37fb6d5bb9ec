use std::future::IntoFuture;

use tidings_router_core::{BoxFuture, Error, Result, runtime};

use crate::{State, Task};

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
        for _ in 0..self.steps {
            if let Some(error) = core.take_error() {
                return Err(error);
            }
            if core.is_finished() {
                return Ok(());
            }
            if !self.task.context.is_whole() {
                let reason = "a branch of an earlier step still runs and has the state".to_owned();
                return Err(Error::Setting { setting: "run".into(), reason });
            }
            let step = self.task.chain.start().run(&mut self.task.context);
            let failed = async {
                // A step that waits for something else is not waited for when a listener fails.
                core.until_over().await;
                if core.is_finished() {
                    std::future::pending::<()>().await;
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
                Err(Error::Finished) if core.is_over() => return Ok(()),
                result => result?,
            }
            self.task.context.renew();
        }
        // Done with its steps, the task has finished everywhere; an error that came last still counts.
        core.finish();
        core.take_error().map_or(Ok(()), Err)
    }
}

impl<'a, S: State> IntoFuture for Run<'a, S>
where
    S: Sync,
{
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'a, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
