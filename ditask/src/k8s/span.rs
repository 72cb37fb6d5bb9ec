//! Spans of time as people write them: `90s`, `30m`, `12h`, `1d`.

use crate::fault::{Fault, Result};

/// The seconds of a span; a bare number is seconds.
pub(super) fn seconds(flag: &str, text: &str, least: u32) -> Result<u32> {
    let wrong = |why: &str| Fault::usage(format!("{flag} `{text}`: {why}"));
    let text = text.trim();
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 24 * 3600),
        _ => (text, 1),
    };
    let number = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let number: u32 = number.and_then(|number| number.parse().ok()).ok_or_else(|| {
        wrong("no span of time: a whole number with its unit, as in `90s`, `30m`, `12h`, `1d`")
    })?;
    // Kubernetes counts seconds in an int32.
    match number.checked_mul(unit).filter(|seconds| i32::try_from(*seconds).is_ok()) {
        Some(seconds) if seconds >= least => Ok(seconds),
        Some(_) => Err(wrong("must be above zero")),
        None => Err(wrong("too long: at most 24855d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_counted_in_seconds() {
        for (text, expected) in
            [("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("1d", 86_400), ("0", 0)]
        {
            assert_eq!(seconds("--ttl", text, 0).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_span_names_the_flag() {
        for text in ["", "d", "-1", "+1", "1.5h", "1w", "1d12h", "24856d", "99999999999", "0s", "1é"] {
            let fault = seconds("--ttl", text, 1).unwrap_err();
            assert!(fault.to_string().starts_with("--ttl"), "{text}: {fault}");
            assert_eq!(fault.code(), 64);
        }
    }
}
