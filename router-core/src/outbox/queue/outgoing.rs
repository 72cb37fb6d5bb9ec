use bytes::Bytes;

use crate::{NodeId, Shareable, wire::data::DataHeader};

/// One or more whole messages to queue.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    /// One large one: header and name, then the payload.
    Large(Bytes, Shareable),
    /// Messages one behind the other, copied where they are small.
    Block(Bytes, u64),
}

impl Outgoing {
    /// How many messages it is.
    pub(crate) fn messages(&self) -> u64 {
        if let Self::Block(_, count) = self { *count } else { 1 }
    }

    /// The name of the event; of the first one in a block.
    pub(super) fn event(&self) -> &[u8] {
        match self {
            Self::Large(head, _) => DataHeader::name_of(head),
            Self::Block(frames, _) => DataHeader::name_of(frames),
        }
    }

    /// Who emitted it; the first one in a block.
    pub(super) fn source(&self) -> NodeId {
        DataHeader::source_of(match self {
            Self::Large(head, _) => head,
            Self::Block(frames, _) => frames,
        })
    }
}
