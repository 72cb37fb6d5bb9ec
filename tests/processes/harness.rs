//! Runs cases one after another and reports as libtest does.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

/// What each case may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The flags of libtest whose next argument belongs to them.
const WITH_VALUE: [&str; 5] = ["--test-threads", "--format", "--color", "--logfile", "--shuffle-seed"];

/// One behaviour.
pub(crate) struct Case {
    name: String,
    body: Box<dyn FnOnce() -> Outcome + Send>,
}

/// What became of a case that did not fail.
pub(crate) enum Outcome {
    /// It passed; the figures that it measured, if any.
    Passed(String),
    /// It could not be run here, and why.
    Skipped(String),
}

impl Case {
    /// A case, named as a sentence.
    pub(crate) fn new(name: impl Into<String>, body: impl FnOnce() -> Outcome + Send + 'static) -> Self {
        Self { name: name.into(), body: Box::new(body) }
    }

    /// The same, of a case that can always be run, and returns its figures.
    pub(crate) fn always(name: impl Into<String>, body: impl FnOnce() -> String + Send + 'static) -> Self {
        Self::new(name, || Outcome::Passed(body()))
    }
}

/// Which cases the arguments ask for.
#[derive(Default)]
struct Choice {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
}

impl Choice {
    fn of_arguments(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut choice = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => choice.exact = true,
                "--list" => choice.list = true,
                "--skip" => choice.skipped.extend(arguments.next()),
                flag if WITH_VALUE.contains(&flag) => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                _ => choice.filters.push(argument),
            }
        }
        choice
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

/// Runs those of `cases` that the arguments of this process ask for. `after_each` clears away what a case
/// that failed has left.
pub(crate) fn run(cases: Vec<Case>, after_each: fn()) -> ExitCode {
    let choice = Choice::of_arguments(env::args().skip(1));
    let (chosen, others): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| choice.takes(&case.name));
    if choice.list {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let begin = Instant::now();
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for Case { name, body } in chosen {
        let (done, result) = sync_channel(1);
        thread::spawn(move || {
            let _ = done.send(catch_unwind(AssertUnwindSafe(body)));
        });
        let (count, verdict) = match result.recv_timeout(DEADLINE) {
            Ok(Ok(Outcome::Passed(figures))) if figures.is_empty() => (&mut passed, "ok".to_owned()),
            Ok(Ok(Outcome::Passed(figures))) => (&mut passed, format!("ok ({figures})")),
            Ok(Ok(Outcome::Skipped(reason))) => (&mut ignored, format!("ignored, skipped: {reason}")),
            Ok(Err(_)) => (&mut failed, "FAILED".to_owned()),
            Err(_) => (&mut failed, format!("FAILED (not over within {DEADLINE:?})")),
        };
        *count += 1;
        println!("test {name} ... {verdict}");
        after_each();
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let (filtered, took) = (others.len(), begin.elapsed().as_secs_f32());
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
         {filtered} filtered out; finished in {took:.2}s\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
