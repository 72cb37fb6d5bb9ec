//! `ditask bench`: the transports side by side, two processes each, on this machine.

mod echo;
mod plot;
mod subject;

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tidings::{Bytes, Router, Subscription};

use crate::{
    arguments::Bench,
    fault::{Fault, Result},
    finish,
    progress::Progress,
    table::table,
    unpack::Scratch,
};
use echo::{Other, PING, STOP, STREAM, TAKEN};
use subject::{Meeting, Subject};

/// How long the other end may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest payload, in bytes: more would not fit into a frame.
const LARGEST: usize = 32 << 20;

/// What was measured of one transport and one size.
#[derive(Debug, Clone, Serialize)]
struct Row {
    transport: String,
    /// Of the payload, in bytes.
    size: usize,
    /// From emitting a message to having it back, in microseconds: half of all take less.
    round_trip_us: f64,
    /// The same: one in a hundred takes more.
    round_trip_p99_us: f64,
    /// One way, as fast as the other end takes them.
    messages_per_second: f64,
    mib_per_second: f64,
}

/// Measures, and shows it as a table and as a plot.
pub(crate) fn run(bench: &Bench) -> Result {
    if bench.echo {
        return echo::run();
    }
    let subjects = Subject::all(bench)?;
    if let Some(size) = bench.sizes.iter().find(|size| **size == 0 || **size > LARGEST) {
        return Err(Fault::usage(format!("--sizes {size} is not from 1 to {LARGEST}")));
    }
    // For sockets and servers, and gone after them, whatever signal comes.
    let scratch = Scratch::new()?;
    let (asked, folder) = (bench.clone(), scratch.path().to_owned());
    let rows = finish::interruptible("ditask bench", move || measure_all(&subjects, &asked, &folder))?;
    let text = match bench.json {
        true => {
            let line = |row: &Row| serde_json::to_string(row).map(|line| line + "\n");
            rows.iter()
                .map(line)
                .collect::<Result<String, _>>()
                .map_err(|error| Fault::new(error.to_string()))?
        }
        false => format!("{}\n{}", shown(&rows), plot::bars(&rows)),
    };
    if let Some(path) = &bench.plot {
        fs::write(path, plot::svg(&rows))
            .map_err(|error| Fault::io(format!("cannot write {}", path.display()), &error))?;
    }
    io::stdout().write_all(text.as_bytes()).map_err(|error| Fault::io("cannot write", &error))
}

fn measure_all(subjects: &[Subject], bench: &Bench, folder: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for subject in subjects {
        let _progress = Progress::begin(format!("measuring {}", subject.name));
        let own = folder.join(subject.name);
        fs::create_dir_all(&own)
            .map_err(|error| Fault::io(format!("cannot make {}", own.display()), &error))?;
        match subject.meeting(&own) {
            Ok(meeting) => rows.extend(measure(subject.name, &meeting, bench)?),
            // Nobody has asked for just this one.
            Err(fault) if bench.transports.is_empty() => {
                let _ = writeln!(io::stderr(), "ditask: {fault}");
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(rows)
}

fn shown(rows: &[Row]) -> String {
    let row = |row: &Row| {
        vec![
            row.transport.clone(),
            row.size.to_string(),
            format!("{:.1}", row.round_trip_us),
            format!("{:.1}", row.round_trip_p99_us),
            format!("{:.0}", row.messages_per_second),
            format!("{:.1}", row.mib_per_second),
        ]
    };
    let titles = ["TRANSPORT", "BYTES", "ROUND TRIP US", "P99 US", "MESSAGES/S", "MIB/S"];
    table(&titles, &rows.iter().map(row).collect::<Vec<_>>())
}

/// All sizes of one transport.
fn measure(name: &str, meeting: &Meeting, bench: &Bench) -> Result<Vec<Row>> {
    let cluster = format!("bench-{:016x}", u64::from_le_bytes(crate::secret::random()?));
    let transport = meeting.transport.clone();
    let router =
        Router::builder().node_id(0).shared_transport(transport.clone()).cluster(&cluster).open().wait()?;
    let entrance = router.addresses().first().map(ToString::to_string).unwrap_or_default();
    let other = match (name, &meeting.broker) {
        ("memory", _) => Other::here(transport, &entrance, &cluster)?,
        (_, broker) => Other::start(broker.as_deref().unwrap_or(&entrance), &cluster)?,
    };
    router.wait_for_peers(1).timeout(PATIENCE).wait()?;
    router.wait_for_listeners(STOP, 1).timeout(PATIENCE).wait()?;
    let rows = bench.sizes.iter().map(|size| one(name, *size, bench.seconds, &router)).collect();
    router.emit(STOP, &0_u8).only_remote().wait()?;
    other.end();
    router.shutdown(PATIENCE).wait();
    rows
}

fn one(transport: &str, size: usize, time: Duration, router: &Arc<Router>) -> Result<Row> {
    let payload = Bytes::from(vec![7; size]);
    let mut back = router.subscribe::<Bytes>(PING)?;
    let mut trips = Vec::new();
    let begin = Instant::now();
    // The first ones warm up what is cold.
    for index in 0.. {
        let sent = Instant::now();
        router.emit(PING, payload.clone()).only_remote().wait()?;
        next(&mut back)?;
        if index >= 10 {
            trips.push(sent.elapsed());
        }
        if index > 20 && begin.elapsed() > time {
            break;
        }
    }
    drop(back);
    trips.sort_unstable();
    let at = |part: usize| trips[(trips.len() * part / 100).min(trips.len() - 1)].as_secs_f64() * 1e6;

    let mut taken = router.subscribe::<u64>(TAKEN)?;
    let begin = Instant::now();
    let mut sent = 0_u64;
    while begin.elapsed() < time {
        for _ in 0..16 {
            router.emit(STREAM, payload.clone()).only_remote().wait()?;
        }
        sent += 16;
    }
    // It answers behind all that came before.
    router.emit(TAKEN, &0_u64).only_remote().wait()?;
    let arrived = next(&mut taken)?;
    let seconds = begin.elapsed().as_secs_f64();
    if arrived != sent {
        return Err(Fault::new(format!("{transport}: {sent} messages were sent, {arrived} arrived")));
    }
    let messages_per_second = sent as f64 / seconds;
    Ok(Row {
        transport: transport.to_owned(),
        size,
        round_trip_us: at(50),
        round_trip_p99_us: at(99),
        messages_per_second,
        mib_per_second: messages_per_second * size as f64 / f64::from(1 << 20),
    })
}

fn next<T: serde::de::DeserializeOwned + 'static>(events: &mut Subscription<T>) -> Result<T> {
    let event = events.next_wait();
    event.map(|event| event.payload).ok_or_else(|| Fault::new("the other end is gone"))
}
