use std::sync::Arc;

use tidings_router_core::Router;

use crate::{State, Task, TaskHandle, labels};

/// Describes a task; made by [`Task::builder`].
#[derive(Debug)]
#[must_use = "a `TaskBuilder` does nothing until `.build()`"]
pub struct TaskBuilder<S> {
    router: Option<Arc<dyn Router>>,
    state: S,
    name: String,
    roles: Vec<String>,
    labels: Vec<String>,
}

impl Default for TaskBuilder<()> {
    fn default() -> Self {
        Self { router: None, state: (), name: "task".into(), roles: Vec::new(), labels: Vec::new() }
    }
}

impl<S: State> TaskBuilder<S> {
    /// The router to listen and emit by. Default: a local one, and the task is this process alone.
    pub fn router(mut self, router: Arc<dyn Router>) -> Self {
        self.router = Some(router);
        self
    }

    /// What steps work on. Default `()`.
    pub fn state<T: State>(self, state: T) -> TaskBuilder<T> {
        let Self { router, name, roles, labels, .. } = self;
        TaskBuilder { router, state, name, roles, labels }
    }

    /// Tells this task from others on the same nodes: one that finishes ends its namesakes. Default `task`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A role, added to those given before; see [`TaskHandle::has_role`].
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Labels, added to those given before; see [`TaskHandle::labels`].
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.labels.extend(labels.into_iter().map(Into::into));
        self
    }

    /// Makes the task. It listens for the end of its namesakes from now on.
    pub fn build(self) -> Task<S> {
        let distributed = self.router.as_ref().is_some_and(|router| !router.addresses().is_empty());
        let router = self.router.unwrap_or_else(|| {
            let opening = <dyn Router>::builder().open();
            opening.wait().expect("a router without a transport does no I/O")
        });
        let labels = labels::labels(&*router, self.labels, distributed);
        Task::new(self.state, TaskHandle::new(router, self.name, labels, self.roles))
    }
}
