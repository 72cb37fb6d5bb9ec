//! Runs what the command line asks for: everything that is compared takes turns, round by round.

use std::{env, process::ExitCode, sync::Arc, time::Duration};

use super::{
    Bench, Result, Route, Subject,
    arguments::{Arguments, USAGE},
    quiet, receiver,
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

pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
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
    let must_deliver =
        |peer: &str| subjects.iter().any(|subject| subject.name() == peer && subject.must_deliver());
    let lost = rows.iter().filter(|row| row.lost > 0 && must_deliver(row.peer));
    let lost: Vec<String> = lost.map(Row::to_string).collect();
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
        let enters =
            |it: &&Arc<dyn Subject>| arguments.wants(&***it) && it.enters(bench) && it.carries(&route);
        for subject in subjects.iter().filter(enters) {
            let open = || {
                watchdog.begin(describe(bench, subject.name(), &route, "opening"));
                let mut session = Session::open(subject, route)?;
                watchdog.begin(describe(bench, subject.name(), &route, "warming up"));
                let count = bench.count(&mut session, arguments.round, arguments.count)?;
                Ok((session, count, Vec::new()))
            };
            match open() {
                Ok(contest) => contests.push(contest),
                Err(error) if subject.must_deliver() => return Err(error),
                Err(error) => leave_out(bench, subject.name(), &route, &*error),
            }
        }
    }
    let turns = contests.len();
    let mut failed = vec![false; turns];
    for round in 0..arguments.rounds {
        for turn in 0..turns {
            // Nobody is always the first.
            let index = (round + turn) % turns;
            let (session, count, rounds) = &mut contests[index];
            if failed[index] {
                continue;
            }
            watchdog.begin(describe(bench, session.subject, &session.route, "measuring"));
            quiet::wait();
            match bench.round(session, arguments.round, *count) {
                Ok(figures) => rounds.push(figures),
                Err(error) if session.must_deliver => return Err(error),
                Err(error) => {
                    failed[index] = true;
                    leave_out(bench, session.subject, &session.route, &*error);
                }
            }
        }
    }
    let mut rows = Vec::new();
    for ((session, _, rounds), failed) in contests.into_iter().zip(failed) {
        watchdog.begin(describe(bench, session.subject, &session.route, "closing"));
        for (index, &figure) in bench.figures().iter().enumerate().filter(|_| !failed) {
            let values: Vec<f64> = rounds.iter().map(|round| round.figures[index]).collect();
            rows.push(Row {
                bench: figure,
                peer: session.subject,
                wire: session.route.wire,
                size,
                receivers,
                scale: 0,
                unit: bench.unit(),
                summary: Summary::of(values.clone()),
                values,
                sent: rounds.iter().map(|round| round.sent).sum(),
                lost: rounds.iter().map(|round| round.lost).sum(),
            });
        }
        let (subject, route, must_deliver) = (session.subject, session.route, session.must_deliver);
        match session.close() {
            Err(error) if must_deliver => return Err(error),
            // Its figures are all there.
            Err(error) if !failed => eprintln!("{}: {error}", describe(bench, subject, &route, "closing")),
            _ => {}
        }
    }
    rows.sort_by_key(|row| bench.figures().iter().position(|figure| *figure == row.bench));
    Ok(rows)
}

/// Says on both outputs that a row is missing, and why.
fn leave_out(bench: Bench, subject: &str, route: &Route, error: &dyn std::error::Error) {
    let why = with_sources(error);
    eprintln!("left out: {}: {why}", describe(bench, subject, route, "measuring"));
    let Route { wire, size, receivers } = route;
    let bench = bench.name();
    println!(
        r#"{{"left_out":"{subject}","bench":"{bench}","transport":"{wire}","size":{size},"receivers":{receivers},"why":{why:?}}}"#
    );
}

fn describe(bench: Bench, subject: &str, route: &Route, step: &str) -> String {
    let Route { wire, size, receivers } = route;
    format!("{step} {}/{wire}/{size} of {subject}, {receivers} receivers", bench.name())
}
