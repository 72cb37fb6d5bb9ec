use std::{fmt, sync::Arc};

use tidings_router_core::Result;

use crate::{Context, State, middleware::AnyMiddleware};

/// The middlewares of a task, and the wrappers around each of them.
pub(crate) struct Chain<S: State> {
    pub(crate) middlewares: Vec<Arc<dyn AnyMiddleware<S>>>,
    pub(crate) wrappers: Vec<Arc<dyn AnyMiddleware<S>>>,
}

impl<S: State> Chain<S> {
    pub(crate) fn new() -> Self {
        Self { middlewares: Vec::new(), wrappers: Vec::new() }
    }

    /// The whole step.
    pub(crate) fn start(&self) -> Next<'_, S> {
        Next { middlewares: &self.middlewares, wrappers: &self.wrappers, outer: 0 }
    }
}

impl<S: State> fmt::Debug for Chain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.middlewares.iter().map(|middleware| middleware.name())).finish()
    }
}

/// The rest of a step.
pub struct Next<'a, S: State> {
    middlewares: &'a [Arc<dyn AnyMiddleware<S>>],
    wrappers: &'a [Arc<dyn AnyMiddleware<S>>],
    /// How many wrappers have been called around the first of the middlewares.
    outer: usize,
}

impl<S: State> Next<'_, S> {
    /// Runs the rest of the step.
    ///
    /// # Errors
    ///
    /// The first error of a middleware in it.
    pub async fn run(self, ctx: &mut Context<S>) -> Result<()> {
        let Some((first, rest)) = self.middlewares.split_first() else { return Ok(()) };
        match self.wrappers.get(self.outer) {
            Some(wrapper) => wrapper.call(ctx, Next { outer: self.outer + 1, ..self }).await,
            None => first.call(ctx, Next { middlewares: rest, wrappers: self.wrappers, outer: 0 }).await,
        }
    }

    /// What the middleware that would run next is called; `None` at the end of the step.
    pub fn name(&self) -> Option<String> {
        self.middlewares.first().map(|middleware| middleware.name())
    }
}

impl<S: State> fmt::Debug for Next<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Next").field(&self.name()).finish()
    }
}
