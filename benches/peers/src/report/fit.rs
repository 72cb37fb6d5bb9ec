//! What a curve follows: `a + b * x^power`, by least squares of what is left over in proportion to the value.

use super::ratio::digits;

/// A curve that comes close.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit {
    pub(crate) base: f64,
    pub(crate) factor: f64,
    pub(crate) power: f64,
    /// How much of the variance it explains, from 0 to 1.
    pub(crate) r_squared: f64,
}

/// Powers that are tried, in steps of 0.05.
const POWERS: std::ops::RangeInclusive<i32> = -40..=60;
const STEP: f64 = 0.05;

/// Less than so many times as much is no growth.
const SAME: f64 = 1.25;

/// Who explains less of the variance says nothing.
const GOOD: f64 = 0.8;

/// The curve that comes closest to `points`, of which there are at least four, with `a` not below zero.
pub(crate) fn fit(points: &[(f64, f64)]) -> Option<Fit> {
    if points.len() < 4 || points.iter().any(|(x, y)| *x <= 0.0 || *y <= 0.0) {
        return None;
    }
    let tried = POWERS.filter(|step| *step != 0).map(|step| of_power(points, f64::from(step) * STEP));
    tried.flatten().reduce(|best, next| if next.r_squared > best.r_squared { next } else { best })
}

/// The same for one power: a linear regression on `x^power`, in which a point weighs 1 / y².
fn of_power(points: &[(f64, f64)], power: f64) -> Option<Fit> {
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().map(|(x, y)| of(x.powf(power), *y) / (y * y)).sum()
    };
    let (w, wx, wy) = (sum(&|_, _| 1.0), sum(&|x, _| x), sum(&|_, y| y));
    let (wxx, wxy) = (sum(&|x, _| x * x), sum(&|x, y| x * y));
    let spread = w * wxx - wx * wx;
    let (mut base, mut factor) = ((wxx * wy - wx * wxy) / spread, (w * wxy - wx * wy) / spread);
    if base < 0.0 || spread <= 0.0 {
        (base, factor) = (0.0, wxy / wxx);
    }
    let mean = wy / w;
    let left = sum(&|x, y| (y - base - factor * x).powi(2));
    let whole = sum(&|_, y| (y - mean).powi(2));
    let r_squared = if whole > 0.0 { 1.0 - left / whole } else { 1.0 };
    r_squared.is_finite().then_some(Fit { base, factor, power, r_squared })
}

/// What `what` does as `with` grows, in words that follow from the points alone.
pub(crate) fn sentence(points: &[(f64, f64)], what: &str, with: &str, unit: &str) -> Option<String> {
    let (first, last) = (points.first()?, points.last()?);
    let values = points.iter().map(|(_, y)| *y);
    let spread = values.clone().reduce(f64::max)? / values.reduce(f64::min)?;
    let change = format!("{} × as much at {} as at {}", digits(last.1 / first.1), last.0, first.0);
    if spread < SAME {
        return Some(format!("{what} does not depend on {with}: {change}"));
    }
    let Some(fit) = fit(points).filter(|fit| fit.r_squared >= GOOD) else {
        return Some(format!("{what} follows no simple curve: {change}"));
    };
    let Fit { base, factor, power, r_squared } = fit;
    let verb = match power {
        power if factor * power < 0.0 => format!("falls with {with}"),
        power if power < 0.0 => format!("grows more slowly than {with}"),
        power if (power - 1.0).abs() < 0.13 => format!("grows linearly with {with}"),
        power if (power - 2.0).abs() < 0.18 => format!("grows with the square of {with}"),
        power if power > 1.0 => format!("grows faster than {with}"),
        _ => format!("grows more slowly than {with}"),
    };
    let sign = if factor < 0.0 { '−' } else { '+' };
    let (base, factor) = (digits(base), scientific(factor.abs()));
    Some(format!(
        "{what} {verb}: {base} {sign} {factor} × {with}^{power:.2} {unit} (r² {r_squared:.2}); {change}"
    ))
}

/// Factors of high powers are small.
fn scientific(value: f64) -> String {
    if value >= 0.01 { digits(value) } else { format!("{value:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_above_a_base_is_known_as_one() {
        let points = [2.0, 4.0, 8.0, 16.0, 64.0].map(|x: f64| (x, 1900.0 + 12.0 * x * x));
        let fit = fit(&points).unwrap();
        assert!((fit.power - 2.0).abs() < 1e-9 && (fit.base - 1900.0).abs() < 1e-3 && fit.r_squared > 0.999);
        assert!(sentence(&points, "memory", "nodes", "KiB").unwrap().contains("square of nodes"));
    }

    #[test]
    fn what_comes_closer_to_a_bound_from_below_does_not_fall() {
        let points = [1.0, 3.0, 7.0, 15.0].map(|x: f64| (x, 10.0 - 5.0 / x));
        assert!(sentence(&points, "throughput", "receivers", "/s").unwrap().contains("more slowly"));
    }

    #[test]
    fn what_does_not_grow_is_said_not_to() {
        let points = [(10.0, 5.0), (100.0, 5.5), (1000.0, 5.2), (10_000.0, 5.1)];
        assert!(sentence(&points, "throughput", "subscriptions", "/s").unwrap().contains("does not depend"));
    }

    #[test]
    fn what_jumps_about_is_said_to_follow_nothing() {
        let points = [(1.0, 9.0), (2.0, 1.0), (4.0, 9.0), (8.0, 1.0), (16.0, 9.0)];
        assert!(sentence(&points, "noise", "nodes", "/s").unwrap().contains("no simple curve"));
    }
}
