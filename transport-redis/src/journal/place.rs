//! Places in a stream: `1700000000000-0/1234`, the id of an entry and how many were added up to it.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use tidings_router_core::{Error, Page, Position, Trimmed};

use super::FIELD;

/// A place in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Of the entry that it is behind.
    pub(super) id: String,
    /// How many entries were added up to that one, ever, if the server counts them.
    pub(super) index: Option<u64>,
}

/// In front of everything.
impl Default for Place {
    fn default() -> Self {
        Self { id: "0-0".to_owned(), index: None }
    }
}

/// Text that is no place.
#[derive(Debug)]
pub(super) struct NoPlace;

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it looks like `1700000000000-0/1234` in Redis, or without what follows the slash")
    }
}

impl std::error::Error for NoPlace {}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (id, index) = match text.split_once('/') {
            Some((id, index)) => (id, Some(number(index).ok_or(NoPlace)?)),
            None => (text, None),
        };
        let (time, number_of_it) = id.split_once('-').ok_or(NoPlace)?;
        number(time).and(number(number_of_it)).ok_or(NoPlace)?;
        Ok(Self { id: id.to_owned(), index })
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a server tells of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    /// How many entries were ever added.
    pub(super) added: Option<u64>,
    /// How many there are.
    pub(super) length: u64,
    /// Whether the entry that was asked for is there, if they are not counted.
    pub(super) is_known: bool,
}

impl Place {
    pub(super) fn position(&self) -> Result<Position, Error> {
        match self.index {
            Some(index) => format!("{}/{index}", self.id).parse(),
            None => self.id.parse(),
        }
    }

    /// The entries that were found behind this place.
    pub(super) fn page(&self, count: Count, found: Vec<(String, Vec<Vec<u8>>)>) -> Result<Page, Error> {
        let removed = count.added.map(|added| added.saturating_sub(count.length));
        let is_start = *self == Self::default();
        // A stream that was made anew has fewer.
        let known = self.index.filter(|index| count.added.is_some_and(|added| *index <= added));
        let trimmed = match (removed, known) {
            _ if is_start => None,
            (Some(removed), Some(index)) => Some(Trimmed::Count(removed.saturating_sub(index))),
            _ => (!count.is_known).then_some(Trimmed::Perhaps),
        };
        let before = removed.filter(|_| is_start || self.index.is_some());
        let mut index = before.map(|removed| removed.max(known.unwrap_or_default()));
        let mut entries = Vec::with_capacity(found.len());
        for (id, fields) in found {
            index = index.map(|index| index + 1);
            entries.push((Self { id, index }.position()?, entry(fields)));
        }
        Ok(Page { trimmed, entries })
    }
}

/// What an entry of ours holds; nothing if it is none.
fn entry(fields: Vec<Vec<u8>>) -> Bytes {
    match <[_; 2]>::try_from(fields) {
        Ok([name, value]) if name == FIELD.as_bytes() => value.into(),
        _ => Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &[&str]) -> Vec<(String, Vec<Vec<u8>>)> {
        ids.iter().map(|id| ((*id).to_owned(), vec![FIELD.into(), b"entry".to_vec()])).collect()
    }

    fn positions(page: &Page) -> Vec<String> {
        page.entries.iter().map(|(position, _)| position.to_string()).collect()
    }

    fn count(added: u64, length: u64) -> Count {
        Count { added: Some(added), length, is_known: true }
    }

    #[test]
    fn it_comes_back_as_text_and_nothing_else_is_one() {
        for text in ["7-0", "1700000000000-3/12"] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.position().unwrap().to_string(), text);
        }
        for text in ["", "7", "7-", "-0", "a-0", "7-0/", "7-0/x", "7-+1", "12"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn entries_are_counted_from_the_first_that_is_there() {
        let page = Place::default().page(count(9, 2), found(&["5-0", "5-1"])).unwrap();
        assert_eq!((page.trimmed, positions(&page)), (None, vec!["5-0/8".to_owned(), "5-1/9".to_owned()]));
    }

    #[test]
    fn what_was_dropped_behind_a_place_is_counted() {
        let place: Place = "3-0/4".parse().unwrap();
        let page = place.page(count(9, 2), found(&["5-0", "5-1"])).unwrap();
        assert_eq!((page.trimmed, &*positions(&page)[0]), (Some(Trimmed::Count(3)), "5-0/8"));
        let page = place.page(count(9, 8), found(&["5-0", "5-1"])).unwrap();
        assert_eq!((page.trimmed, &*positions(&page)[0]), (Some(Trimmed::Count(0)), "5-0/5"));
    }

    #[test]
    fn a_server_that_does_not_count_says_whether_something_may_be_missing() {
        let place: Place = "3-0".parse().unwrap();
        for (is_known, trimmed) in [(true, None), (false, Some(Trimmed::Perhaps))] {
            let page = place.page(Count { added: None, length: 2, is_known }, found(&["5-0"])).unwrap();
            assert_eq!((page.trimmed, &*positions(&page)[0]), (trimmed, "5-0"));
        }
    }

    #[test]
    fn a_stream_that_was_made_anew_is_counted_anew() {
        let place: Place = "3-0/40".parse().unwrap();
        let page = place.page(count(9, 2), found(&["5-0", "5-1"])).unwrap();
        assert_eq!(positions(&page), ["5-0/8", "5-1/9"]);
    }

    #[test]
    fn what_others_wrote_is_nothing() {
        let fields =
            vec![("7-0".to_owned(), vec![b"a".to_vec(), b"b".to_vec(), b"m".to_vec(), b"x".to_vec()])];
        let page = Place::default().page(count(1, 1), fields).unwrap();
        assert!(page.entries[0].1.is_empty());
    }
}
