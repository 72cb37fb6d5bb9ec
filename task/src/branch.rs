//! Branches of a step that run at the same time, or one after the other, and nest.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use tidings_router_core::{BoxFuture, Error, Result, Timeout, runtime};
use tokio::task::JoinSet;

use crate::{
    Context, Middleware, Next, Outcome, State, TaskHandle, handlers::panic_error, in_step,
    outcome::step_error,
};

/// How long the other branches have to end once one has failed.
pub(crate) const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The context of a step, shared by its branches.
#[derive(Debug)]
pub struct Shared<S: State> {
    context: Arc<Mutex<Context<S>>>,
    task: TaskHandle,
}

impl<S: State> Shared<S> {
    /// The context, for this branch alone until the guard is dropped. Do not wait for anything while you hold it.
    pub fn lock(&self) -> MutexGuard<'_, Context<S>> {
        self.context.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task that runs the step.
    pub fn task(&self) -> &TaskHandle {
        &self.task
    }

    fn share(&self) -> Self {
        Self { context: self.context.clone(), task: self.task.clone() }
    }
}

/// A branch that can be run for one step after the other.
type Part<S> = Arc<dyn Fn(Shared<S>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// What can be a branch: a function of `&Shared<S>`, [`asynchronous`] ones, [`serial`] and [`parallel`].
pub trait Branch<S: State> {
    #[doc(hidden)]
    fn into_part(self) -> RunPart<S>;
}

/// A [`Branch`] ready to run.
#[doc(hidden)]
pub struct RunPart<S: State>(pub(crate) Part<S>);

impl<S: State> fmt::Debug for RunPart<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunPart")
    }
}

impl<S, F, O> Branch<S> for F
where
    S: State,
    F: Fn(&Shared<S>) -> O + Send + Sync + 'static,
    O: Outcome,
{
    fn into_part(self) -> RunPart<S> {
        let function = Arc::new(self);
        RunPart(Arc::new(move |shared| {
            let function = function.clone();
            Box::pin(async move {
                // A thread of its own: branches may block, and wait for each other.
                let called = runtime::work()
                    .spawn_blocking(move || in_step::scope(|| function(&shared).into_result()))
                    .await;
                let result = called.map_err(|error| match error.try_into_panic() {
                    Ok(panic) => panic_error(panic),
                    Err(error) => error.into(),
                });
                result.and_then(|result| result).map_err(|error| step_error("a branch", error))
            })
        }))
    }
}

/// A branch that is an asynchronous function; made by [`asynchronous`].
#[derive(Debug)]
pub struct Asynchronous<F>(F);

/// Makes an asynchronous function of the [`Shared`] context a branch.
pub fn asynchronous<F>(function: F) -> Asynchronous<F> {
    Asynchronous(function)
}

impl<S, F, Fut, O> Branch<S> for Asynchronous<F>
where
    S: State,
    F: Fn(Shared<S>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = O> + Send + 'static,
    O: Outcome,
{
    fn into_part(self) -> RunPart<S> {
        RunPart(Arc::new(move |shared| {
            let running = (self.0)(shared);
            Box::pin(
                async move { running.await.into_result().map_err(|error| step_error("a branch", error)) },
            )
        }))
    }
}

/// Several branches: a tuple of up to eight.
pub trait Branches<S: State> {
    #[doc(hidden)]
    fn into_parts(self) -> Vec<RunPart<S>>;
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<S: State, $($name: Branch<S>),+> Branches<S> for ($($name,)+) {
            fn into_parts(self) -> Vec<RunPart<S>> {
                #[expect(non_snake_case, reason = "one list of names serves types and values")]
                let ($($name,)+) = self;
                vec![$($name.into_part()),+]
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

/// Branches that run at the same time; made by [`parallel`].
#[derive(Debug)]
pub struct AtOnce<B>(B);

/// Branches that run one after the other; made by [`serial`].
#[derive(Debug)]
pub struct InTurn<B>(B);

/// Runs the branches of a tuple at the same time, and ends when all have ended, or one second after the first error.
pub fn parallel<B>(branches: B) -> AtOnce<B> {
    AtOnce(branches)
}

/// Runs the branches of a tuple one after the other, up to the first error.
pub fn serial<B>(branches: B) -> InTurn<B> {
    InTurn(branches)
}

impl<S: State, B: Branches<S>> Branch<S> for AtOnce<B> {
    fn into_part(self) -> RunPart<S> {
        let parts: Arc<[RunPart<S>]> = self.0.into_parts().into();
        RunPart(Arc::new(move |shared| Box::pin(run_at_once(parts.clone(), shared))))
    }
}

impl<S: State, B: Branches<S>> Branch<S> for InTurn<B> {
    fn into_part(self) -> RunPart<S> {
        let parts: Arc<[RunPart<S>]> = self.0.into_parts().into();
        RunPart(Arc::new(move |shared| {
            let parts = parts.clone();
            Box::pin(async move {
                for part in parts.iter() {
                    (part.0)(shared.share()).await?;
                }
                Ok(())
            })
        }))
    }
}

async fn run_at_once<S: State>(parts: Arc<[RunPart<S>]>, shared: Shared<S>) -> Result<()> {
    let mut running = JoinSet::new();
    for part in parts.iter() {
        running.spawn_on(in_step::scoped((part.0)(shared.share())), runtime::work());
    }
    let mut failed = false;
    loop {
        let next = match failed {
            false => running.join_next().await,
            // The others have a moment; one that never ends is not waited for.
            true => Timeout::new(LAST_MOMENT, Box::pin(running.join_next())).await.flatten(),
        };
        let error = match next {
            None if failed => {
                // Those that can be are given up, and let go of the state.
                Timeout::new(LAST_MOMENT, Box::pin(running.shutdown())).await;
                return Err(Error::Finished);
            }
            None => return Ok(()),
            Some(Ok(Ok(()))) => continue,
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => Error::failed("a branch", panic_error(panic)),
                Err(error) => Error::failed("a branch", error),
            },
        };
        // The first error is the task's; it also ends what the others wait for. A branch whose wait has ended with the run
        // has not failed.
        if !(matches!(error, Error::Finished) && shared.task.core.phase().is_over()) {
            shared.task.core.fail(error);
        }
        failed = true;
    }
}

/// Tells `run` that branches hold the state.
struct Branching<'a>(&'a TaskHandle);

impl<'a> Branching<'a> {
    fn new(task: &'a TaskHandle) -> Self {
        task.core.branching.fetch_add(1, Relaxed);
        Self(task)
    }
}

impl Drop for Branching<'_> {
    fn drop(&mut self) {
        self.0.core.branching.fetch_sub(1, Relaxed);
    }
}

/// The error of a step that lacks the state.
pub(crate) fn state_is_away() -> Error {
    let reason = "a branch of this or an earlier step still runs and has the state".to_owned();
    Error::Setting { setting: "run".into(), reason }
}

/// Branches as a middleware.
pub(crate) struct BranchStep<S: State>(pub(crate) RunPart<S>);

impl<S: State> Middleware<S> for BranchStep<S> {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        let task = ctx.task().clone();
        let result = {
            let _branching = Branching::new(&task);
            (self.0.0)(Shared { context: ctx.lend(), task: task.clone() }).await
        };
        // A branch that was given up may still hold the context.
        let whole = ctx.reclaim();
        result?;
        if !whole {
            return Err(state_is_away());
        }
        next.run(ctx).await
    }

    fn name(&self) -> String {
        "branches".into()
    }
}
