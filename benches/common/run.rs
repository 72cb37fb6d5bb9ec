//! Runs what the command line asks for: everything that is compared takes turns, round by round.

use std::{env, process::ExitCode, sync::Arc, time::Duration};

use super::{
    Bench, Result, Route, Subject,
    arguments::{Arguments, USAGE},
    receiver,
    row::Row,
    session::Session,
    statistics::Summary,
    table::table,
    watchdog::Watchdog,
};

/// How long one round may take beyond the time that it was given.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// Measures `benches` of all `subjects` as the command line says. Prints a line of JSON for each row, then
/// the table. Fails when a message is lost.
pub(crate) fn main(benches: &[Bench], subjects: &[Arc<dyn Subject>]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result =
        receiver::is_one(&arguments, subjects).unwrap_or_else(|| measure(&arguments, benches, subjects));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", with_sources(source)))
}

fn measure(arguments: &[String], benches: &[Bench], subjects: &[Arc<dyn Subject>]) -> Result {
    let arguments =
        Arguments::parse(arguments, benches).map_err(|error| format!("{error}\nusage: {USAGE}"))?;
    let watchdog = Watchdog::start(STALLED_AFTER + arguments.round * 4);
    let mut rows = Vec::new();
    for &bench in &arguments.benches {
        let receivers = arguments.receivers.as_slice();
        let receivers =
            if bench == Bench::Fanout && !receivers.is_empty() { receivers } else { bench.receivers() };
        // A burst has one size: it is a promise, not a scale.
        let sizes = arguments.sizes.as_slice();
        let sizes = if bench == Bench::Burst || sizes.is_empty() { bench.sizes() } else { sizes };
        for &receivers in receivers {
            for &size in sizes {
                let group = compare(bench, size, receivers, &arguments, subjects, &watchdog)?;
                group.iter().for_each(|row| println!("{row}"));
                rows.extend(group);
            }
        }
    }
    if !arguments.json {
        println!("\n{}", table(&rows));
    }
    let lost: Vec<String> = rows.iter().filter(|row| row.lost > 0).map(Row::to_string).collect();
    if lost.is_empty() { Ok(()) } else { Err(format!("messages were lost:\n{}", lost.join("\n")).into()) }
}

/// One bench of one size with so many receivers, for everything that carries it.
fn compare(
    bench: Bench,
    size: usize,
    receivers: usize,
    arguments: &Arguments,
    subjects: &[Arc<dyn Subject>],
    watchdog: &Watchdog,
) -> Result<Vec<Row>> {
    let mut contests = Vec::new();
    for &wire in &arguments.wires {
        let route = Route { wire, size, receivers };
        for subject in subjects.iter().filter(|it| arguments.wants(&***it) && it.carries(&route)) {
            watchdog.begin(describe(bench, subject.name(), &route, "opening"));
            let mut session = Session::open(subject, route)?;
            watchdog.begin(describe(bench, subject.name(), &route, "warming up"));
            let count = bench.count(&mut session, arguments.round, arguments.count)?;
            contests.push((session, count, Vec::new()));
        }
    }
    let turns = contests.len();
    for round in 0..arguments.rounds {
        for turn in 0..turns {
            // Nobody is always the first.
            let (session, count, rounds) = &mut contests[(round + turn) % turns];
            watchdog.begin(describe(bench, session.subject, &session.route, "measuring"));
            rounds.push(bench.round(session, arguments.round, *count)?);
        }
    }
    let mut rows = Vec::new();
    for (session, _, rounds) in contests {
        watchdog.begin(describe(bench, session.subject, &session.route, "closing"));
        for (index, &figure) in bench.figures().iter().enumerate() {
            rows.push(Row {
                bench: figure,
                peer: session.subject,
                wire: session.route.wire,
                size,
                receivers,
                unit: bench.unit(),
                summary: Summary::of(rounds.iter().map(|round| round.figures[index]).collect()),
                rounds: rounds.len(),
                lost: rounds.iter().map(|round| round.lost).sum(),
            });
        }
        session.close()?;
    }
    rows.sort_by_key(|row| bench.figures().iter().position(|figure| *figure == row.bench));
    Ok(rows)
}

fn describe(bench: Bench, subject: &str, route: &Route, step: &str) -> String {
    let Route { wire, size, receivers } = route;
    format!("{step} {}/{wire}/{size} of {subject}, {receivers} receivers", bench.name())
}
