//! Programs whose main is a node's main.

use std::{future::Future, process::ExitCode, sync::Arc, time::Duration};

use tidings_router_core::{Error, Result, Router, error_chain, runtime};

/// How long the end of a program may take to send what was queued.
const LINGER: Duration = Duration::from_secs(5);

/// Runs `main` as the main of one node that stands alone, and returns the program's exit status.
pub fn run_main<F, Fut>(main: F) -> ExitCode
where
    F: FnOnce(Arc<dyn Router>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    match run_alone(main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run_alone<F, Fut>(main: F) -> Result<()>
where
    F: FnOnce(Arc<dyn Router>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let router = <dyn Router>::builder().open().wait()?;
    let running = runtime::work().spawn(main(router.clone()));
    let result = runtime::block_on(running).map_err(|error| Error::failed("main", error))?;
    router.shutdown(LINGER).wait();
    result
}
