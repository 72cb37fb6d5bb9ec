//! One table for each bench and transport: a line for each peer, a column for each size.

use super::{
    plan::SIZES,
    ratio::{digits, ratio},
    record::{Record, Records},
};
use crate::harness::{bytes, grouped};

/// Where the ratios in a table come from.
const REFERENCE: &str = "tidings";

/// The peers of `bench` on `transport`, in the order in which they were measured.
pub(crate) fn peers<'a>(
    records: &'a Records,
    bench: &'a str,
    transport: &str,
    receivers: usize,
) -> Vec<&'a str> {
    let mut peers: Vec<&str> = Vec::new();
    for row in records.of(bench).filter(|row| row.transport == transport && row.receivers == receivers) {
        if !peers.contains(&&*row.peer) {
            peers.push(&row.peer);
        }
    }
    peers
}

/// The table; empty when nothing was measured.
pub(crate) fn table(records: &Records, bench: &str, transport: &str, receivers: usize) -> String {
    let peers = peers(records, bench, transport, receivers);
    if peers.is_empty() {
        return String::new();
    }
    let mut text = String::from("| peer |");
    for size in SIZES {
        text += &format!(" {} | ratio |", bytes(size));
    }
    text += "\n| --- |";
    text += &" ---: | ---: |".repeat(SIZES.len());
    for peer in peers {
        text += &format!("\n| `{peer}` |");
        for size in SIZES {
            let row = records.find(bench, peer, transport, size, receivers);
            let reference = records.find(bench, REFERENCE, transport, size, receivers);
            let pair = reference.zip(row).filter(|_| peer != REFERENCE);
            let ratio = pair
                .and_then(|(ours, theirs)| ratio(ours, theirs))
                .map(|ratio| format!("{} ×", digits(ratio.median)));
            text += &format!(" {} | {} |", row.map(figure).unwrap_or_default(), ratio.unwrap_or_default());
        }
    }
    text + "\n"
}

/// The median, what it lies between, and what was lost.
pub(crate) fn figure(row: &Record) -> String {
    let number = |value| {
        if row.unit == "messages/s" || row.unit.starts_with("deliver") {
            grouped(value)
        } else {
            digits(value)
        }
    };
    let mut text = number(row.median);
    if row.min < row.max {
        text += &format!(" ({}..{})", number(row.min), number(row.max));
    }
    if row.lost > 0 {
        text += &format!(", {} % lost", digits(row.lost as f64 / row.sent.max(1) as f64 * 100.0));
    }
    text
}
