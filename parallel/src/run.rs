use std::{fmt, process::ExitCode, sync::Arc};

use tidings_router_core::{BoxFuture, Result, error_chain, runtime};

use crate::{
    call::{Part, next_call},
    child,
    failure::exit_code,
    launcher, local,
    plan::Plan,
    program::Main,
};

/// A run about to begin; made by [`Runner::run`](crate::Runner::run).
///
/// It is over when every node has ended: without an error when every main returned `Ok`. The first failure
/// ends all. SIGINT, SIGTERM, SIGHUP and SIGQUIT end a run of processes in order, within
/// [`Runner::deadline`](crate::Runner::deadline); a second one kills the children at once. From the first
/// such run on these signals are handled for as long as the process lives: outside of a run they end it with
/// exit status 128 plus the signal's number. A signal that is ignored (`nohup`) stays ignored.
///
/// # Errors
///
/// [`Error::Failed`](tidings_router_core::Error::Failed) names the node in `what` and its error in `source`;
/// for a node in another process that is a [`Failure`](crate::Failure).
/// [`Error::Setting`](tidings_router_core::Error::Setting) for what cannot be, and the errors of
/// [`RouterBuilder::open`](tidings_router_core::RouterBuilder::open).
///
/// # Cancel safety
///
/// Dropping the future ends all nodes in order, in the background.
#[must_use = "a `Run` does nothing unless awaited or `.wait()`ed for"]
pub struct Run {
    plan: Plan,
    main: Main,
    call: u64,
}

impl Run {
    pub(crate) fn new(plan: Plan, main: Main) -> Self {
        // Counted here, where the program stands the same way in all processes, not where it is polled.
        Self { plan, main, call: next_call() }
    }

    /// The same, of a number that is not counted.
    pub(crate) fn of_call(plan: Plan, main: Main, call: u64) -> Self {
        Self { plan, main, call }
    }

    /// Blocks this thread until the run is over.
    ///
    /// # Errors
    ///
    /// Those of [`Run`].
    pub fn wait(self) -> Result<()> {
        runtime::block_on(self.into_future())
    }

    /// Blocks this thread until the run is over, writes its error, if any, on standard error, and returns
    /// what `main` should: the [exit code](crate::exit_code) of the node that failed.
    ///
    /// ```
    /// use std::{process::ExitCode, sync::Arc};
    /// use tidings_parallel::Runner;
    /// use tidings_router_core::{Error, Router};
    ///
    /// fn main() -> ExitCode {
    ///     Runner::new(2, None).in_process().run(node).exit()
    /// }
    ///
    /// async fn node(router: Arc<dyn Router>) -> Result<(), Error> {
    ///     Ok(())
    /// }
    /// ```
    pub fn exit(self) -> ExitCode {
        let Err(error) = self.wait() else { return ExitCode::SUCCESS };
        child::complain(&format!("error: {}", error_chain(&error)));
        exit_code(&error).into()
    }
}

impl IntoFuture for Run {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { plan, main, call } = self;
        let plan = Arc::new(plan);
        Box::pin(async move {
            match Part::of(call, &plan)? {
                Part::Skip => Ok(()),
                Part::Node(child) => child::run(child, plan, main).await,
                part => {
                    plan.check()?;
                    match part {
                        Part::Launcher => launcher::run(plan, call).await,
                        _ if plan.in_process => local::run_all(&plan, &main).await,
                        _ => local::run_one(&plan, &main).await,
                    }
                }
            }
        })
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("plan", &self.plan).field("call", &self.call).finish_non_exhaustive()
    }
}
