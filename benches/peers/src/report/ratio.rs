//! How many times as much: the median of the ratios of two rows, round by round.

use super::record::Record;
use crate::harness::Summary;

/// `ours` in units of `theirs`. Rows of one group were measured in turns, so that each of their rounds is
/// compared with its neighbour; others are compared by their medians.
pub(crate) fn ratio(ours: &Record, theirs: &Record) -> Option<Summary> {
    let paired = ours.values.len() == theirs.values.len();
    let pairs: Vec<(f64, f64)> = match paired {
        true => ours.values.iter().copied().zip(theirs.values.iter().copied()).collect(),
        false => vec![(ours.median, theirs.median)],
    };
    let ratios: Vec<f64> =
        pairs.into_iter().filter(|(_, their)| *their > 0.0).map(|(our, their)| our / their).collect();
    (!ratios.is_empty()).then(|| Summary::of(ratios))
}

/// A number with as many digits as are worth reading.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => crate::harness::grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
