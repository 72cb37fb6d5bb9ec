//! Programs whose main is a node's main.
//!
//! `#[tidings::main]` and `#[tidings::entry]` put their functions into a list of the program. [`run_program`] picks one of
//! them, which who starts the program may name.

use std::{env, fmt, process::ExitCode, sync::Arc, time::Duration};

#[doc(hidden)]
pub use inventory;
use tidings_router_core::{BoxFuture, Error, Result, Router, error_chain, runtime};

/// The environment variable that names the function to run, `module::function` or its end; default: the program's main.
pub const MAIN: &str = "TIDINGS_MAIN";

/// How long the end of a program may take to send what was queued.
const LINGER: Duration = Duration::from_secs(5);

/// The exit status of a program that was started in a way that it does not know; `EX_USAGE` of sysexits.h.
pub const USAGE: u8 = 64;

/// A function that can be the main of a node.
pub struct Entry {
    /// The module that it stands in, from the crate on.
    pub module: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Calls it.
    pub run: fn(Arc<dyn Router>) -> BoxFuture<'static, Result<()>>,
}

inventory::collect!(Entry);

impl Entry {
    fn path(&self) -> String {
        format!("{}::{}", self.module, self.name)
    }

    /// Whether `wanted`, with `::` or `.` in it, is its path or the end of that.
    fn is_called(&self, wanted: &str) -> bool {
        let (path, wanted) = (self.path(), wanted.replace('.', "::").replace('-', "_"));
        path == wanted || path.ends_with(&format!("::{wanted}"))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.path()).finish()
    }
}

/// `main`, or the function that [`MAIN`] names.
///
/// # Errors
///
/// The text of the error when there is no such function, or more than one.
pub fn chosen(main: &'static Entry) -> Result<&'static Entry, String> {
    let wanted = env::var(MAIN).unwrap_or_default();
    if wanted.is_empty() { Ok(main) } else { find(&wanted, inventory::iter::<Entry>) }
}

/// Runs it as the main of one node that stands alone, and returns the program's exit status.
pub fn run_program(entry: &'static Entry) -> ExitCode {
    match run_alone(entry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The one that is called so.
fn find<'a>(wanted: &str, entries: impl IntoIterator<Item = &'a Entry>) -> Result<&'a Entry, String> {
    let all: Vec<&Entry> = entries.into_iter().collect();
    let paths = |entries: &[&Entry]| {
        let mut paths: Vec<String> = entries.iter().map(|entry| format!("`{}`", entry.path())).collect();
        paths.sort();
        paths.join(", ")
    };
    let called: Vec<&Entry> = all.iter().copied().filter(|entry| entry.is_called(wanted)).collect();
    match called[..] {
        [entry] => Ok(entry),
        [] => Err(format!("this program has no function `{wanted}`; it has {}", paths(&all))),
        _ => Err(format!("`{wanted}` may be {}", paths(&called))),
    }
}

fn run_alone(entry: &Entry) -> Result<()> {
    let router = <dyn Router>::builder().open().wait()?;
    let running = runtime::work().spawn((entry.run)(router.clone()));
    let result = runtime::block_on(running).map_err(|error| Error::failed(entry.name, error))?;
    router.shutdown(LINGER).wait();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [Entry; 3] = [
        Entry { module: "my_crate", name: "main", run: |_| Box::pin(async { Ok(()) }) },
        Entry { module: "my_crate", name: "evaluate", run: |_| Box::pin(async { Ok(()) }) },
        Entry { module: "my_crate::other", name: "evaluate", run: |_| Box::pin(async { Ok(()) }) },
    ];

    fn found(wanted: &str) -> Result<String, String> {
        find(wanted, &ENTRIES).map(Entry::path)
    }

    #[test]
    fn a_function_is_found_by_its_path_or_the_end_of_it_with_dots_or_colons() {
        for wanted in ["main", "my_crate.main", "my_crate::main", "my-crate.main"] {
            assert_eq!(found(wanted).as_deref(), Ok("my_crate::main"), "{wanted}");
        }
        assert_eq!(found("other.evaluate").as_deref(), Ok("my_crate::other::evaluate"));
        assert_eq!(found("my_crate.evaluate").as_deref(), Ok("my_crate::evaluate"));
    }

    #[test]
    fn an_unknown_function_lists_those_there_are() {
        let message = found("nothing").unwrap_err();
        assert_eq!(
            message,
            "this program has no function `nothing`; it has `my_crate::evaluate`, `my_crate::main`, \
             `my_crate::other::evaluate`"
        );
        assert!(found("aluate").is_err(), "half a name is none");
    }

    #[test]
    fn a_name_of_two_functions_lists_both() {
        let message = found("evaluate").unwrap_err();
        assert_eq!(message, "`evaluate` may be `my_crate::evaluate`, `my_crate::other::evaluate`");
    }
}
