use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use crate::TaskHandle;

/// What a task keeps from step to step and renews after each of them.
///
/// `#[derive(State)]` resets every field to its default but those marked `#[keep]`.
pub trait State: Send + 'static {
    /// Is called after each step.
    fn renew(&mut self);
}

impl State for () {
    fn renew(&mut self) {}
}

/// What a step works on: the state, by `Deref`, and the task.
#[derive(Debug)]
pub struct Context<S> {
    /// How many steps are over.
    pub total_step: u64,
    /// Away only while branches that run at the same time share it.
    state: Option<S>,
    task: TaskHandle,
    /// What the branches share, until it is taken back.
    lent: Option<Arc<Mutex<Self>>>,
}

impl<S: State> Context<S> {
    pub(crate) fn new(state: S, task: TaskHandle) -> Self {
        Self { total_step: 0, state: Some(state), task, lent: None }
    }

    /// The task that runs the step: to emit, to wait for events, to finish.
    pub fn task(&self) -> &TaskHandle {
        &self.task
    }

    /// Ends a step.
    pub(crate) fn renew(&mut self) {
        self.state.as_mut().map(State::renew);
        self.total_step += 1;
    }

    /// Lends the whole context to those who share it, and leaves one without a state.
    pub(crate) fn lend(&mut self) -> Arc<Mutex<Self>> {
        let (total_step, state, task) = (self.total_step, self.state.take(), self.task.clone());
        let lent = Arc::new(Mutex::new(Self { total_step, state, task, lent: None }));
        self.lent = Some(lent.clone());
        lent
    }

    /// Takes back what was lent, if nobody holds it any more. Returns whether the state is here, and not with a branch
    /// that has outlived its step.
    pub(crate) fn reclaim(&mut self) -> bool {
        match self.lent.take().map(Arc::try_unwrap) {
            Some(Ok(whole)) => *self = whole.into_inner().unwrap_or_else(PoisonError::into_inner),
            Some(Err(lent)) => self.lent = Some(lent),
            None => {}
        }
        self.state.is_some()
    }
}

impl<S> Deref for Context<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.state.as_ref().expect("the state is away only while branches share it")
    }
}

impl<S> DerefMut for Context<S> {
    fn deref_mut(&mut self) -> &mut S {
        self.state.as_mut().expect("the state is away only while branches share it")
    }
}
