//! What this node listens for on behalf of its guests.

use std::collections::BTreeSet;

/// The beginnings of names that guests have subscribed to, and those of them that are listened for.
///
/// One event must come once, and in the order of its publisher. So of those that are listened for none covers another
/// one; and none is given up as long as a guest is subscribed to anything that begins so.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    subscribed: BTreeSet<String>,
    listening: Vec<String>,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    /// Listen for what is new, which brings all that these have brought: they are over.
    Listen {
        instead_of: Vec<String>,
    },
}

impl Interest {
    /// How many beginnings there are.
    pub(crate) fn len(&self) -> usize {
        self.subscribed.len()
    }

    /// The first guest has subscribed.
    pub(crate) fn subscribe(&mut self, start: &str) -> Change {
        self.subscribed.insert(start.to_owned());
        if self.listening.iter().any(|listened| start.starts_with(listened)) {
            return Change::Nothing;
        }
        let is_covered = |listened: &String| listened.starts_with(start);
        let (instead_of, kept) = std::mem::take(&mut self.listening).into_iter().partition(is_covered);
        self.listening = kept;
        self.listening.push(start.to_owned());
        Change::Listen { instead_of }
    }

    /// The last guest has unsubscribed. Returns what need not be listened for any more.
    pub(crate) fn unsubscribe(&mut self, start: &str) -> Vec<String> {
        self.subscribed.remove(start);
        let is_of_use = |listened: &String| self.subscribed.iter().any(|other| other.starts_with(listened));
        let (kept, over) = std::mem::take(&mut self.listening).into_iter().partition(is_of_use);
        self.listening = kept;
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instead_of<const N: usize>(starts: [&str; N]) -> Change {
        Change::Listen { instead_of: starts.map(str::to_owned).into() }
    }

    #[test]
    fn what_is_covered_is_not_listened_for_twice() {
        let mut interest = Interest::default();
        assert_eq!(interest.subscribe("loss"), instead_of([]));
        assert_eq!(interest.subscribe("loss.train"), Change::Nothing);
        assert_eq!(interest.unsubscribe("loss"), [""; 0], "a guest still wants a part of it");
        assert_eq!(interest.unsubscribe("loss.train"), ["loss"]);
        assert_eq!(interest.len(), 0);
    }

    #[test]
    fn what_covers_others_takes_their_place() {
        let mut interest = Interest::default();
        assert_eq!(interest.subscribe("ab"), instead_of([]));
        assert_eq!(interest.subscribe("ac"), instead_of([]));
        assert_eq!(interest.subscribe("b"), instead_of([]));
        assert_eq!(interest.subscribe("a"), instead_of(["ab", "ac"]));
        assert_eq!(interest.unsubscribe("a"), [""; 0]);
        assert_eq!(interest.unsubscribe("ab"), [""; 0]);
        assert_eq!(interest.unsubscribe("ac"), ["a"]);
        assert_eq!(interest.unsubscribe("b"), ["b"]);
    }
}
