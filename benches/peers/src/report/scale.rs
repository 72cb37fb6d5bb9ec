//! How figures grow: a table, a plot and a sentence for each, the sentence computed from the points.

use super::{
    fit::sentence,
    record::{Record, Records},
    tables::figure,
};

/// A family of curves over the same argument.
pub(crate) struct Scale {
    pub(crate) title: &'static str,
    /// The file of its plot.
    pub(crate) plot: &'static str,
    /// The argument, in the plural.
    pub(crate) with: &'static str,
    /// What is measured, with its unit, as a plot says it.
    pub(crate) unit: &'static str,
    /// Benches, each with what it measures in a sentence.
    benches: &'static [(&'static str, &'static str)],
    argument: fn(&Record) -> usize,
}

/// A name, and points of argument and row.
pub(crate) struct Curve<'a> {
    pub(crate) name: String,
    sentence: String,
    pub(crate) points: Vec<(usize, &'a Record)>,
}

pub(crate) const SCALES: &[Scale] = &[
    Scale {
        title: "Receivers of 64 B over ipc",
        plot: "scale-receivers.svg",
        with: "receivers",
        unit: "deliveries/s",
        benches: &[("fanout", "deliveries per second")],
        argument: |row| row.receivers,
    },
    Scale {
        title: "Subscriptions that do not match",
        plot: "scale-subscriptions.svg",
        with: "subscriptions",
        unit: "messages/s",
        benches: &[
            ("subscriptions.names", "throughput beside other names"),
            ("subscriptions.patterns", "throughput beside other patterns"),
        ],
        argument: |row| row.scale,
    },
    Scale {
        title: "Start of N nodes in one process",
        plot: "scale-start.svg",
        with: "nodes",
        unit: "ms",
        benches: &[("nodes.star.start", "start-up of a star"), ("nodes.mesh.start", "start-up of a mesh")],
        argument: |row| row.scale,
    },
    Scale {
        title: "Memory of N nodes in one process",
        plot: "scale-memory.svg",
        with: "nodes",
        unit: "KiB",
        benches: &[("nodes.star.memory", "memory of a star"), ("nodes.mesh.memory", "memory of a mesh")],
        argument: |row| row.scale,
    },
];

impl Scale {
    /// The curves that were measured.
    pub(crate) fn curves<'a>(&self, records: &'a Records) -> Vec<Curve<'a>> {
        let mut curves: Vec<Curve<'a>> = Vec::new();
        for (bench, sentence) in self.benches {
            let small = |row: &&Record| row.size <= 64 && (*bench != "fanout" || row.transport == "ipc");
            for row in records.of(bench).filter(small) {
                let name = if self.benches.len() > 1 { bench.to_string() } else { row.peer.clone() };
                let point = ((self.argument)(row), row);
                match curves.iter_mut().find(|curve| curve.name == name) {
                    Some(curve) => curve.points.push(point),
                    None => {
                        let sentence = if self.benches.len() > 1 {
                            (*sentence).to_owned()
                        } else {
                            format!("{sentence} of `{name}`")
                        };
                        curves.push(Curve { name, sentence, points: vec![point] });
                    }
                }
            }
        }
        for curve in &mut curves {
            curve.points.sort_by_key(|(argument, _)| *argument);
        }
        curves.retain(|curve| curve.points.len() > 1);
        curves
    }

    /// The part of the document.
    pub(crate) fn section(&self, records: &Records) -> String {
        let curves = self.curves(records);
        if curves.is_empty() {
            return String::new();
        }
        let mut arguments: Vec<usize> =
            curves.iter().flat_map(|curve| curve.points.iter().map(|(argument, _)| *argument)).collect();
        arguments.sort_unstable();
        arguments.dedup();
        let mut text = format!("### {}\n\n| {} |", self.title, self.unit);
        for argument in &arguments {
            text += &format!(" {argument} |");
        }
        text += "\n| --- |";
        text += &" ---: |".repeat(arguments.len());
        for curve in &curves {
            text += &format!("\n| `{}` |", curve.name);
            for argument in &arguments {
                let row = curve.points.iter().find(|(at, _)| at == argument);
                text += &format!(" {} |", row.map(|(_, row)| figure(row)).unwrap_or_default());
            }
        }
        text += &format!("\n\n![{}](benches/plots/{})\n\n", self.title, self.plot);
        for curve in &curves {
            let points: Vec<(f64, f64)> =
                curve.points.iter().map(|(argument, row)| (*argument as f64, row.median)).collect();
            let sentence = sentence(&points, &curve.sentence, self.with, self.unit);
            text += &sentence
                .map(|sentence| {
                    format!(
                        "- {}.
",
                        capital(&sentence)
                    )
                })
                .unwrap_or_default();
        }
        text + "\n"
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
