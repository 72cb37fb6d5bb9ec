//! The frames between two nodes that have let each other in, other than messages.

use super::{
    WireError,
    codec::{BodyReader, FrameWriter},
    kind,
};
use crate::{
    DropReason, Incarnation, LeaveReason, MAX_EVENT_NAME, NodeId,
    builder::{MAX_LABELS, MAX_NAME},
};

/// A control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The first on every link: how far the other side's messages have come. Messages flow once it is there.
    Resume(Received),
    /// What the sender, and those behind it, listen for.
    Interest {
        /// What was said before does not count any more.
        reset: bool,
        /// Patterns, and how many listeners each has now; 0 takes it back.
        patterns: Vec<(String, u32)>,
    },
    /// Who is in the cluster, as the sender sees it.
    Members {
        /// Nodes that are there.
        joined: Vec<Member>,
        /// Nodes that are not there any more.
        left: Vec<(NodeId, Incarnation, LeaveReason)>,
    },
    /// How far the other side's messages have come and have been taken.
    Ack(Received),
    /// Messages between the last one and the next were dropped. In order with the messages.
    Gap {
        /// Who emitted them.
        source: NodeId,
        /// How many.
        count: u64,
        /// Why.
        reason: DropReason,
    },
    /// Messages were lost on another link of the way, some of them perhaps for the receiver of this.
    Loss {
        /// Who emitted them.
        source: NodeId,
        /// How many.
        count: u64,
    },
    /// The link lives; answered by [`Pong`](Self::Pong).
    Ping,
    /// The answer to a [`Ping`](Self::Ping): a number that changes when the node takes messages, so that one that is
    /// slow is told from one that is stuck.
    Pong(u64),
    /// The sender leaves, and everything that it had to say stands before this. In order with the messages.
    Goodbye,
    /// The answer to a [`Goodbye`](Self::Goodbye): how far the messages had come.
    Farewell(Received),
}

/// How far messages have come, counted over the whole session, whichever links carried them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Messages that have arrived, or of which a gap has said that they will not.
    pub messages: u64,
    /// Bytes of messages that have arrived.
    pub bytes: u64,
    /// Bytes of messages that have been taken by all listeners that they went to.
    pub consumed: u64,
}

/// A member as it is told to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub node_id: NodeId,
    /// Which of its lives this is.
    pub incarnation: Incarnation,
    /// Where it listens; empty if it does not.
    pub address: String,
    /// Its labels.
    pub labels: Vec<String>,
}

/// The reasons to leave by their number on the wire.
const LEAVE_REASONS: [LeaveReason; 7] = [
    LeaveReason::Goodbye,
    LeaveReason::LinkLost,
    LeaveReason::Silent,
    LeaveReason::Lagging,
    LeaveReason::Restarted,
    LeaveReason::HubLeft,
    LeaveReason::Protocol,
];

impl Control {
    /// Writes the frame to the end of `buffer`.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Resume(received) => received.encode(buffer, kind::RESUME),
            Self::Ack(received) => received.encode(buffer, kind::ACK),
            Self::Farewell(received) => received.encode(buffer, kind::FAREWELL),
            Self::Ping => FrameWriter::new(buffer, kind::PING).end(),
            Self::Pong(taken) => FrameWriter::new(buffer, kind::PONG).u64(*taken).end(),
            Self::Goodbye => FrameWriter::new(buffer, kind::GOODBYE).end(),
            Self::Interest { reset, patterns } => {
                let mut frame = FrameWriter::new(buffer, kind::INTEREST).u8(u8::from(*reset));
                for (pattern, count) in patterns {
                    frame = frame.text(pattern).u32(*count);
                }
                frame.end();
            }
            Self::Members { joined, left } => {
                let mut frame = FrameWriter::new(buffer, kind::MEMBERS).u32(joined.len() as u32);
                for member in joined {
                    frame = frame.u32(member.node_id.0).u64(member.incarnation.0).text(&member.address);
                    frame = frame.u8(member.labels.len() as u8);
                    for label in &member.labels {
                        frame = frame.text(label);
                    }
                }
                for (node, incarnation, reason) in left {
                    let reason = LEAVE_REASONS.iter().position(|known| known == reason).unwrap_or_default();
                    frame = frame.u32(node.0).u64(incarnation.0).u8(reason as u8);
                }
                frame.end();
            }
            Self::Gap { source, count, reason } => {
                FrameWriter::new(buffer, kind::GAP).u32(source.0).u64(*count).u8(reason.index() as u8).end();
            }
            Self::Loss { source, count } => {
                FrameWriter::new(buffer, kind::LOSS).u32(source.0).u64(*count).end()
            }
        }
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    ///
    /// When it is no control frame.
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let mut body = BodyReader::new(frame);
        let control = match frame.get(4).copied().unwrap_or_default() {
            kind::RESUME => Self::Resume(Received::decode(&mut body)?),
            kind::ACK => Self::Ack(Received::decode(&mut body)?),
            kind::FAREWELL => Self::Farewell(Received::decode(&mut body)?),
            kind::PING => Self::Ping,
            kind::PONG => Self::Pong(body.u64()?),
            kind::GOODBYE => Self::Goodbye,
            kind::INTEREST => {
                let reset = body.u8()? == 1;
                let mut patterns = Vec::new();
                while !body.is_empty() {
                    patterns.push((body.text(MAX_EVENT_NAME)?.to_owned(), body.u32()?));
                }
                Self::Interest { reset, patterns }
            }
            kind::MEMBERS => members(&mut body)?,
            kind::GAP => {
                let (source, count) = (NodeId(body.u32()?), body.u64()?);
                let reason = DropReason::ALL.get(usize::from(body.u8()?)).copied();
                Self::Gap { source, count, reason: reason.ok_or_else(|| body.invalid("a reason"))? }
            }
            kind::LOSS => Self::Loss { source: NodeId(body.u32()?), count: body.u64()? },
            kind => return Err(WireError::Kind { kind }),
        };
        body.end()?;
        Ok(control)
    }
}

fn members(body: &mut BodyReader<'_>) -> Result<Control, WireError> {
    let count = body.u32()?;
    let mut joined = Vec::new();
    for _ in 0..count {
        let node_id = NodeId(body.u32()?);
        let incarnation = Incarnation(body.u64()?);
        let address = body.text(4 * MAX_NAME)?.to_owned();
        let labels = usize::from(body.u8()?);
        if labels > MAX_LABELS {
            return Err(body.invalid("a number of labels"));
        }
        let labels =
            (0..labels).map(|_| Ok(body.text(MAX_NAME)?.to_owned())).collect::<Result<_, WireError>>()?;
        joined.push(Member { node_id, incarnation, address, labels });
    }
    let mut left = Vec::new();
    while !body.is_empty() {
        let (node, incarnation) = (NodeId(body.u32()?), Incarnation(body.u64()?));
        let reason = LEAVE_REASONS.get(usize::from(body.u8()?)).copied();
        left.push((node, incarnation, reason.ok_or_else(|| body.invalid("a reason"))?));
    }
    Ok(Control::Members { joined, left })
}

impl Received {
    fn encode(&self, buffer: &mut Vec<u8>, kind: u8) {
        FrameWriter::new(buffer, kind).u64(self.messages).u64(self.bytes).u64(self.consumed).end();
    }

    fn decode(body: &mut BodyReader<'_>) -> Result<Self, WireError> {
        Ok(Self { messages: body.u64()?, bytes: body.u64()?, consumed: body.u64()? })
    }
}
