//! Medians and percentiles.

/// The value below which `percent` of `sorted` lies, by nearest rank; 0 of nothing.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The least, the middle and the greatest of several rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Summary {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        // Of an even number of rounds, the mean of the two in the middle.
        let upper = values.get(values.len() / 2).copied().unwrap_or_default();
        let median = (percentile(&values, 50) + upper) / 2.0;
        Self { min: percentile(&values, 0), median, max: percentile(&values, 100) }
    }
}
