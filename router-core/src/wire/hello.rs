//! The frames of a handshake: all that arrives before a link is trusted.

use super::{
    MAGIC, VERSION, WireError,
    codec::{BodyReader, FrameWriter},
    kind,
};
use crate::{
    Incarnation, NodeId, Topology,
    builder::{MAX_LABELS, MAX_NAME},
};

/// The length of a random number and of a proof, in bytes.
pub const PROOF_LEN: usize = 32;

/// What a node says of itself, first thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// A fresh random number, so that no handshake is like another.
    pub nonce: [u8; PROOF_LEN],
    /// Whether it holds a secret, and lets in only who holds it too.
    pub guarded: bool,
    /// The name of its cluster.
    pub cluster: String,
    /// Its id.
    pub node_id: NodeId,
    /// Which of its lives this is.
    pub incarnation: Incarnation,
    /// The shape of its cluster.
    pub topology: Topology,
    /// The largest frame that it takes, in bytes.
    pub max_frame: u32,
    /// How many bytes it takes that its listeners have not taken yet.
    pub window: u64,
    /// Where it listens; empty if it does not.
    pub address: String,
    /// Its labels.
    pub labels: Vec<String>,
}

/// A frame of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// The dialling node's first.
    Hello(Hello),
    /// The answer, with the proof that the accepting node holds the secret (empty without one).
    Welcome(Hello, Vec<u8>),
    /// The dialling node's proof (empty without a secret).
    Proof(Vec<u8>),
    /// The dialling node is let in.
    Accept,
    /// It is not.
    Reject(Reject),
}

/// Why a node is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The kind of reason.
    pub reason: RejectReason,
    /// The version that the refusing node speaks.
    pub version: u16,
    /// The refusing node's topology.
    pub topology: Topology,
    /// What a person may want to know.
    pub text: String,
}

/// The kinds of reasons to turn a node away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// Another version of the protocol.
    Version,
    /// Another cluster.
    Cluster,
    /// Another secret, or only one side has one.
    Secret,
    /// A topology, or a pair of nodes, that this topology does not link.
    Topology,
    /// The node id is taken by a node that is alive.
    DuplicateNodeId,
    /// There is a link between the two already; not an error.
    DuplicateLink,
    /// Too many handshakes at once, or a shutdown: try again.
    Busy,
}

impl RejectReason {
    const ALL: [Self; 7] = [
        Self::Version,
        Self::Cluster,
        Self::Secret,
        Self::Topology,
        Self::DuplicateNodeId,
        Self::DuplicateLink,
        Self::Busy,
    ];
}

impl Hello {
    /// The frame of a hello; as a welcome it has a proof behind it.
    fn encode(&self, buffer: &mut Vec<u8>, kind: u8, proof: Option<&[u8]>) {
        let mut frame = FrameWriter::new(buffer, kind)
            .bytes(&MAGIC)
            .u16(VERSION)
            .u8(u8::from(self.guarded))
            .bytes(&self.nonce)
            .text(&self.cluster)
            .u32(self.node_id.0)
            .u64(self.incarnation.0)
            .u8(self.topology.code())
            .u32(self.max_frame)
            .u64(self.window)
            .text(&self.address)
            .u8(self.labels.len() as u8);
        for label in &self.labels {
            frame = frame.text(label);
        }
        if let Some(proof) = proof {
            frame = frame.u8(proof.len() as u8).bytes(proof);
        }
        frame.end();
    }

    fn decode(body: &mut BodyReader<'_>) -> Result<Self, HandshakeError> {
        if body.array::<8>().map_err(|_| WireError::Magic)? != MAGIC {
            return Err(WireError::Magic.into());
        }
        let version = body.u16()?;
        if version != VERSION {
            return Err(HandshakeError::Version(version));
        }
        let hello = Self {
            guarded: body.u8()? & 1 == 1,
            nonce: body.array()?,
            cluster: body.text(MAX_NAME)?.to_owned(),
            node_id: NodeId(body.u32()?),
            incarnation: Incarnation(body.u64()?),
            topology: Topology::from_code(body.u8()?).ok_or_else(|| body.invalid("a topology"))?,
            max_frame: body.u32()?,
            window: body.u64()?,
            address: body.text(4 * MAX_NAME)?.to_owned(),
            labels: (0..body.u8()?)
                .map(|_| Ok(body.text(MAX_NAME)?.to_owned()))
                .collect::<Result<_, WireError>>()?,
        };
        if hello.labels.len() > MAX_LABELS {
            return Err(body.invalid("a number of labels").into());
        }
        Ok(hello)
    }
}

/// Why a frame is none of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeError {
    /// It is none of ours.
    Wire(WireError),
    /// It is of another version.
    Version(u16),
}

impl From<WireError> for HandshakeError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Handshake {
    /// Writes the frame to the end of `buffer`.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => hello.encode(buffer, kind::HELLO, None),
            Self::Welcome(hello, proof) => hello.encode(buffer, kind::WELCOME, Some(proof)),
            Self::Proof(proof) => {
                FrameWriter::new(buffer, kind::PROOF).u8(proof.len() as u8).bytes(proof).end();
            }
            Self::Accept => FrameWriter::new(buffer, kind::ACCEPT).end(),
            Self::Reject(reject) => {
                let reason = RejectReason::ALL.iter().position(|reason| *reason == reject.reason);
                FrameWriter::new(buffer, kind::REJECT)
                    .bytes(&MAGIC)
                    .u16(reject.version)
                    .u8(reason.unwrap_or_default() as u8)
                    .u8(reject.topology.code())
                    .text(&reject.text)
                    .end();
            }
        }
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    ///
    /// When it is none of a handshake in this version.
    pub fn decode(frame: &[u8]) -> Result<Self, HandshakeError> {
        let mut body = BodyReader::new(frame);
        let handshake = match frame.get(4).copied().unwrap_or_default() {
            kind::HELLO => Self::Hello(Hello::decode(&mut body)?),
            kind::WELCOME => Self::Welcome(Hello::decode(&mut body)?, proof(&mut body)?),
            kind::PROOF => Self::Proof(proof(&mut body)?),
            kind::ACCEPT => Self::Accept,
            kind::REJECT => {
                if body.array::<8>().map_err(|_| WireError::Magic)? != MAGIC {
                    return Err(WireError::Magic.into());
                }
                let version = body.u16()?;
                let reason = RejectReason::ALL.get(usize::from(body.u8()?)).copied();
                Self::Reject(Reject {
                    version,
                    reason: reason.ok_or_else(|| body.invalid("a reason"))?,
                    topology: Topology::from_code(body.u8()?).ok_or_else(|| body.invalid("a topology"))?,
                    text: body.text(usize::from(u16::MAX))?.to_owned(),
                })
            }
            kind => return Err(WireError::Kind { kind }.into()),
        };
        body.end()?;
        Ok(handshake)
    }
}

fn proof(body: &mut BodyReader<'_>) -> Result<Vec<u8>, WireError> {
    let length = usize::from(body.u8()?);
    match length {
        0 | PROOF_LEN => Ok(body.bytes(length)?.to_vec()),
        _ => Err(body.invalid("the length of a proof")),
    }
}
