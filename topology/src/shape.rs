use std::{fmt, ops::Range, str::FromStr};

use crate::NodeId;

/// How the nodes of one cluster connect to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topology {
    /// Everyone to everyone: a node that attaches to any one member learns of the others and dials them.
    #[default]
    Mesh,
    /// Everyone to node 0, which forwards between the others.
    Star,
    /// Only what is attached to: no member is learned of, nothing is forwarded.
    Alone,
}

impl Topology {
    /// The indices of the nodes that the node of this `index` dials when all start together.
    pub fn dials(self, index: usize) -> Range<usize> {
        match self {
            Self::Mesh => 0..index,
            Self::Star => 0..index.min(1),
            Self::Alone => 0..0,
        }
    }

    /// How many of `nodes` the node of this `index` is connected with once all have started, directly or through
    /// the hub.
    pub fn reaches(self, nodes: usize) -> usize {
        match self {
            Self::Mesh | Self::Star => nodes.saturating_sub(1),
            Self::Alone => 0,
        }
    }

    /// Whether a node dials a member that it has learned of from another one.
    pub fn dials_learned(self) -> bool {
        self == Self::Mesh
    }

    /// Whether `node` passes messages on from one of its links to another.
    pub fn forwards(self, node: NodeId) -> bool {
        self == Self::Star && node == NodeId::HUB
    }

    /// Whether `node` tells one of its peers about its other peers: a mesh so that they dial each other, the hub of
    /// a star so that the leaves know who is there.
    pub fn announces(self, node: NodeId) -> bool {
        self == Self::Mesh || self.forwards(node)
    }

    /// Whether a link between nodes of these two topologies makes sense: of the same one, or with a node that stands
    /// alone.
    pub fn joins(self, other: Self) -> bool {
        self == other || self == Self::Alone || other == Self::Alone
    }

    /// Whether two nodes may be linked: in a star every link has the hub at one end.
    pub fn links(self, one: NodeId, other: NodeId) -> bool {
        self != Self::Star || one == NodeId::HUB || other == NodeId::HUB
    }

    /// The topology's number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Mesh => 0,
            Self::Star => 1,
            Self::Alone => 2,
        }
    }

    /// The topology of a number on the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Mesh, Self::Star, Self::Alone].into_iter().find(|topology| topology.code() == code)
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mesh => "mesh",
            Self::Star => "star",
            Self::Alone => "alone",
        })
    }
}

impl FromStr for Topology {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Mesh, Self::Star, Self::Alone]
            .into_iter()
            .find(|topology| topology.to_string() == text)
            .ok_or_else(|| format!("unknown topology `{text}`: one of mesh, star, alone"))
    }
}

/// How far a link reaches: the nearer one of two is the faster one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distance {
    /// Within one machine.
    Machine,
    /// To other machines.
    Network,
    /// To a broker, and from there.
    Broker,
}

/// Which of two links between the same two nodes survives, told by how far each reaches and who dialled it: the nearer
/// one; of two that the same node dialled the newer one (the older one is dead, or it would not have dialled again), else
/// the one that the lower node id dialled.
///
/// Both ends see the same two links and so reach the same verdict. Returns whether the new link survives.
pub fn survives(new: (Distance, NodeId), old: (Distance, NodeId)) -> bool {
    new <= old
}
