use std::sync::Mutex;

use tidings_router_core::{BoxFuture, Result, runtime};

use crate::{Context, Middleware, Next, Outcome, State, outcome::step_error};

/// A step that is a function.
pub(crate) struct Step<F> {
    name: String,
    function: Mutex<F>,
}

impl<F> Step<F> {
    pub(crate) fn new(name: String, function: F) -> Self {
        Self { name, function: Mutex::new(function) }
    }
}

impl<S, F, O> Middleware<S> for Step<F>
where
    S: State,
    F: FnMut(&mut Context<S>) -> O + Send + 'static,
    O: Outcome,
{
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        runtime::blocking(|| {
            let mut function = self.function.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            function(ctx).into_result()
        })
        .map_err(|error| step_error(&self.name, error))?;
        next.run(ctx).await
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// A step that is an asynchronous function.
pub(crate) struct AsyncStep<F> {
    name: String,
    function: Mutex<F>,
}

impl<F> AsyncStep<F> {
    pub(crate) fn new(name: String, function: F) -> Self {
        Self { name, function: Mutex::new(function) }
    }
}

impl<S, F> Middleware<S> for AsyncStep<F>
where
    S: State,
    F: for<'a> FnMut(&'a mut Context<S>) -> BoxFuture<'a, Result<()>> + Send + 'static,
{
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        let running = {
            let mut function = self.function.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            function(ctx)
        };
        running.await?;
        next.run(ctx).await
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
