//! Events with types, and a loop of steps that is the same in one process and in forty.
//!
//! A [`Task`] listens ([`on`](TaskHandle::on), [`once`](TaskHandle::once), [`wait_for`](TaskHandle::wait_for)), emits,
//! and runs middlewares step after step until the steps are done or any node of the task has
//! [finished](TaskHandle::finish). It knows a router, and no transport.
//!
//! # Invariants
//!
//! * **One at a time.** A handler is called for one message after the other, in their order, never twice at once.
//! * **A failure stays where it is.** A handler that fails or panics stops, is reported at once and ends the task's
//!   `run`; what others emit and handle goes on.
//! * **Handlers first.** A `wait_for` that has its message lets the handlers that listened before it finish that message
//!   first. So what `on` does with a message has been done when `wait_for` of the same message returns.

mod barrier;
mod branch;
mod builder;
mod chain;
mod context;
mod contexts;
mod finish;
mod handle;
mod handlers;
mod in_step;
mod labels;
mod lock;
mod middleware;
mod outcome;
mod phase;
pub mod program;
mod run;
mod step;
mod task;
mod timer;
mod wait_for;

pub use barrier::Barrier;
pub use branch::{AtOnce, Branch, Branches, InTurn, Shared, asynchronous, parallel, serial};
pub use builder::TaskBuilder;
pub use chain::Next;
pub use context::{Context, State};
pub use contexts::{OfflineRlContext, OnlineRlContext};
pub use handle::TaskHandle;
pub use handlers::ListenerId;
pub use lock::StepLock;
pub use middleware::Middleware;
pub use outcome::Outcome;
pub use run::Run;
pub use task::Task;
pub use timer::StepTimer;
pub use wait_for::WaitFor;
