use std::fmt;

/// The number that names a node within its cluster, 0 and up by default.
///
/// In a star, node 0 is the hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The hub of a star.
    pub const HUB: Self = Self(0);

    /// The first id of those that observers have: they look on, and are no members to the others.
    pub const FIRST_OBSERVER: Self = Self(0xF000_0000);

    /// Whether it is an observer's.
    pub fn is_observer(self) -> bool {
        self >= Self::FIRST_OBSERVER
    }
}

impl From<u32> for NodeId {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a node: drawn at random each time a router opens, so that a restarted node is not its old self.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({:016x})", self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
