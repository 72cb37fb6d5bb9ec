use std::{future::Future, sync::Arc};

use tidings_router_core::{BoxError, BoxFuture, Router, error_chain, runtime};
use tokio::task::JoinSet;

use crate::{
    back_off::{BackOff, pause},
    failure::Failure,
};

/// The main of a run, its types forgotten.
pub(crate) type Main = Arc<dyn Fn(Arc<dyn Router>) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// Forgets the types of a main.
pub(crate) fn main_of<M, F, E>(main: M) -> Main
where
    M: Fn(Arc<dyn Router>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError>,
{
    Arc::new(move |router| {
        let main = main(router);
        Box::pin(async move { main.await.map_err(Into::into) })
    })
}

/// Runs a main on this router, again after each error and panic up to `recoveries` times, with back-off.
/// `recovering` is told before each retry how many are left.
///
/// # Cancel safety
///
/// Dropping it ends the main at its next await.
pub(crate) async fn run(
    main: &Main,
    router: &Arc<dyn Router>,
    mut recoveries: u32,
    recovering: impl Fn(u32) + Send,
) -> Result<(), BoxError> {
    let mut back_off = BackOff::default();
    loop {
        let Err(error) = once(main, router).await else { return Ok(()) };
        let Some(left) = recoveries.checked_sub(1) else { return Err(error) };
        recoveries = left;
        let wait = back_off.next();
        let (node, error) = (router.node_id(), error_chain(&*error));
        tracing::warn!(%node, error, left, ?wait, "main failed and is run again");
        recovering(left);
        pause(wait).await;
    }
}

/// One run, as a task of its own, so that a panic is its result and dropping this ends it.
async fn once(main: &Main, router: &Arc<dyn Router>) -> Result<(), BoxError> {
    let (main, router) = (Arc::clone(main), Arc::clone(router));
    let mut task = JoinSet::new();
    task.spawn_on(async move { main(router).await }, runtime::work());
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(Failure::of_task(error).into()),
        None => Ok(()),
    }
}
