//! What the macros' output calls. No part of the API.

#[cfg(feature = "task")]
mod program {
    use std::process::ExitCode;

    pub use tidings_task::program::{Entry, inventory};
    use tidings_task::program::{MAIN, USAGE, chosen};

    /// Runs `main`, or the function that was asked for: as the main of the node that `ditask` says, or of one that
    /// stands alone.
    pub fn run_program(main: &'static Entry) -> ExitCode {
        match chosen(main) {
            Ok(entry) => run(entry),
            Err(message) => refuse(&message),
        }
    }

    #[cfg(feature = "parallel")]
    fn run(entry: &'static Entry) -> ExitCode {
        match tidings_parallel::is_hosted() {
            true => tidings_parallel::live(entry.run, crate::transport::listening_as),
            false => tidings_task::program::run_program(entry),
        }
    }

    #[cfg(not(feature = "parallel"))]
    fn run(entry: &'static Entry) -> ExitCode {
        tidings_task::program::run_program(entry)
    }

    fn refuse(message: &str) -> ExitCode {
        #[cfg(feature = "parallel")]
        if tidings_parallel::is_hosted() {
            tidings_parallel::refuse(message, USAGE);
        }
        eprintln!("error: {MAIN}: {message}");
        USAGE.into()
    }
}

#[cfg(feature = "task")]
pub use program::{Entry, inventory, run_program};
