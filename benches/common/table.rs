//! Rows as a table in Markdown that is also read well as it is.

use super::row::Row;

/// The table; rows that are compared with each other stand together.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![Row::TITLES.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let widths: Vec<usize> = (0..Row::TITLES.len())
        .map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0))
        .collect();
    let is_number = |column: usize| {
        matches!(Row::TITLES[column], "size" | "receivers" | "median" | "min" | "max" | "lost")
    };
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            text +=
                &if is_number(column) { format!("| {cell:>width$} ") } else { format!("| {cell:<width$} ") };
        }
        text += "|\n";
        if index == 0 {
            for (column, &width) in widths.iter().enumerate() {
                text += &format!("| {}{} ", "-".repeat(width - 1), if is_number(column) { ":" } else { "-" });
            }
            text += "|\n";
        } else if rows.get(index).is_some_and(|next| next.group() != rows[index - 1].group()) {
            for &width in &widths {
                text += &format!("| {:width$} ", "");
            }
            text += "|\n";
        }
    }
    text
}
