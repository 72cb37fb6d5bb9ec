//! The names of subjects.

use async_nats::Subject;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidings_router_core::{Channel, Error, Mailbox, Result};

/// What stands in a token of a subject as `%2E` and the like: all but letters, digits, `-` and `_`, which every server
/// and every tool take for what they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// What stands so in the name of a stream, where `-` separates.
const IN_STREAMS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_');

/// The longest prefix, in bytes: the server takes 4 KiB for a line.
const MAX_PREFIX: usize = 255;

/// The subjects of one node. All of them begin with `PREFIX.CLUSTER`:
///
/// | behind that | what is published there |
/// | --- | --- |
/// | `node.7.00c0ffee00c0ffee` | packets for a mailbox |
/// | `broadcasts.7.00c0ffee00c0ffee` | what a node has to say to several others at once |
/// | `lobby` | notes for everyone |
/// | `reply.MAILBOX.here` | answers to its question |
/// | `reply.MAILBOX.knock.N` | the server's word that nobody is in the lobby |
/// | `reply.MAILBOX.mark.N` | its own mark, which comes back when the server has done all that was asked before |
/// | `reply.MAILBOX.unheard.OTHER` | the server's word that nobody listens to the other mailbox |
/// | `journal` | entries of the journal |
/// | `position.7` | a node's position in the journal |
/// | `inbox.MAILBOX.N` | the server's answers to what is asked about the journal |
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    base: String,
    replies: String,
    /// What the names of streams begin with.
    streams: String,
    own: Mailbox,
}

/// What has come to the reply subjects of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Here,
    Knock(u64),
    Mark(u64),
    Unheard(Mailbox),
}

impl Subjects {
    pub(crate) fn new(prefix: &str, cluster: &str, own: Mailbox) -> Self {
        let base = format!("{prefix}.{}", escape(cluster));
        let token = |name| utf8_percent_encode(name, IN_STREAMS);
        let streams = format!("{}-{}", token(prefix), token(cluster));
        Self { replies: format!("{base}.reply.{own}"), base, streams, own }
    }

    pub(crate) fn own(&self) -> Mailbox {
        self.own
    }

    pub(crate) fn of(&self, channel: Channel) -> Subject {
        format!("{}.{channel}", self.base).into()
    }

    pub(crate) fn lobby(&self) -> Subject {
        format!("{}.lobby", self.base).into()
    }

    /// All that other nodes and the server answer to this one.
    pub(crate) fn replies(&self) -> Subject {
        format!("{}.>", self.replies).into()
    }

    /// Where another node is told that this one is here.
    pub(crate) fn here(&self, asker: Mailbox) -> Subject {
        format!("{}.reply.{asker}.here", self.base).into()
    }

    pub(crate) fn knock(&self, number: u64) -> Subject {
        format!("{}.knock.{number}", self.replies).into()
    }

    pub(crate) fn mark(&self, number: u64) -> Subject {
        format!("{}.mark.{number}", self.replies).into()
    }

    pub(crate) fn unheard(&self, mailbox: Mailbox) -> Subject {
        format!("{}.unheard.{mailbox}", self.replies).into()
    }

    /// Where the server answers what is asked about the journal.
    pub(crate) fn inbox(&self) -> String {
        format!("{}.inbox.{}", self.base, self.own)
    }

    /// Where entries of the journal are published.
    pub(crate) fn journal(&self) -> Subject {
        format!("{}.journal", self.base).into()
    }

    /// Where this node publishes its position in the journal.
    pub(crate) fn position(&self) -> Subject {
        format!("{}.position.{}", self.base, self.own.node_id).into()
    }

    /// Where all nodes do.
    pub(crate) fn positions(&self) -> Subject {
        format!("{}.position.*", self.base).into()
    }

    /// What a stream of the cluster is called: no two clusters have the same one.
    pub(crate) fn stream(&self, kind: &str) -> String {
        format!("{}-{kind}", self.streams)
    }

