//! The same `main` in N processes of this machine.

use crate::transport;

pub use tidings_parallel::{
    Failure, Host, LinkReport, NodeReport, Progress, REPORT, Run, Runner, Seat, Series, exit_code, sweep,
};

/// The same `main` in N processes of this machine.
///
/// ```no_run
/// use std::sync::Arc;
/// use tidings::prelude::*;
///
/// fn main() -> Result<()> {
///     Parallel::runner(2).topology(Star).run(node).wait()
/// }
///
/// async fn node(router: Arc<Router>) -> Result<()> {
///     println!("node {} of {}", router.node_id(), router.peers().len() + 1);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Parallel;

impl Parallel {
    /// Starts to describe a run of `processes` processes, connected over `Ipc` unless
    /// [`transport`](Runner::transport) says otherwise.
    ///
    /// Without the feature `ipc` there is no such default, and the run needs a transport.
    pub fn runner(processes: usize) -> Runner {
        Runner::new(processes, transport::on_one_machine())
    }
}
