//! Nodes in this process: the single one of a run, or all of them.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tidings_router_core::{Address, Error, Memory, Result, Router, runtime};
use tokio::{sync::broadcast::error::RecvError, task::JoinSet};

use crate::{
    directory::RunDirectory,
    failure::Failure,
    nodes,
    plan::{Plan, Seal},
    program::{self, Main},
    signals,
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(30);

/// Runs all nodes in this process, on the memory transport.
pub(crate) async fn run_all(plan: &Arc<Plan>, main: &Main) -> Result<()> {
    let network = Memory::network();
    let mut routers: Vec<Arc<dyn Router>> = Vec::new();
    for index in 0..plan.processes {
        let builder = plan.router(index, &Seal::default()).transport(network.clone());
        routers.push(builder.open().await?);
    }
    for (index, router) in routers.iter().enumerate() {
        let dialled =
            plan.dials(index).into_iter().filter_map(|other| routers[other].addresses().into_iter().next());
        let attach_to: Vec<Address> = dialled.chain(plan.attach_to(index)?).collect();
        router.attach(attach_to).await?;
    }
    for (index, router) in routers.iter().enumerate() {
        let expect: Vec<_> = plan.sees(index).into_iter().map(|other| plan.node_id(other)).collect();
        nodes::wait_for(&**router, &expect, CONNECT).await?;
    }
    let mut mains = JoinSet::new();
    for (index, router) in routers.iter().enumerate() {
        let (plan, main, router) = (Arc::clone(plan), Arc::clone(main), Arc::clone(router));
        mains.spawn_on(
            async move {
                let result = program::run(&main, &router, plan.recoveries, |_| ()).await;
                router.shutdown(if result.is_ok() { plan.deadline } else { plan.farewell() }).await;
                result.map_err(|error| Error::failed(plan.name(index), error))
            },
            runtime::work(),
        );
    }
    let result = first_failure(&mut mains).await;
    mains.shutdown().await;
    // Those whose mains were cancelled; the others have nothing left to do.
    for router in routers {
        router.shutdown(plan.farewell()).await;
    }
    result
}

/// Runs the only node in this process, on the plan's transport.
pub(crate) async fn run_one(plan: &Arc<Plan>, main: &Main) -> Result<()> {
    // Before there is anything that a signal could leave behind.
    let mut signals = signals::listen();
    let directory = plan.transport.as_ref().map(|_| RunDirectory::create()).transpose()?;
    let seal = plan.seal()?;
    let builder = match &directory {
        Some(directory) => plan.placed_router(0, &seal, &directory.nodes())?,
        None => plan.router(0, &seal),
    };
    let builder = builder.attach_to(plan.attach_to(0)?);
    let slot = Arc::new(OnceLock::new());
    let mut mains = JoinSet::new();
    let running = {
        let (plan, main, slot) = (Arc::clone(plan), Arc::clone(main), Arc::clone(&slot));
        mains.spawn_on(
            async move {
                let router = builder.open().await?;
                let _ = slot.set(Arc::clone(&router));
                let result = program::run(&main, &router, plan.recoveries, |_| ()).await;
                result.map_err(|error| Error::failed(plan.name(0), error))
            },
            runtime::work(),
        )
    };
    let interrupted = Arc::new(OnceLock::new());
    let mut watch = JoinSet::new();
    let signal = Arc::clone(&interrupted);
    watch.spawn_on(
        async move {
            loop {
                match signals.recv().await {
                    Ok(number) => {
                        let _ = signal.set(number);
                        running.abort();
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        },
        runtime::io(),
    );
    let result = first_failure(&mut mains).await;
    if let Some(router) = slot.get() {
        router.shutdown(if result.is_ok() { plan.deadline } else { plan.farewell() }).await;
    }
    // Whoever sends a signal from now on means the program.
    watch.shutdown().await;
    match interrupted.get() {
        Some(signal) => Err(Error::failed("the run", Failure::interrupted(*signal))),
        None => result,
    }
}

/// Waits for all mains, or for the first that fails.
async fn first_failure(mains: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = mains.join_next().await {
        ended.unwrap_or_else(|error| Err(Error::failed("a node", Failure::of_task(error))))?;
    }
    Ok(())
}
