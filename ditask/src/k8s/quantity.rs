//! Quantities as Kubernetes writes them: `6`, `500m`, `10Gi`, `1e3`.

use crate::fault::{Fault, Result};

/// What stands behind a number, and what it is multiplied by.
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// The least memory that anything runs in; what is less is meant to have a suffix.
const LEAST_BYTES: f64 = 1_048_576.0;

/// Kubernetes' own bound.
const MOST: f64 = 9_223_372_036_854_775_807.0;

/// How much of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantity {
    /// As it was typed.
    pub(super) text: String,
    pub(super) value: f64,
}

impl Quantity {
    /// Reads the quantity of a resource.
    ///
    /// # Errors
    ///
    /// A fault that begins with `flag`, where it is no quantity, or one that this resource cannot have.
    pub(super) fn read(flag: &str, resource: &str, text: &str) -> Result<Self> {
        let wrong = |why: &str| Fault::usage(format!("{flag} `{text}`: {why}"));
        let value = parse(text).ok_or_else(|| {
            wrong("no quantity: a number as in `6`, `500m`, `1.5`, or with a unit as in `10Gi`")
        })?;
        if value <= 0.0 || value > MOST {
            return Err(wrong("must be above zero, and below 2^63"));
        }
        // Thousandths, as far as a binary fraction can tell.
        let is_whole = |value: f64| (value - value.round()).abs() <= value.abs() * 1e-12;
        let fault = match resource {
            "cpu" => (value < 0.001 || !is_whole(value * 1000.0)).then_some("finer than a thousandth, `1m`"),
            _ if is_bytes(resource) && value < LEAST_BYTES => {
                Some("less than a mebibyte: give it a unit, as in `10Gi`")
            }
            _ if is_bytes(resource) => (!is_whole(value)).then_some("no whole number of bytes"),
            _ => (!is_whole(value)).then_some("no whole number"),
        };
        match fault {
            Some(fault) => Err(wrong(fault)),
            None => Ok(Self { text: text.to_owned(), value }),
        }
    }
}

fn is_bytes(resource: &str) -> bool {
    matches!(resource, "memory" | "ephemeral-storage") || resource.starts_with("hugepages-")
}

fn parse(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !".+-".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number = number.strip_prefix('+').unwrap_or(number);
    // `f64` reads more than this, as `inf`.
    if !number.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-') || text.len() > 32 {
        return None;
    }
    let number: f64 = number.parse().ok()?;
    let exponent = suffix.strip_prefix(['e', 'E']).filter(|rest| !rest.is_empty() && *rest != "i");
    if let Some(exponent) = exponent {
        let exponent: i32 = exponent.parse().ok()?;
        return Some(number * 10_f64.powi(exponent));
    }
    let (_, factor) = SUFFIXES.iter().find(|(known, _)| *known == suffix)?;
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resource: &str, text: &str) -> Option<f64> {
        Quantity::read("--cpu", resource, text).ok().map(|quantity| quantity.value)
    }

    #[test]
    fn every_form_of_a_quantity_is_read() {
        for (resource, text, expected) in [
            ("cpu", "6", 6.0),
            ("cpu", "500m", 0.5),
            ("cpu", "0.5", 0.5),
            ("cpu", ".5", 0.5),
            ("cpu", "+1.001", 1.001),
            ("cpu", "1k", 1000.0),
            ("memory", "10Gi", 10_737_418_240.0),
            ("memory", "1.5Gi", 1_610_612_736.0),
            ("memory", "128974848", 128_974_848.0),
            ("memory", "129e6", 129e6),
            ("memory", "129E6", 129e6),
            ("memory", "129M", 129e6),
            ("memory", "1E", 1e18),
            ("memory", "1Ei", 1_152_921_504_606_846_976.0),
            ("memory", "2000000000m", 2e6),
            ("example.com/nic", "2", 2.0),
        ] {
            assert_eq!(value(resource, text), Some(expected), "{resource} {text}");
        }
    }

    #[test]
    fn what_is_no_quantity_of_the_resource_is_refused_and_named() {
        for (resource, text) in [
            ("cpu", ""),
            ("cpu", "six"),
            ("cpu", "6 "),
            ("cpu", "6 Gi"),
            ("cpu", "-1"),
            ("cpu", "0"),
            ("cpu", "inf"),
            ("cpu", "1.2.3"),
            ("cpu", "1-2"),
            ("cpu", "0.0001"),
            ("cpu", "1u"),
            ("memory", "10GB"),
            ("memory", "10gi"),
            ("memory", "10"),
            ("memory", "10m"),
            ("memory", "1048576.5"),
            ("memory", "100E"),
            ("memory", "1e99"),
            ("memory", "1e"),
            ("example.com/nic", "0.5"),
        ] {
            let fault = Quantity::read("--cpu", resource, text).unwrap_err();
            assert!(fault.to_string().starts_with("--cpu"), "{fault}");
            assert_eq!(fault.code(), 64, "{resource} {text}");
        }
    }
}
