//! Rows as they are saved: a line of JSON each.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::harness::Result;

/// One row: a figure of one subject over all rounds.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Record {
    pub(crate) bench: String,
    pub(crate) peer: String,
    pub(crate) transport: String,
    pub(crate) size: usize,
    pub(crate) receivers: usize,
    pub(crate) scale: usize,
    pub(crate) unit: String,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) values: Vec<f64>,
}

/// A row that is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    /// The subject.
    pub(crate) left_out: String,
    pub(crate) bench: String,
    pub(crate) transport: String,
    pub(crate) size: usize,
    pub(crate) receivers: usize,
    pub(crate) why: String,
}

impl LeftOut {
    /// In all benches.
    pub(crate) fn everywhere(peer: &str, why: &str) -> Self {
        let [left_out, why] = [peer, why].map(str::to_owned);
        Self { left_out, bench: ALL.into(), transport: ALL.into(), size: 0, receivers: 0, why }
    }
}

/// The bench and the transport of a peer that is missing everywhere.
pub(crate) const ALL: &str = "all";

/// A part of the run that did not end well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// Its arguments, and how it ended.
    pub(crate) failed: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Record(Record),
    LeftOut(LeftOut),
    Failed(Failed),
    Machine(Machine),
}

/// All that a run has come to.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) machine: Option<Machine>,
    pub(crate) rows: Vec<Record>,
    pub(crate) left_out: Vec<LeftOut>,
    failed: Vec<String>,
}

impl Records {
    /// Reads lines of JSON.
    pub(crate) fn parse(lines: &str) -> Result<Self> {
        let mut records = Self::default();
        for (index, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let parsed = serde_json::from_str(line);
            match parsed.map_err(|error| format!("line {}: {error}: {line}", index + 1))? {
                Line::Record(record) => records.rows.push(record),
                Line::LeftOut(left_out) => records.left_out.push(left_out),
                Line::Failed(Failed { failed }) => records.failed.push(failed),
                Line::Machine(machine) => records.machine = Some(machine),
            }
        }
        Ok(records)
    }

    pub(crate) fn failures(&self) -> impl Iterator<Item = &str> {
        self.failed.iter().map(String::as_str)
    }

    /// The row of `peer`, if it was measured.
    pub(crate) fn find(
        &self,
        bench: &str,
        peer: &str,
        transport: &str,
        size: usize,
        receivers: usize,
    ) -> Option<&Record> {
        self.rows.iter().find(|row| {
            (&*row.bench, &*row.peer, &*row.transport) == (bench, peer, transport)
                && (row.size, row.receivers) == (size, receivers)
        })
    }

    /// The rows of `bench`, in their order.
    pub(crate) fn of<'a>(&'a self, bench: &'a str) -> impl Iterator<Item = &'a Record> {
        self.rows.iter().filter(move |row| row.bench == bench)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Row, Wire};

    #[test]
    fn what_the_harness_prints_is_read_again() {
        let row = Row::of("start.first", Wire::Ipc, 8, "ms", vec![3.0, 1.0, 2.0]).to_string();
        let left_out = r#"{"left_out":"nats","bench":"fanout","transport":"tcp","size":64,"receivers":3,"why":"no \"nats\""}"#;
        let records = Records::parse(&format!("{row}\n{left_out}\n{{\"failed\":\"latency\"}}\n")).unwrap();
        assert_eq!((records.rows[0].median, records.rows[0].scale), (2.0, 8));
        assert_eq!(records.left_out[0].why, "no \"nats\"");
        assert_eq!(records.failures().collect::<Vec<_>>(), ["latency"]);
    }
}
