//! What nodes say to each other beside their packets. It is text, so that people can read along.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use tidings_router_core::Mailbox;

/// The first word of every note of this version.
const VERSION: &str = "tidings1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// In the lobby: is anybody there? Only the server's answer counts.
    Knock,
    /// In the lobby: who is there? I am.
    Ask(Mailbox),
    /// To who has asked: I am here, and so many others than you are, myself counted.
    Here(Mailbox, usize),
    /// In the lobby: I am going.
    Bye(Mailbox),
}

impl Note {
    pub(crate) fn encode(self) -> Bytes {
        self.to_string().into()
    }

    /// None for what is no note of this version: other programs may publish to our subjects.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Knock => write!(f, "{VERSION} knock"),
            Self::Ask(who) => write!(f, "{VERSION} ask {who}"),
            Self::Here(who, count) => write!(f, "{VERSION} here {who} {count}"),
            Self::Bye(who) => write!(f, "{VERSION} bye {who}"),
        }
    }
}

impl FromStr for Note {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            [VERSION, "knock"] => Ok(Self::Knock),
            [VERSION, "ask", who] => Ok(Self::Ask(who.parse()?)),
            [VERSION, "here", who, count] => Ok(Self::Here(who.parse()?, count.parse().map_err(drop)?)),
            [VERSION, "bye", who] => Ok(Self::Bye(who.parse()?)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_router_core::{Incarnation, NodeId};

    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let who = Mailbox { node_id: NodeId(7), incarnation: Incarnation(1) };
        assert_eq!(Note::Here(who, 3).to_string(), "tidings1 here node.7.0000000000000001 3");
        for note in [Note::Knock, Note::Ask(who), Note::Here(who, 3), Note::Bye(who)] {
            assert_eq!(Note::decode(&note.encode()), Some(note));
        }
    }

    #[test]
    fn what_other_programs_publish_is_no_note() {
        for text in [
            "",
            "hello",
            "tidings2 knock",
            "tidings1",
            "tidings1 ask",
            "tidings1 ask node.7",
            "tidings1 ask node.7.0000000000000001 ",
            "tidings1 here node.7.0000000000000001 -1",
            "tidings1 bye *",
        ] {
            assert_eq!(Note::decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Note::decode(b"tidings1 \xff"), None);
    }
}
