//! What Tidings costs when nothing happens, and until something does.

use super::{record::Records, tables::figure};

/// What a row is, for a reader who does not know its name.
const COSTS: &[(&str, usize, &str)] = &[
    ("unheard", 0, "an emit that nobody listens for"),
    ("idle.memory", 0, "an idle node: resident above an empty program of tokio"),
    ("idle.cpu", 0, "an idle node: time on a core"),
    ("start.first", 2, "2 workers: from the start of the program to the first message"),
    ("start.all", 2, "2 workers: to a message from each"),
    ("start.first", 8, "8 workers: from the start of the program to the first message"),
    ("start.all", 8, "8 workers: to a message from each"),
];

/// The table.
pub(crate) fn table(records: &Records) -> String {
    let mut text = String::from("| what | peer | median (min..max) | unit |\n| --- | --- | ---: | --- |\n");
    for (bench, scale, what) in COSTS {
        for row in records.of(bench).filter(|row| row.scale == *scale) {
            text += &format!("| {what} | `{}` | {} | {} |\n", row.peer, figure(row), row.unit);
        }
    }
    text
}
