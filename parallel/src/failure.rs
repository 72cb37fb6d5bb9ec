use std::{any::Any, process::ExitStatus};

use rustix::process::Signal;
use tidings_router_core::{BoxError, Error, error_chain};
use tokio::task::JoinError;

/// The longest message of a failure, in bytes; the rest is cut off.
const MAX_MESSAGE: usize = 16 * 1024;

/// The exit code of a process whose main returned an error, as `std` has it.
pub(crate) const FAILED: u8 = 1;

/// The exit code of a process that panicked, as `std` has it.
const PANICKED: u8 = 101;

/// How a node in a process of its own failed, or which signal ended a run: the source of [`Error::Failed`].
///
/// Its text is the whole chain of errors that the node's main returned, or what it said when it panicked, or
/// how its process ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>, code: u8) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        Self { message, code }
    }

    /// An error of the program, with what caused it.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(error_chain(error), FAILED)
    }

    /// An error of a main, which may be a failure already.
    pub(crate) fn of_main(error: BoxError) -> Self {
        match error.downcast() {
            Ok(failure) => *failure,
            Err(error) => Self::of(&*error),
        }
    }

    /// What became of a task that did not end by itself.
    pub(crate) fn of_task(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(payload) => Self::new(format!("panicked: {}", panic_message(&*payload)), PANICKED),
            Err(error) => Self::new(error.to_string(), FAILED),
        }
    }

    /// How a process ended that said nothing.
    pub(crate) fn of_process(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => {
                // A child that a signal ends in order says so in the way of a shell.
                let signal =
                    if code > 128 { format!(" ({})", signal_name(code - 128)) } else { String::new() };
                Self::new(format!("its process ended with exit status {code}{signal}"), code as u8)
            }
            (None, Some(signal)) => {
                Self::new(format!("its process was killed by {}", signal_name(signal)), signal_code(signal))
            }
            (None, None) => Self::new(format!("its process ended: {status}"), FAILED),
        }
    }

    /// A run that a signal ended.
    pub(crate) fn interrupted(signal: i32) -> Self {
        Self::new(format!("interrupted by {}", signal_name(signal)), signal_code(signal))
    }

    /// The exit code of the process, as a shell shows it: 1 when main returned an error, 101 when it
    /// panicked, 128 plus the number of the signal that killed it.
    pub fn code(&self) -> u8 {
        self.code
    }
}

/// The exit code that says of a whole program how its run failed: that of the failed node, see
/// [`Failure::code`], or 1 for any other error.
///
/// ```
/// use std::process::ExitCode;
/// use tidings_parallel::{Runner, exit_code};
///
/// fn main() -> ExitCode {
///     let run = Runner::new(2, None).in_process().run(|_router| async { Ok::<(), std::io::Error>(()) });
///     match run.wait() {
///         Ok(()) => ExitCode::SUCCESS,
///         Err(error) => exit_code(&error).into(),
///     }
/// }
/// ```
pub fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Failed { source, .. } => source.downcast_ref().map_or(FAILED, Failure::code),
        _ => FAILED,
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a value that is no text")
}

/// The exit code of a process that a signal killed, as a shell shows it.
pub(crate) fn signal_code(signal: i32) -> u8 {
    (128 + signal) as u8
}

fn signal_name(signal: i32) -> String {
    const NAMES: [(Signal, &str); 10] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TERM, "SIGTERM"),
    ];
    let known = NAMES.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let failure = Failure::new("ü".repeat(MAX_MESSAGE), FAILED);
        assert_eq!(failure.message.len(), MAX_MESSAGE);
        assert!(failure.message.ends_with('ü'));
    }

    #[test]
    fn signals_have_their_usual_names() {
        assert_eq!(Failure::interrupted(15).to_string(), "interrupted by SIGTERM");
        assert_eq!(Failure::interrupted(2).code(), 130);
    }
}
