use std::fmt;

use super::Mailbox;

/// Where a packet is published to.
///
/// The text of one, `node.7.00c0ffee00c0ffee` or `broadcasts.7.00c0ffee00c0ffee`, has letters, digits and dots alone, so
/// that it can stand in the name of any broker's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// One node, which has subscribed to it.
    Mailbox(Mailbox),
    /// All that have subscribed to what this node has to say to several of them.
    Broadcasts(Mailbox),
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => mailbox.fmt(f),
            Self::Broadcasts(Mailbox { node_id, incarnation }) => {
                write!(f, "broadcasts.{}.{:016x}", node_id.0, incarnation.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incarnation, NodeId};

    #[test]
    fn no_two_channels_of_a_node_have_the_same_text() {
        let mailbox = Mailbox { node_id: NodeId(7), incarnation: Incarnation(0xc0_ffee) };
        assert_eq!(Channel::Mailbox(mailbox).to_string(), "node.7.0000000000c0ffee");
        assert_eq!(Channel::Broadcasts(mailbox).to_string(), "broadcasts.7.0000000000c0ffee");
    }
}
