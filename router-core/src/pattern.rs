//! Event names and the patterns that match them.

mod index;

pub(crate) use index::PatternIndex;

use crate::{Error, Result};

/// The longest event name or pattern, in bytes.
pub const MAX_EVENT_NAME: usize = 1024;

/// What the names of events begin with that Tidings itself emits.
const RESERVED: &str = "tidings.";

/// Whether `text` is a pattern rather than the name of one event.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether `name` matches `pattern`: `*` stands for any run of characters, also none, and `?` for any one.
///
/// What Tidings itself emits, `tidings.` and so on, is matched only by patterns that say at least the start of that.
///
/// Iterative, with one point to go back to: at most `pattern` times `name` steps, no recursion on what a peer sends.
///
/// ```
/// use tidings_router_core::pattern_matches;
///
/// assert!(pattern_matches("greet*", "greeting"));
/// assert!(pattern_matches("node.?", "node.3"));
/// assert!(!pattern_matches("node.?", "node.12"));
/// ```
pub fn pattern_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with(RESERVED) && pattern.starts_with(['*', '?']) {
        return false;
    }
    let (pattern, name): (&[u8], &[u8]) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n += char_len(name[n]);
            }
            Some(byte) if *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_p, star_n)) = star else { return false };
                star = Some((star_p, star_n + 1));
                p = star_p + 1;
                n = star_n + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether there may be a name that matches both; names that Tidings itself emits are not looked at.
pub(crate) fn patterns_overlap(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // Whether the rest of `one` behind what was looked at, and the rest of `other` behind each place, have a name in common;
    // from the ends on.
    let mut below = vec![false; other.len() + 1];
    for o in (0..=one.len()).rev() {
        let mut row = vec![false; other.len() + 1];
        for t in (0..=other.len()).rev() {
            row[t] = match (one.get(o), other.get(t)) {
                (None, None) => true,
                (Some('*'), Some('*')) => below[t] || row[t + 1],
                (Some('*'), next) => below[t] || (next.is_some() && row[t + 1]),
                (next, Some('*')) => row[t + 1] || (next.is_some() && below[t]),
                (Some(a), Some(b)) => (a == b || *a == '?' || *b == '?') && below[t + 1],
                _ => false,
            };
        }
        below = row;
    }
    below[0]
}

/// The bytes of the UTF-8 character that starts with `first`.
fn char_len(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

/// Refuses what cannot be the name of an event to emit.
pub(crate) fn check_name(event: &str) -> Result<()> {
    if is_pattern(event) {
        let reason = "`*` and `?` stand in what is listened for, not in what is emitted".into();
        return Err(Error::InvalidEvent { event: event.to_owned(), reason });
    }
    check_pattern(event)
}

/// Refuses what cannot be listened for.
pub(crate) fn check_pattern(event: &str) -> Result<()> {
    let reason = match event.len() {
        0 => "it is empty".into(),
        1..=MAX_EVENT_NAME => return Ok(()),
        length => format!("it has {length} bytes, the limit is {MAX_EVENT_NAME}"),
    };
    Err(Error::InvalidEvent { event: event.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word for word.
    fn by_definition(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                by_definition(&pattern[1..], name) || (!name.is_empty() && by_definition(pattern, &name[1..]))
            }
            (Some('?'), Some(_)) => by_definition(&pattern[1..], &name[1..]),
            (Some(p), Some(n)) => p == n && by_definition(&pattern[1..], &name[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_follows_the_definition(pattern in "[abé*?]{0,8}", name in "[abé]{0,8}") {
            let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(pattern_matches(&pattern, &name), by_definition(&p, &n));
        }
    }

    proptest! {
        #[test]
        fn patterns_overlap_where_a_name_matches_both(one in "[ab*?]{0,4}", other in "[ab*?]{0,4}") {
            // A name that matches both needs no more characters than the two have together, and none but theirs.
            let mut names = vec![String::new()];
            for length in 0..8 {
                let longer = names.iter().filter(|name| name.len() == length);
                let longer: Vec<_> = longer.flat_map(|name| [format!("{name}a"), format!("{name}b")]).collect();
                names.extend(longer);
            }
            let is_common = |name: &String| pattern_matches(&one, name) && pattern_matches(&other, name);
            prop_assert_eq!(patterns_overlap(&one, &other), names.iter().any(is_common));
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(check_name("a::b").is_ok());
        assert!(check_name("a*").is_err() && check_pattern("a*").is_ok());
        assert!(check_pattern("").is_err());
        assert!(check_name(&"x".repeat(MAX_EVENT_NAME)).is_ok());
        assert!(check_name(&"x".repeat(MAX_EVENT_NAME + 1)).is_err());
    }
}
