//! The names of channels.

use std::fmt::Write;

use tidings_router_core::{Channel, Mailbox, NodeId};

/// The channels of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    /// What stands in front of the names of mailboxes.
    stem: String,
}

impl Channels {
    /// Different clusters have different channels, whatever is in their names, and in the prefix.
    pub(crate) fn new(prefix: &str, cluster: &str) -> Self {
        Self { stem: format!("{}:{}:", escape(prefix, ""), escape(cluster, ":")) }
    }

    pub(crate) fn of(&self, channel: Channel) -> String {
        format!("{}{channel}", self.stem)
    }

    /// The glob, in the syntax of Redis, that matches the mailboxes and little else.
    pub(crate) fn all(&self) -> String {
        let mut glob = String::new();
        for char in self.stem.chars() {
            if matches!(char, '*' | '?' | '[' | ']' | '^' | '\\') {
                glob.push('\\');
            }
            glob.push(char);
        }
        glob + "node.*"
    }

    /// A channel that nobody subscribes.
    pub(crate) fn nobody(&self) -> String {
        format!("{}nobody", self.stem)
    }

    /// The key of the journal.
    pub(crate) fn journal(&self) -> String {
        format!("{}journal", self.stem)
    }

    /// The key of a node's position in the journal.
    pub(crate) fn position(&self, node: NodeId) -> String {
        format!("{}journal.position.{node}", self.stem)
    }

    pub(crate) fn mailbox(&self, channel: &str) -> Option<Mailbox> {
        channel.strip_prefix(&self.stem)?.parse().ok()
    }
}

/// Makes text unambiguous in front of a separator: `special` characters, the percent sign and what is not printable are
/// written as in URLs.
fn escape(text: &str, special: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, char| {
        if char == '%' || special.contains(char) || char.is_control() || char.is_whitespace() {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                write!(escaped, "%{byte:02X}").expect("a `String` takes all that is written");
            }
        } else {
            escaped.push(char);
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidings_router_core::Incarnation;

    use super::*;

    const MAILBOX: Mailbox = Mailbox { node_id: NodeId(3), incarnation: Incarnation(1) };
    const CHANNEL: Channel = Channel::Mailbox(MAILBOX);

    #[test]
    fn a_channel_names_prefix_cluster_and_mailbox() {
        let channels = Channels::new("tidings", "demo");
        assert_eq!(channels.of(CHANNEL), "tidings:demo:node.3.0000000000000001");
        let broadcasts = channels.of(Channel::Broadcasts(MAILBOX));
        assert_eq!(broadcasts, "tidings:demo:broadcasts.3.0000000000000001");
        assert_eq!(channels.mailbox(&broadcasts), None);
        assert_eq!(channels.journal(), "tidings:demo:journal");
        assert_eq!(channels.position(NodeId(3)), "tidings:demo:journal.position.3");
        assert_eq!(channels.all(), "tidings:demo:node.*");
        assert_eq!(channels.mailbox(&channels.of(CHANNEL)), Some(MAILBOX));
        assert_eq!(channels.mailbox("tidings:demo:nobody"), None);
        assert_eq!(Channels::new("a", "*?").all(), "a:\\*\\?:node.*");
    }

    proptest! {
        #[test]
        fn no_two_clusters_share_a_channel(one in "[a-z:%* ]{1,6}", other in "[a-z:%* ]{1,6}") {
            prop_assume!(one != other);
            let (one, other) = (Channels::new("p", &one), Channels::new("p", &other));
            prop_assert_ne!(one.of(CHANNEL), other.of(CHANNEL));
            prop_assert_eq!(one.mailbox(&other.of(CHANNEL)), None);
        }
    }
}
