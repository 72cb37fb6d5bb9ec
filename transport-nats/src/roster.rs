//! Who is there.

use std::collections::HashSet;

use tidings_router_core::Mailbox;

/// No more nodes are kept in mind: other programs may publish to our subjects.
const MAX_OTHERS: usize = 1 << 16;

/// Who is there, as one node knows it, and whether it has heard of everyone.
///
/// It knocks, enters the lobby, asks who is there, and lets a mark come back from the server. If nobody was in the lobby
/// when it knocked, then the mark says that it has met everyone: whoever entered later has asked later too, or will
/// answer. Else somebody answers, and says how many there are. Who does not yet know all of them himself answers later; he
/// only waits for those who do, or for the server.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    others: HashSet<Mailbox>,
    /// The server has said that nobody was in the lobby.
    was_empty: bool,
    /// All that the server has to say of the knock has come, and the question was published.
    is_marked: bool,
    /// The most that an answer has spoken of.
    expected: Option<usize>,
    /// Has met everyone, or waits no longer.
    settled: bool,
    /// Who has asked meanwhile.
    waiting: Vec<Mailbox>,
}

impl Roster {
    pub(crate) fn nobody_there(&mut self) {
        self.was_empty = true;
    }

    pub(crate) fn marked(&mut self) {
        self.is_marked = true;
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.is_marked
    }

    fn add(&mut self, who: Mailbox) {
        if self.others.len() < MAX_OTHERS {
            self.others.insert(who);
        }
    }

    /// Somebody has asked. Returns whether he gets an answer now.
    pub(crate) fn asked(&mut self, who: Mailbox) -> bool {
        self.add(who);
        if !self.settled && self.waiting.len() < MAX_OTHERS {
            self.waiting.push(who);
        }
        self.settled
    }

    /// How many there are beside who has asked.
    pub(crate) fn count(&self) -> usize {
        self.others.len()
    }

    pub(crate) fn answered(&mut self, who: Mailbox, count: usize) {
        self.add(who);
        self.expected = self.expected.max(Some(count));
    }

    pub(crate) fn left(&mut self, who: Mailbox) {
        self.others.remove(&who);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether everyone has been met who was there before.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_marked && (self.was_empty || self.expected.is_some_and(|count| self.others.len() >= count))
    }

    /// Waits for nobody any more. Returns who has to be answered.
    pub(crate) fn settle(&mut self) -> Vec<Mailbox> {
        self.settled = true;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use tidings_router_core::{Incarnation, NodeId};

    use super::*;

    fn node(id: u32) -> Mailbox {
        Mailbox { node_id: NodeId(id), incarnation: Incarnation(1) }
    }

    #[test]
    fn a_lonely_node_waits_for_the_server_alone() {
        let mut roster = Roster::default();
        roster.nobody_there();
        assert!(!roster.is_complete());
        roster.marked();
        assert!(roster.is_complete());
    }

    #[test]
    fn a_newcomer_waits_for_as_many_as_an_answer_speaks_of() {
        let mut roster = Roster::default();
        roster.marked();
        assert!(!roster.is_complete());
        roster.answered(node(1), 2);
        assert!(!roster.is_complete());
        roster.answered(node(2), 1);
        assert!(roster.is_complete());
    }

    #[test]
    fn who_is_new_himself_answers_when_he_knows_everyone() {
        let mut roster = Roster::default();
        roster.nobody_there();
        assert!(!roster.asked(node(1)));
        roster.marked();
        assert!(roster.is_complete());
        assert_eq!(roster.settle(), [node(1)]);
        assert!(roster.asked(node(2)));
        assert_eq!(roster.count(), 2);
        roster.left(node(1));
        assert_eq!(roster.count(), 1);
    }
}
