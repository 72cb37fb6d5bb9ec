//! Measurements as pictures.

use std::fmt::Write;

use super::Row;

/// How wide the longest bar is, in characters.
const WIDTH: usize = 40;

/// Bars of text: round trips, then throughput, each by size.
pub(super) fn bars(rows: &[Row]) -> String {
    let mut text = String::new();
    for (title, value) in GRAPHS {
        for size in sizes(rows) {
            let _ = writeln!(text, "{title}, {size} bytes");
            let of_size: Vec<&Row> = rows.iter().filter(|row| row.size == size).collect();
            let most = of_size.iter().map(|row| value(row)).fold(f64::MIN_POSITIVE, f64::max);
            for row in of_size {
                let length = (value(row) / most * WIDTH as f64).round().max(1.0) as usize;
                let _ =
                    writeln!(text, "  {:8} {:<WIDTH$} {:.1}", row.transport, "█".repeat(length), value(row));
            }
        }
    }
    text
}

/// A title with its unit, and what is drawn.
type Graph = (&'static str, fn(&Row) -> f64);

const GRAPHS: [Graph; 2] =
    [("round trip in µs", |row| row.round_trip_us), ("throughput in MiB/s", |row| row.mib_per_second)];

fn sizes(rows: &[Row]) -> Vec<usize> {
    let mut sizes: Vec<usize> = rows.iter().map(|row| row.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// The same as one picture.
pub(super) fn svg(rows: &[Row]) -> String {
    // A hue for each that people of any sight tell apart: Paul Tol's "bright".
    const COLORS: [&str; 6] = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"];
    const BAR: usize = 18;
    let mut body = String::new();
    let mut top = 10;
    for (title, value) in GRAPHS {
        for size in sizes(rows) {
            let of_size: Vec<&Row> = rows.iter().filter(|row| row.size == size).collect();
            let most = of_size.iter().map(|row| value(row)).fold(f64::MIN_POSITIVE, f64::max);
            top += 20;
            let _ =
                writeln!(body, r#"<text x="10" y="{top}" font-weight="bold">{title}, {size} bytes</text>"#);
            for (index, row) in of_size.iter().enumerate() {
                let (text, width) = (top + 16, (value(row) / most * 400.0).max(1.0));
                let color = COLORS[index % COLORS.len()];
                let _ = writeln!(body, r#"<text x="10" y="{text}">{}</text>"#, row.transport);
                let _ = writeln!(
                    body,
                    r#"<rect x="80" y="{}" width="{width:.1}" height="13" fill="{color}"/>"#,
                    top + 5
                );
                let _ =
                    writeln!(body, r#"<text x="{:.1}" y="{text}">{:.1}</text>"#, width + 86.0, value(row));
                top += BAR;
            }
            top += 6;
        }
    }
    let height = top + 20;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="600" height="{height}" font-family="sans-serif" font-size="12"><rect width="600" height="{height}" fill="#ffffff"/>
{body}</svg>
"##
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_that_of_the_largest_value() {
        let row = |transport: &str, value: f64| Row {
            transport: transport.to_owned(),
            size: 64,
            round_trip_us: value,
            round_trip_p99_us: value,
            messages_per_second: value,
            mib_per_second: value,
        };
        let rows = [row("ipc", 10.0), row("tcp", 20.0)];
        let lines = bars(&rows);
        let lengths: Vec<usize> = lines.lines().map(|line| line.matches('█').count()).collect();
        assert_eq!(lengths, [0, 20, 40, 0, 20, 40]);
        assert!(svg(&rows).ends_with("</svg>\n"));
    }
}
