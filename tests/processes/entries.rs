//! A program of several mains, one of which is asked for.

use std::{process::ExitCode, sync::Arc};

use tidings::{Result, Router};

use crate::{harness::Case, place::Place};

/// What names the function to run.
const MAIN: &str = "TIDINGS_MAIN";

/// It is used to start the program too, so that it can be told from the test's own main.
#[tidings::main]
pub(crate) async fn trains(router: Arc<Router>) -> Result<()> {
    say("trains", &router);
    Ok(())
}

#[tidings::entry]
async fn evaluates(router: Arc<Router>) -> Result<()> {
    say("evaluates", &router);
    Ok(())
}

#[tidings::entry]
async fn fails(_router: Arc<Router>) -> Result<()> {
    Err(tidings::Error::Closed)
}

fn say(what: &str, router: &Router) {
    println!("{what} as node {}", router.node_id());
}

/// The program.
pub(crate) fn run() -> ExitCode {
    trains()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::always("entries::the_main_runs_when_nothing_is_asked_for".to_owned(), || {
            runs("", "trains as node 0", 0)
        }),
        Case::always("entries::a_function_runs_that_is_asked_for".to_owned(), || {
            runs("processes.entries.evaluates", "evaluates as node 0", 0)
        }),
        Case::always("entries::a_function_that_fails_fails_the_program".to_owned(), || {
            runs("fails", "stderr: error: ", 1)
        }),
        Case::always("entries::an_unknown_function_lists_those_there_are".to_owned(), || {
            let list =
                "`processes::entries::evaluates`, `processes::entries::fails`, `processes::entries::trains`";
            let error = "stderr: error: TIDINGS_MAIN: this program has no function `sleeps`; it has";
            runs("sleeps", &format!("{error} {list}"), 64)
        }),
    ]
}

fn runs(wanted: &str, line: &str, status: i32) -> String {
    let place = Place::new();
    let mut program = place.start("entries", &[(MAIN, wanted.to_owned())]);
    program.line(line);
    assert_eq!(program.end(), status);
    place.assert_empty();
    String::new()
}
