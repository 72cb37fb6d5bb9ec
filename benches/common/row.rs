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
    /// What grows where something but the receivers does: subscriptions, nodes, workers. Else 0.
    pub(crate) scale: usize,
    pub(crate) unit: &'static str,
    pub(crate) summary: Summary,
    /// The figure of each round, in their order: rows that are compared have as many, and turn by turn.
    pub(crate) values: Vec<f64>,
    /// Deliveries that there should have been in all rounds together, where they are counted.
    pub(crate) sent: u64,
    /// How many of these are missing.
    pub(crate) lost: u64,
}

/// As JSON. No text in it needs escaping: all of it is names from this source.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bench, peer, wire, size, receivers, scale, unit, summary, values, sent, lost } = self;
        let Summary { min, median, max } = summary;
        write!(f, r#"{{"bench":"{bench}","peer":"{peer}","transport":"{wire}","size":{size},"#)?;
        write!(f, r#""receivers":{receivers},"scale":{scale},"unit":"{unit}","median":{median:.3},"#)?;
        let rounds = values.len();
        write!(f, r#""min":{min:.3},"max":{max:.3},"rounds":{rounds},"sent":{sent},"lost":{lost},"#)?;
        f.write_str(r#""values":["#)?;
        for (index, value) in values.iter().enumerate() {
            write!(f, "{}{value:.3}", if index > 0 { "," } else { "" })?;
        }
        f.write_str("]}")
    }
}

impl Row {
    /// What is compared with each other.
    pub(crate) fn group(&self) -> (&'static str, usize, usize) {
        (self.bench, self.size, self.receivers)
    }

    /// A row of something that was measured by other means than a session, of Tidings.
    #[allow(dead_code, reason = "the benches of Tidings alone have none")]
    pub(crate) fn of(
        bench: &'static str,
        wire: Wire,
        scale: usize,
        unit: &'static str,
        values: Vec<f64>,
    ) -> Self {
        let summary = Summary::of(values.clone());
        Self {
            bench,
            peer: "tidings",
            wire,
            size: 0,
            receivers: 0,
            scale,
            unit,
            summary,
            values,
            sent: 0,
            lost: 0,
        }
    }

    pub(crate) const TITLES: [&'static str; 10] =
        ["bench", "size", "receivers", "transport", "peer", "median", "min", "max", "unit", "lost"];

    pub(crate) fn cells(&self) -> [String; 10] {
        let number = |value: f64| match self.unit {
            "us" | "ns" | "ms" => format!("{value:.1}"),
            "% of a core" => format!("{value:.3}"),
            _ => grouped(value),
        };
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
pub(crate) fn bytes(size: usize) -> String {
    match size {
        size if size >= 1 << 20 && size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        size if size >= 1 << 10 && size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    }
}

/// A whole number with a comma between each three digits.
pub(crate) fn grouped(value: f64) -> String {
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
