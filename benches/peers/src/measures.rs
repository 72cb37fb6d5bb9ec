//! What is not a message from one process to others: what Tidings costs when nothing happens, how long it
//! takes to start, and how it grows.

mod idle;
mod nodes;
mod process;
mod start;
mod subscriptions;
mod unheard;

use crate::harness::{Result, Row};

/// The first argument of a process that measures one of these.
pub(crate) const MEASURE: &str = "measure";

/// A measure by its name.
type Measure = (&'static str, fn(usize) -> Result<Vec<Row>>);

const MEASURES: [Measure; 5] = [
    ("unheard", unheard::measure),
    ("idle", idle::measure),
    ("start", start::measure),
    ("subscriptions", subscriptions::measure),
    ("nodes", nodes::measure),
];

/// What there is to measure.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    MEASURES.iter().map(|(name, _)| *name)
}

/// Whether these arguments ask for a measure, or make this process a part of one; if so, how that ended.
pub(crate) fn run(arguments: &[String]) -> Option<Result> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [MEASURE, name, rounds] => Some(measure(name, rounds)),
        [idle::ROLE, kind] => Some(idle::part(kind)),
        [start::ROLE, workers, since] => Some(start::part(workers, since)),
        [nodes::ROLE, shape, count] => Some(nodes::part(shape, count)),
        _ => None,
    }
}

fn measure(name: &str, rounds: &str) -> Result {
    let known = MEASURES.iter().find(|(measure, _)| *measure == name);
    let (_, measure) = known.ok_or_else(|| format!("no measure `{name}`"))?;
    for row in measure(rounds.parse::<usize>()?.max(1))? {
        println!("{row}");
    }
    Ok(())
}
