use std::ops::{Deref, DerefMut};

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
}

impl<S: State> Context<S> {
    pub(crate) fn new(state: S, task: TaskHandle) -> Self {
        Self { total_step: 0, state: Some(state), task }
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

    /// Takes the whole context away to share it, and leaves one without a state.
    pub(crate) fn lend(&mut self) -> Self {
        Self { total_step: self.total_step, state: self.state.take(), task: self.task.clone() }
    }

    /// Whether the state is here, and not with a branch that has outlived its step.
    pub(crate) fn is_whole(&self) -> bool {
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
