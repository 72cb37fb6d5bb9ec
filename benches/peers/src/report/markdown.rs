//! The document.

use super::{
    bars, costs,
    machine::Machine,
    plots::BENCHES,
    record::{ALL, Records},
    scale::SCALES,
    tables,
};

/// `BENCHMARKS.md`.
pub(crate) fn document(records: &Records) -> String {
    let mut text = String::from(
        "# Benchmarks\n\nMade by `cd benches/peers && cargo run --release -- report` from the rows in \
         [benches/plots/rows.jsonl](benches/plots/rows.jsonl); no figure here is written by hand. What the rows are, \
         and how they are measured, is in [benches/README.md](benches/README.md).\n\n",
    );
    text += &records.machine.as_ref().map(machine).unwrap_or_default();
    text +=
        "## Bars\n\nMedians of the ratios of neighbouring rounds, with the least and the greatest ratio.\n\n";
    text += &bars::table(records);
    for (bench, receivers, title, better) in BENCHES {
        text += &format!(
            "\n## {title}\n\nMedian (least..greatest round). {better} The ratio is `tidings` in units of that peer.\n"
        );
        for transport in ["ipc", "tcp", "memory", "redis", "nats"] {
            let table = tables::table(records, bench, transport, *receivers);
            if table.is_empty() {
                continue;
            }
            text += &format!("\n### {title}, {transport}\n\n{table}");
            if ["ipc", "tcp"].contains(&transport) {
                text += &format!("\n![{title}, {transport}](benches/plots/{bench}-{transport}.svg)\n");
            }
        }
    }
    text += "\n## What it costs by itself\n\n";
    text += &costs::table(records);
    text += "\n## Scale\n\n";
    for scale in SCALES {
        text += &scale.section(records);
    }
    text + &missing(records)
}

fn machine(machine: &Machine) -> String {
    let Machine { machine, cores, memory, kernel, rustc, date, commit, rounds, versions } = machine;
    format!(
        "| | |\n| --- | --- |\n| machine | {machine}, {cores} cores, {memory} |\n| kernel | {kernel} |\n| compiler \
         | {rustc} |\n| Tidings | {commit} |\n| peers | {} |\n| measured | {date}, {rounds} |\n\n",
        versions.join(", ")
    )
}

/// What is not in the tables, and why.
fn missing(records: &Records) -> String {
    if records.left_out.is_empty() && records.failures().next().is_none() {
        return String::new();
    }
    let mut text = String::from("## Left out\n\n");
    let mut said: Vec<(&str, &str)> = Vec::new();
    for row in &records.left_out {
        let reason = (&*row.left_out, &*row.why);
        if said.contains(&reason) {
            continue;
        }
        said.push(reason);
        let same = records.left_out.iter().filter(|other| (&*other.left_out, &*other.why) == reason);
        let rows: Vec<String> = same
            .map(|row| format!("{}/{}/{}/{}", row.bench, row.transport, row.size, row.receivers))
            .collect();
        let rows = if row.bench == ALL { ALL.to_owned() } else { rows.join(", ") };
        let why = row.why.replace('\n', " ");
        text += &format!("- `{}` ({}): {why}\n", row.left_out, rows);
    }
    for failed in records.failures() {
        text += &format!("- {failed}\n");
    }
    text
}
