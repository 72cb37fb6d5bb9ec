//! The same `main` in N processes, or N times in this one.
//!
//! [`Runner`] starts this program again, once for each node, and hands each child its identity over by the
//! environment. The children open their routers, the launcher tells them of each other, and all mains begin
//! at once when all are connected.
//!
//! ```
//! use std::sync::Arc;
//! use tidings_parallel::Runner;
//! use tidings_router_core::{BoxError, Router};
//!
//! async fn node(router: Arc<dyn Router>) -> Result<(), BoxError> {
//!     let mut greetings = router.subscribe::<String>("greeting")?;
//!     router.emit("greeting", "Hi").only_remote().await?;
//!     assert_eq!(greetings.next().await.map(|event| event.payload).as_deref(), Some("Hi"));
//!     Ok(())
//! }
//!
//! Runner::new(2, None).in_process().run(node).wait()?;
//! # Ok::<(), tidings_router_core::Error>(())
//! ```
//!
//! In tests use [`Runner::in_process`]: the arguments of a launcher go along to its children, and those of a
//! test harness would have every child run all the tests.
//!
//! # Invariants
//!
//! * **No orphans.** A child notices the end of its launcher, however it died, by the end of the control
//!   connection, and is gone within a second. Between its start and that connection the kernel kills it. The
//!   one gap is the program's own code before its first `runner` call: who is in there finds the launcher
//!   gone when it gets to it.
//! * **No widows.** A run ends when every child is gone and reaped.
//! * **One life, one token.** A child is let in by a random token of its own, once. What inherits a child's
//!   environment is not taken for the child.
//! * **Nobody's litter.** Everyone who lives holds a lock on the run directory; who finds that nobody else
//!   does, removes it.
//! * **A child never launches.** In a child, `runner` calls before its own do nothing, and later ones are
//!   refused.

mod back_off;
mod call;
mod child;
mod control;
mod directory;
mod ending;
mod failure;
mod handover;
mod host;
mod keeper;
mod launcher;
mod local;
mod member;
mod nodes;
mod output;
mod plan;
mod program;
mod report;
mod run;
mod runner;
mod series;
mod signals;

pub use directory::sweep_all as sweep;
pub use failure::{Failure, exit_code};
pub use host::{Host, HostedMain, ListeningOn, Progress, Seat, is_hosted, live, refuse};
pub use report::{LinkReport, NodeReport, REPORT};
pub use run::Run;
pub use runner::Runner;
pub use series::Series;
