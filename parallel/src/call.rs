use std::sync::atomic::{AtomicU64, Ordering};

use tidings_router_core::{Error, Result};

use crate::{
    child::Child,
    failure::{FAILED, Failure},
    plan::Plan,
};

/// How many `run` calls this program has made.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Which of the program's `run` calls this is, from 1.
pub(crate) fn next_call() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// What this process has to do in a `run` call.
#[derive(Debug)]
pub(crate) enum Part {
    /// Nothing: it was started by a later call.
    Skip,
    /// To be one of the nodes.
    Node(&'static Child),
    /// To run all nodes in this process, or the single one.
    Here,
    /// To start the nodes.
    Launcher,
}

impl Part {
    /// The part in this call.
    pub(crate) fn of(call: u64, plan: &Plan) -> Result<Self> {
        let here = plan.host.is_none() && (plan.in_process || plan.processes == 1);
        let refused = |reason: &str| Err(Error::Setting { setting: "runner".into(), reason: reason.into() });
        match Child::this() {
            // Who is a node of its own may start others as well: they are told so by their own launcher.
            _ if plan.host.is_some() => Ok(Self::Launcher),
            None if here => Ok(Self::Here),
            None => Ok(Self::Launcher),
            Some(child) if call < child.call() => Ok(Self::Skip),
            Some(child) if call == child.call() && !here && plan.processes == child.count() => {
                Ok(Self::Node(child))
            }
            Some(child) if call == child.call() => {
                let reason = "the program describes another run here than in its launcher";
                child.refuse(&Failure::new(reason, FAILED))
            }
            // A main may use nodes in its own process.
            Some(_) if here => Ok(Self::Here),
            Some(_) => refused("a process that was started by one cannot start others"),
        }
    }
}
