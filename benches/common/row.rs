//! One figure of one subject: a line of JSON, and a line of the table.

use std::fmt;

use super::{Wire, statistics::Summary};

/// One figure over all rounds.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    /// The subject.
    pub(crate) peer: &'static str,
    pub(crate) wire: Wire,
    /// Bytes of a message.
    pub(crate) size: usize,
    pub(crate) receivers: usize,
    pub(crate) unit: &'static str,
    pub(crate) summary: Summary,
    pub(crate) rounds: usize,
    /// Deliveries missing in all rounds together.
    pub(crate) lost: u64,
}

/// As JSON. No text in it needs escaping: all of it is names from this source.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bench, peer, wire, size, receivers, unit, summary, rounds, lost } = self;
        let Summary { min, median, max } = summary;
        write!(f, r#"{{"bench":"{bench}","peer":"{peer}","transport":"{wire}","size":{size},"#)?;
        write!(f, r#""receivers":{receivers},"unit":"{unit}","median":{median:.2},"min":{min:.2},"#)?;
        write!(f, r#""max":{max:.2},"rounds":{rounds},"lost":{lost}}}"#)
    }
}

impl Row {
    /// What is compared with each other.
    pub(crate) fn group(&self) -> (&'static str, usize, usize) {
        (self.bench, self.size, self.receivers)
    }

    pub(crate) const TITLES: [&'static str; 10] =
        ["bench", "size", "receivers", "transport", "peer", "median", "min", "max", "unit", "lost"];

    pub(crate) fn cells(&self) -> [String; 10] {
        let number = |value: f64| if self.unit == "us" { format!("{value:.1}") } else { grouped(value) };
        let Summary { min, median, max } = self.summary;
        [
            self.bench.to_owned(),
            bytes(self.size),
            self.receivers.to_string(),
            self.wire.to_string(),
            self.peer.to_owned(),
            number(median),
            number(min),
            number(max),
            self.unit.to_owned(),
            self.lost.to_string(),
        ]
    }
}

/// A number of bytes in the largest unit that divides it.
fn bytes(size: usize) -> String {
    match size {
        size if size >= 1 << 20 && size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        size if size >= 1 << 10 && size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    }
}

/// A whole number with a comma between each three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
