//! What was promised, and what was measured.

use super::{
    ratio::{digits, ratio},
    record::{Record, Records},
};
use crate::harness::{Summary, bytes, grouped};

/// Which side of the bar is the good one.
#[derive(Clone, Copy)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
}
use Bar::{AtLeast, AtMost};

/// Rows that are compared: bench, transports, size, receivers.
struct Test(&'static str, &'static str, &'static [&'static str], usize, usize);

/// Tidings as most use it, and as it is fastest where it has a way of its own for that. Of those, the first
/// that was measured.
const OURS: &[&str] = &["tidings"];
const LOAN: &[&str] = &["tidings-loan", "tidings"];
/// A program that answers does so in a handler.
const HANDLER: &[&str] = &["tidings-handler", "tidings"];
const BUSY: &[&str] = &["tidings-busy-poll"];
const ZMQ: &[&str] = &["tidings-zmq"];

const ICEORYX: &[&str] = &["iceoryx2-event", "iceoryx2-poll"];
const BOTH: &[&str] = &["ipc", "tcp"];
const IPC: &[&str] = &["ipc"];
const TCP: &[&str] = &["tcp"];
const REDIS: &[&str] = &["redis"];
const NATS: &[&str] = &["nats"];
const MIB: usize = 1 << 20;

/// Ours in units of theirs: of several of theirs, of the best.
type Promise = (Test, &'static [&'static str], &'static [&'static str], Bar);

const PROMISES: &[Promise] = &[
    (Test("one way", "throughput", BOTH, 64, 1), OURS, &["libzmq"], AtLeast(3.0)),
    (Test("one way", "throughput", BOTH, 64, 1), OURS, &["zenoh"], AtLeast(8.0)),
    (Test("one way", "throughput", BOTH, 64, 1), OURS, &["tokio-batched"], AtLeast(0.75)),
    (Test("one way", "throughput", BOTH, 1024, 1), OURS, &["libzmq"], AtLeast(3.0)),
    (Test("one way", "throughput", BOTH, 1024, 1), OURS, &["tokio-batched"], AtLeast(0.75)),
    (Test("one way", "throughput", IPC, MIB, 1), LOAN, ICEORYX, AtLeast(1.0)),
    (Test("one way", "throughput", IPC, MIB, 1), OURS, &["memcpy"], AtLeast(0.8)),
    (Test("one way", "throughput", TCP, MIB, 1), OURS, &["raw"], AtLeast(0.9)),
    (Test("round trip", "latency", IPC, 64, 1), HANDLER, &["raw"], AtMost(1.0)),
    (Test("round trip", "latency", IPC, 64, 1), HANDLER, &["libzmq"], AtMost(0.5)),
    (Test("round trip", "latency", IPC, 64, 1), HANDLER, &["zenoh"], AtMost(0.25)),
    (Test("round trip", "latency", IPC, 64, 1), BUSY, &["iceoryx2-poll"], AtMost(2.0)),
    (Test("round trip", "latency", TCP, 64, 1), HANDLER, &["raw"], AtMost(1.3)),
    (Test("round trip", "latency", TCP, 64, 1), HANDLER, &["libzmq"], AtMost(0.5)),
    (Test("1 to 3", "fanout", BOTH, 64, 3), OURS, &["libzmq"], AtLeast(3.0)),
    (Test("1 to 3", "fanout", IPC, 64 << 10, 3), LOAN, ICEORYX, AtLeast(1.0)),
    (Test("1 to 3", "fanout", IPC, 64 << 10, 3), LOAN, &["zenoh-shm"], AtLeast(2.0)),
    (Test("1 to 3", "fanout", IPC, MIB, 3), LOAN, ICEORYX, AtLeast(1.0)),
    (Test("1 to 3", "fanout", IPC, MIB, 3), LOAN, &["zenoh-shm"], AtLeast(2.0)),
    (Test("one way", "throughput", IPC, 64, 1), OURS, &["di-engine-nng"], AtLeast(500.0)),
    (Test("one way", "throughput", REDIS, 64, 1), OURS, &["redis"], AtLeast(0.9)),
    (Test("one way", "throughput", REDIS, 64 << 10, 1), OURS, &["redis"], AtLeast(0.9)),
    (Test("round trip", "latency", REDIS, 64, 1), OURS, &["redis"], AtMost(1.2)),
    (Test("1 to 3", "fanout", REDIS, 64, 3), OURS, &["redis"], AtLeast(0.9)),
    (Test("1 to 3", "fanout", REDIS, 64 << 10, 3), OURS, &["redis"], AtLeast(0.9)),
    (Test("one way", "throughput", NATS, 64, 1), OURS, &["nats"], AtLeast(0.9)),
    (Test("one way", "throughput", NATS, 64 << 10, 1), OURS, &["nats"], AtLeast(0.9)),
    (Test("round trip", "latency", NATS, 64, 1), OURS, &["nats"], AtMost(1.2)),
    (Test("1 to 3", "fanout", NATS, 64, 3), OURS, &["nats"], AtLeast(0.9)),
    (Test("1 to 3", "fanout", NATS, 64 << 10, 3), OURS, &["nats"], AtLeast(0.9)),
    (Test("one way", "throughput", TCP, 64, 1), ZMQ, &["libzmq"], AtLeast(0.9)),
    (Test("one way", "throughput", TCP, 64 << 10, 1), ZMQ, &["libzmq"], AtLeast(0.9)),
    (Test("round trip", "latency", TCP, 64, 1), ZMQ, &["libzmq"], AtMost(1.2)),
];