    /// What a reply subject of this node stands for.
    pub(crate) fn reply(&self, subject: &str) -> Option<Reply> {
        let rest = subject.strip_prefix(&self.replies)?.strip_prefix('.')?;
        let (kind, what) = rest.split_once('.').unwrap_or((rest, ""));
        match kind {
            "here" => Some(Reply::Here),
            "knock" => what.parse().ok().map(Reply::Knock),
            "mark" => what.parse().ok().map(Reply::Mark),
            "unheard" => what.parse().ok().map(Reply::Unheard),
            _ => None,
        }
    }
}

/// A name as a token of a subject. Two names never have the same token.
fn escape(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// Whether subjects may begin so.
pub(crate) fn check_prefix(prefix: &str) -> Result<()> {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || ['*', '>'].contains(&c);
    let reason = if prefix.len() > MAX_PREFIX {
        format!("it has {} bytes, the limit is {MAX_PREFIX}", prefix.len())
    } else if prefix.split('.').any(str::is_empty) {
        "its tokens, which dots separate, may not be empty".to_owned()
    } else if prefix.contains(is_wrong) {
        "no subject of NATS has blanks, `*` or `>` in its name".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Setting { setting: "prefix".to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use tidings_router_core::{Incarnation, NodeId};

    use super::*;

    const OWN: Mailbox = Mailbox { node_id: NodeId(7), incarnation: Incarnation(0xc0_ffee) };
    const OTHER: Mailbox = Mailbox { node_id: NodeId(8), incarnation: Incarnation(1) };

    #[test]
    fn subjects_begin_with_the_prefix_and_the_cluster() {
        let subjects = Subjects::new("a.b", "my cluster.*", OWN);
        assert_eq!(subjects.lobby().as_str(), "a.b.my%20cluster%2E%2A.lobby");
        assert_eq!(
            subjects.of(Channel::Mailbox(OWN)).as_str(),
            "a.b.my%20cluster%2E%2A.node.7.0000000000c0ffee"
        );
        assert_eq!(
            subjects.unheard(OTHER).as_str(),
            "a.b.my%20cluster%2E%2A.reply.node.7.0000000000c0ffee.unheard.node.8.0000000000000001"
        );
    }

    #[test]
    fn no_two_clusters_have_a_stream_of_the_same_name() {
        let stream = |prefix, cluster| Subjects::new(prefix, cluster, OWN).stream("journal");
        assert_eq!(stream("tidings", "demo_1"), "tidings-demo_1-journal");
        assert_eq!(stream("a.b", "c d/*"), "a%2Eb-c%20d%2F%2A-journal");
        assert_ne!(stream("a-b", "c"), stream("a", "b-c"));
    }

    #[test]
    fn a_reply_is_known_by_its_subject() {
        let subjects = Subjects::new("tidings", "demo", OWN);
        let others = Subjects::new("tidings", "demo", OTHER);
        for (subject, reply) in [
            (others.here(OWN), Some(Reply::Here)),
            (subjects.knock(3), Some(Reply::Knock(3))),
            (subjects.mark(4), Some(Reply::Mark(4))),
            (subjects.unheard(OTHER), Some(Reply::Unheard(OTHER))),
            (others.unheard(OWN), None),
            (subjects.lobby(), None),
            (format!("{}.unheard.x", subjects.replies).into(), None),
            (format!("{}.x", subjects.replies).into(), None),
        ] {
            assert_eq!(subjects.reply(&subject), reply, "{subject}");
        }
    }

    #[test]
    fn a_prefix_that_is_no_subject_is_refused() {
        assert!(check_prefix("tidings").is_ok() && check_prefix("org.example-1").is_ok());
        for prefix in ["", ".", "a..b", "a.", "a b", "a.*", ">", "a\n", &"x".repeat(256)] {
            let error = check_prefix(prefix).unwrap_err();
            assert!(matches!(error, Error::Setting { ref setting, .. } if setting == "prefix"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_name_of_a_cluster_is_one_token_and_comes_back(name in "\\PC*|.*") {
            let token = escape(&name);
            prop_assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || "-_%".contains(c)), "{}", token);
            prop_assert_eq!(percent_decode_str(&token).decode_utf8().unwrap(), name);
        }
    }
}
