//! Real processes: this executable starts itself as a launcher, which starts it as the nodes.
//!
//! It has no libtest, because the arguments of a launcher go along to its children. Waiting is for the end of
//! a connection that each node holds as long as it lives, or of a pipe; nothing sleeps.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod cases;
mod programs;
mod support;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

/// What each case may take.
const DEADLINE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if let Ok(program) = env::var(support::PROGRAM) {
        return programs::run(&program);
    }
    let filters: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let chosen: Vec<_> = cases::ALL.iter().filter(|(name, _)| is_chosen(name)).collect();
    let filtered = cases::ALL.len() - chosen.len();
    println!("\nrunning {} tests", chosen.len());
    let (begin, mut failed) = (Instant::now(), 0);
    for (name, case) in &chosen {
        let (done, result) = sync_channel(1);
        let case = *case;
        thread::spawn(move || {
            let _ = done.send(catch_unwind(AssertUnwindSafe(case)).is_ok());
        });
        let verdict = match result.recv_timeout(DEADLINE) {
            Ok(true) => "ok",
            Ok(false) => "FAILED",
            Err(_) => "FAILED (it took too long)",
        };
        failed += usize::from(verdict != "ok");
        println!("test {name} ... {verdict}");
    }
    let (verdict, passed) = (if failed == 0 { "ok" } else { "FAILED" }, chosen.len() - failed);
    let took = begin.elapsed().as_secs_f32();
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} \
         filtered out; finished in {took:.2}s\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