/// Figures with a bar of their own: test, bench, scale, bar in the unit of the row.
const LIMITS: &[(&str, &str, usize, f64)] = &[
    ("emit nobody listens for", "unheard", 0, 50.0),
    ("idle node, time", "idle.cpu", 0, 0.1),
    ("idle node, memory above an empty tokio program", "idle.memory", 0, 8.0 * 1024.0),
    ("8 workers, start to first message", "start.first", 8, 200.0),
];

/// The table.
pub(crate) fn table(records: &Records) -> String {
    let mut text = String::from("| test | bar | measured | met |\n| --- | --- | ---: | --- |\n");
    for (test, ours, theirs, bar) in PROMISES {
        for transport in test.2 {
            text += &promise(records, test, transport, ours, theirs, *bar);
        }
    }
    for &(test, bench, scale, most) in LIMITS {
        let row = records.of(bench).find(|row| row.scale == scale && row.peer == "tidings");
        let measured = row.map(|row| Summary { min: row.min, median: row.median, max: row.max });
        let unit = row.map_or("", |row| &row.unit);
        text += &line(
            test,
            &format!("at most {} {unit}", if most < 1.0 { most.to_string() } else { grouped(most) }),
            unit,
            measured,
            AtMost(most),
        );
    }
    let rows = records.rows.iter().filter(|row| row.peer.starts_with("tidings") && row.sent > 0);
    let (sent, lost) = rows.fold((0, 0), |(sent, lost), row| (sent + row.sent, lost + row.lost));
    let lost = (sent > 0).then(|| Summary::of(vec![lost as f64]));
    text + &line("all messages of Tidings", "0 lost", "lost", lost, AtMost(0.0))
}

fn promise(
    records: &Records,
    test: &Test,
    transport: &str,
    ours: &[&str],
    theirs: &[&str],
    bar: Bar,
) -> String {
    let Test(name, bench, _, size, receivers) = test;
    let find = |peer: &str| {
        // The copy of a message has no transport.
        let transport = if peer == "memcpy" { "memory" } else { transport };
        records.find(bench, peer, transport, *size, *receivers)
    };
    let our = ours.iter().find_map(|peer| find(peer));
    let of = |their: &Record| our.and_then(|our| ratio(our, their));
    let ratios = theirs.iter().filter_map(|peer| of(find(peer)?));
    // The best of them is the one that makes it hardest.
    let measured = ratios.reduce(|one, other| match bar {
        AtLeast(_) => {
            if other.median < one.median {
                other
            } else {
                one
            }
        }
        AtMost(_) => {
            if other.median > one.median {
                other
            } else {
                one
            }
        }
    });
    let of_whom = theirs.join(" or ");
    let with = our.map_or(ours[0], |our| &*our.peer);
    let with = if with == "tidings" { String::new() } else { format!(", `{with}`") };
    let words = match bar {
        AtLeast(bar) => format!("at least {} × {of_whom}", bar),
        AtMost(bar) => format!("at most {} × {of_whom}", bar),
    };
    line(&format!("{name}, {}, {transport}{with}", bytes(*size)), &words, "×", measured, bar)
}

fn line(test: &str, words: &str, unit: &str, measured: Option<Summary>, bar: Bar) -> String {
    let Some(Summary { min, median, max }) = measured else {
        return format!("| {test} | {words} | not measured | |\n");
    };
    let met = match bar {
        AtLeast(bar) => median >= bar,
        AtMost(bar) => median <= bar,
    };
    let spread = if min < max { format!(" ({}..{})", digits(min), digits(max)) } else { String::new() };
    let met = if met { "yes" } else { "**no**" };
    format!("| {test} | {words} | {} {unit}{spread} | {met} |\n", digits(median))
}
