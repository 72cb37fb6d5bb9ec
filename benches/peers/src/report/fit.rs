//! What a curve follows: the power of its argument, by least squares of the logarithms.

/// `y = c * x^exponent`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit {
    pub(crate) exponent: f64,
    /// How much of the variance it explains, from 0 to 1.
    pub(crate) r_squared: f64,
}

/// The power that comes closest to `points`, of at least three different `x`. None has a value of 0 or less.
pub(crate) fn fit(points: &[(f64, f64)]) -> Option<Fit> {
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    if logs.len() < 3 {
        return None;
    }
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| logs.iter().map(|(x, y)| of(x - mean_x, y - mean_y)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    let r_squared = if yy > 0.0 { xy * xy / (xx * yy) } else { 1.0 };
    (xx > 0.0).then_some(Fit { exponent: xy / xx, r_squared })
}

impl Fit {
    /// What `what` does as `with` grows, in words that follow from the exponent.
    pub(crate) fn sentence(&self, what: &str, with: &str) -> String {
        let Self { exponent, r_squared } = *self;
        let verb = match exponent {
            e if e.abs() < 0.05 => format!("{what} does not depend on {with}"),
            e if e.abs() < 0.25 => format!("{what} hardly depends on {with}"),
            e if (e - 1.0).abs() < 0.15 => format!("{what} grows linearly with {with}"),
            e if (e - 2.0).abs() < 0.2 => format!("{what} grows with the square of {with}"),
            e if (e + 1.0).abs() < 0.15 => format!("{what} falls in inverse proportion to {with}"),
            e if e > 1.0 => format!("{what} grows faster than {with}"),
            e if e > 0.0 => format!("{what} grows more slowly than {with}"),
            _ => format!("{what} falls with {with}"),
        };
        format!("{verb}: as its power {exponent:.2} (r² {r_squared:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_known_as_one() {
        let fit = fit(&[(1.0, 3.0), (2.0, 12.0), (4.0, 48.0)]).unwrap();
        assert!((fit.exponent - 2.0).abs() < 1e-9 && fit.r_squared > 0.999);
        assert!(fit.sentence("memory", "nodes").contains("square of nodes"));
    }

    #[test]
    fn what_does_not_grow_is_said_not_to() {
        let fit = fit(&[(10.0, 5.0), (1000.0, 5.0), (100_000.0, 5.0)]).unwrap();
        assert!(fit.sentence("throughput", "subscriptions").contains("does not depend"));
    }
}
