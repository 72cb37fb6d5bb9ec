//! What this node listens for on behalf of its guests.

use std::collections::BTreeSet;

/// The beginnings of names that guests have subscribed to, and those of them that are listened for.
///
/// One event must come once, whatever guests come and go. So a beginning is not listened for if another one that is
/// covers it; of several that match a name the oldest one serves it; and none is given up as long as a guest is
/// subscribed to anything that it has in common with it.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    subscribed: BTreeSet<String>,
    /// The oldest first.
    listening: Vec<String>,
}

impl Interest {
    /// How many beginnings there are.
    pub(crate) fn len(&self) -> usize {
        self.subscribed.len()
    }

    /// The first guest has subscribed. True if it has to be listened for from now on.
    pub(crate) fn subscribe(&mut self, start: &str) -> bool {
        self.subscribed.insert(start.to_owned());
        let is_new = !self.listening.iter().any(|listened| start.starts_with(listened));
        if is_new {
            self.listening.push(start.to_owned());
        }
        is_new
    }

    /// The last guest has unsubscribed. Returns what need not be listened for any more.
    pub(crate) fn unsubscribe(&mut self, start: &str) -> Vec<String> {
        self.subscribed.remove(start);
        let is_of_use = |listened: &String| {
            let overlaps = |other: &String| other.starts_with(listened) || listened.starts_with(other);
            self.subscribed.iter().any(overlaps)
        };
        let (kept, over) = std::mem::take(&mut self.listening).into_iter().partition(is_of_use);
        self.listening = kept;
        over
    }

    /// Whether an event of this name that `listened` brought is to be handed on: no other one brings it.
    pub(crate) fn is_served_by(&self, listened: &str, name: &str) -> bool {
        self.listening.iter().find(|start| name.starts_with(*start)).is_some_and(|start| start == listened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_is_not_listened_for_twice() {
        let mut interest = Interest::default();
        assert!(interest.subscribe("loss"));
        assert!(!interest.subscribe("loss.train"));
        assert_eq!(interest.unsubscribe("loss"), [""; 0], "a guest still wants a part of it");
        assert!(interest.is_served_by("loss", "loss.train"));
        assert_eq!(interest.unsubscribe("loss.train"), ["loss"]);
        assert_eq!(interest.len(), 0);
    }

    #[test]
    fn an_event_has_one_that_serves_it_while_guests_come_and_go() {
        let mut interest = Interest::default();
        assert!(interest.subscribe("ab"));
        assert!(interest.subscribe("a"));
        assert!(interest.is_served_by("ab", "abc") && !interest.is_served_by("a", "abc"));
        assert!(interest.is_served_by("a", "ax"));
        assert_eq!(interest.unsubscribe("ab"), [""; 0]);
        assert!(interest.is_served_by("ab", "abc") && !interest.is_served_by("a", "abc"));
        let mut over = interest.unsubscribe("a");
        over.sort();
        assert_eq!(over, ["a", "ab"]);
    }
}
