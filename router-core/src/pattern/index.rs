use std::collections::BTreeMap;

use super::pattern_matches;

/// Ends the first and the second part of a key. It sorts before all text, whose bytes stand in keys one higher than they
/// are.
const END: u8 = 0;

/// Values by pattern, found by the names that the patterns match.
///
/// **No look at what cannot match.** A pattern is kept under the text in front of its first wildcard and the text
/// behind its last one. A name is compared with those patterns alone whose two texts it begins and ends with, however
/// many others there are.
///
/// A key is the text in front, then the text behind, backwards, then the pattern.
#[derive(Debug)]
pub(crate) struct PatternIndex<V>(BTreeMap<Box<[u8]>, (Box<str>, V)>);

impl<V> Default for PatternIndex<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> PatternIndex<V> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of this very pattern.
    pub(crate) fn get(&self, pattern: &str) -> Option<&V> {
        self.0.get(&*key(pattern)).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, pattern: &str) -> Option<&mut V> {
        self.0.get_mut(&*key(pattern)).map(|(_, value)| value)
    }

    /// The value of this very pattern, made if there is none.
    pub(crate) fn get_or_default(&mut self, pattern: &str) -> &mut V
    where
        V: Default,
    {
        &mut self.0.entry(key(pattern).into()).or_insert_with(|| (pattern.into(), V::default())).1
    }

    /// Takes a value in; returns the one that the pattern had before.
    pub(crate) fn insert(&mut self, pattern: &str, value: V) -> Option<V> {
        self.0.insert(key(pattern).into(), (pattern.into(), value)).map(|(_, value)| value)
    }

    /// Takes the value of a pattern out.
    pub(crate) fn remove(&mut self, pattern: &str) -> Option<V> {
        self.0.remove(&*key(pattern)).map(|(_, value)| value)
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (Box<str>, V)> {
        std::mem::take(&mut self.0).into_values()
    }

    /// All patterns and their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.values().map(|(pattern, value)| (&**pattern, value))
    }

    /// Calls `found` with the value of each pattern that matches `name`.
    pub(crate) fn matching<'a>(&'a self, name: &str, mut found: impl FnMut(&'a V)) {
        let front: Vec<u8> = raised(name.bytes()).collect();
        let back: Vec<u8> = raised(name.bytes().rev()).collect();
        self.starts(&[], &front, |start| {
            self.starts(start, &back, |both| {
                let patterns = self.0.range(Box::from(both)..).take_while(|(key, _)| key.starts_with(both));
                for (_, (pattern, value)) in patterns {
                    if pattern_matches(pattern, name) {
                        found(value);
                    }
                }
            });
        });
    }

    /// Of the keys that begin with `under`, calls `found` with the start of those whose next part `text` begins with.
    ///
    /// It goes backwards from the last key that is not behind `text`: what that has in common with `text`, all parts that
    /// are looked for begin with, or are. So there are at most as many steps as `text` has bytes, and mostly two or
    /// three.
    fn starts(&self, under: &[u8], text: &[u8], mut found: impl FnMut(&[u8])) {
        let mut rest = text;
        loop {
            // Behind all keys whose part is `rest`: no byte of text is that high.
            let last = [under, rest, &[END, u8::MAX]].concat().into_boxed_slice();
            let Some((key, _)) = self.0.range(..last).next_back() else { return };
            let Some(part) = key.strip_prefix(under) else { return };
            let common = part.iter().zip(rest).take_while(|(one, other)| one == other).count();
            rest = &rest[..common];
            if part.get(common) == Some(&END) {
                found(&key[..=under.len() + common]);
                let Some((_, shorter)) = rest.split_last() else { return };
                rest = shorter;
            }
        }
    }
}

/// Bytes of text as they stand in keys.
fn raised(bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    // No byte of UTF-8 is the highest one.
    bytes.map(|byte| byte + 1)
}

fn key(pattern: &str) -> Vec<u8> {
    let front = pattern.find(['*', '?']).unwrap_or(pattern.len());
    let back = pattern.rfind(['*', '?']).map_or(0, |last| last + 1);
    let front = raised(pattern[..front].bytes());
    let back = raised(pattern[back..].bytes().rev());
    front.chain([END]).chain(back).chain([END]).chain(pattern.bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(index: &PatternIndex<usize>, name: &str) -> Vec<usize> {
        let mut found = Vec::new();
        index.matching(name, |value| found.push(*value));
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn it_finds_what_matches_and_nothing_else(
            patterns in prop::collection::btree_set("[ab\0é*?]{0,6}", 0..60),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
            names in prop::collection::vec("(tidings\\.)?[ab\0é]{0,7}", 1..20),
        ) {
            let patterns: Vec<String> = patterns.into_iter().collect();
            let mut kept: Vec<(usize, &String)> = patterns.iter().enumerate().collect();
            let mut index = PatternIndex::default();
            for (number, pattern) in &kept {
                prop_assert_eq!(index.insert(pattern, *number), None);
            }
            for gone in removed.iter().filter(|_| !patterns.is_empty()) {
                let gone = gone.index(patterns.len());
                let was = kept.iter().any(|(number, _)| *number == gone);
                kept.retain(|(number, _)| *number != gone);
                prop_assert_eq!(index.remove(&patterns[gone]), was.then_some(gone));
            }
            prop_assert_eq!(index.len(), kept.len());
            for name in names {
                let matching = kept.iter().filter(|(_, pattern)| pattern_matches(pattern, &name));
                let matching: Vec<usize> = matching.map(|(number, _)| *number).collect();
                prop_assert_eq!(found(&index, &name), matching);
            }
        }
    }

    #[test]
    fn a_name_is_not_compared_with_the_many_that_begin_or_end_otherwise() {
        let mut index = PatternIndex::default();
        for number in 0..1000 {
            index.insert(&format!("sensor.{number}.*"), number);
            index.insert(&format!("*.{number}"), 10_000 + number);
            index.insert(&format!("a.*.{number}?b"), 20_000 + number);
        }
        assert_eq!(found(&index, "sensor.7.12"), [7, 10_012]);
        assert_eq!(found(&index, "a.x.30!b"), [20_030]);
        let mut starts = 0;
        index.starts(&[], &key("sensor.7.12")[..11], |_| starts += 1);
        assert_eq!(starts, 2);
    }

    #[test]
    fn a_pattern_is_kept_once() {
        let mut index = PatternIndex::default();
        *index.get_or_default("a*") += 1;
        *index.get_or_default("a*") += 1;
        assert_eq!((index.len(), index.get("a*"), index.get("a*?")), (1, Some(&2), None));
        assert_eq!(index.insert("a*", 5), Some(2));
        assert_eq!(index.iter().collect::<Vec<_>>(), [("a*", &5)]);
        assert_eq!(index.drain().collect::<Vec<_>>(), [("a*".into(), 5)]);
    }
}
