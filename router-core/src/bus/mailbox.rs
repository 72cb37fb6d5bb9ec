use std::{fmt, str::FromStr};

use crate::{Address, Incarnation, NodeId};

/// Where packets for one life of a node go: `node.7.00c0ffee00c0ffee`, its id and its incarnation.
///
/// The text has letters, digits and dots alone, so that it can stand in the name of any broker's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// The node.
    pub node_id: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
}

impl Mailbox {
    /// Its length in a packet, in bytes.
    pub(super) const LEN: usize = 12;

    pub(super) fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.node_id.0.to_le_bytes());
        bytes[4..].copy_from_slice(&self.incarnation.0.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: [u8; Self::LEN]) -> Self {
        let [a, b, c, d, incarnation @ ..] = bytes;
        Self {
            node_id: NodeId(u32::from_le_bytes([a, b, c, d])),
            incarnation: Incarnation(u64::from_le_bytes(incarnation)),
        }
    }

    /// How other nodes are told of it.
    pub(crate) fn address(self, scheme: &str) -> Address {
        Address::new(scheme, self).expect("the scheme of a transport is known")
    }

    /// The mailbox that such an address names; none in one that a user wrote to say where the broker is.
    pub(crate) fn of(address: &Address) -> Option<Self> {
        address.target().parse().ok()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node.{}.{:016x}", self.node_id.0, self.incarnation.0)
    }
}

impl FromStr for Mailbox {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (node, incarnation) =
            text.strip_prefix("node.").and_then(|rest| rest.split_once('.')).ok_or(())?;
        let node_id = NodeId(node.parse().map_err(drop)?);
        let incarnation = Incarnation(u64::from_str_radix(incarnation, 16).map_err(drop)?);
        let mailbox = Self { node_id, incarnation };
        // One text for each mailbox.
        if mailbox.to_string() == text { Ok(mailbox) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_name_the_same_mailbox() {
        let mailbox = Mailbox { node_id: NodeId(7), incarnation: Incarnation(0xc0_ffee) };
        assert_eq!(mailbox.to_string(), "node.7.0000000000c0ffee");
        assert_eq!(mailbox.to_string().parse(), Ok(mailbox));
        assert_eq!(Mailbox::decode(mailbox.encode()), mailbox);
    }

    #[test]
    fn what_is_no_mailbox_is_none() {
        for text in
            ["", "node", "node.7", "node.7.zz", "node.07.0000000000c0ffee", "node.7.c0ffee", "127.0.0.1:6379"]
        {
            assert_eq!(text.parse::<Mailbox>(), Err(()), "{text}");
        }
    }
}
