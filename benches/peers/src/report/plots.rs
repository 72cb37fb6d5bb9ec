//! Which plots there are.

use super::{
    plan::SIZES,
    record::Records,
    scale::SCALES,
    svg::{Chart, Series},
    tables::peers,
};

/// Benches with peers: name, receivers, title, and which figures are good.
pub(crate) const BENCHES: &[(&str, usize, &str, &str)] = &[
    ("latency", 1, "Round trip", "Microseconds, less is better."),
    ("latency.p99", 1, "Round trip, 99th percentile", "Microseconds, less is better."),
    ("throughput", 1, "One way", "Messages per second, more is better."),
    ("fanout", 3, "1 to 3", "Deliveries per second, more is better; each receiver counts."),
];

/// Names of files, and what is in them.
pub(crate) fn all(records: &Records) -> Vec<(String, String)> {
    let mut plots = Vec::new();
    for (bench, receivers, title, _) in BENCHES {
        for transport in ["ipc", "tcp"] {
            let curve = |peer: &str| Series {
                name: peer.to_owned(),
                points: SIZES
                    .into_iter()
                    .filter_map(|size| {
                        let row = records.find(bench, peer, transport, size, *receivers)?;
                        Some((size as f64, row.median))
                    })
                    .collect(),
            };
            let series: Vec<Series> =
                peers(records, bench, transport, *receivers).into_iter().map(curve).collect();
            let unit = records.of(bench).next().map_or("", |row| &row.unit);
            let title = format!("{title}, {transport}");
            let chart = Chart { title: &title, x: "bytes", y: unit, series: &series };
            plots.extend(chart.draw().map(|svg| (format!("{bench}-{transport}.svg"), svg)));
        }
    }
    for scale in SCALES {
        let curves = scale.curves(records);
        let series: Vec<Series> = curves
            .iter()
            .map(|curve| Series {
                name: curve.name.clone(),
                points: curve.points.iter().map(|(at, row)| (*at as f64, row.median)).collect(),
            })
            .collect();
        let chart = Chart { title: scale.title, x: scale.with, y: scale.unit, series: &series };
        plots.extend(chart.draw().map(|svg| (scale.plot.to_owned(), svg)));
    }
    plots
}
