use std::collections::BTreeMap;

use crate::{Incarnation, NodeId};

/// How a member is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// By a link of its own.
    Direct,
    /// Through this node, the hub.
    Via(NodeId),
}

/// Who is in the cluster, as one node sees it: each member with its incarnation, the path to it, and what `T` the
/// caller keeps of it.
#[derive(Debug, Clone)]
pub struct Members<T> {
    table: BTreeMap<NodeId, (Incarnation, Path, T)>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { table: BTreeMap::new() }
    }
}

impl<T> Members<T> {
    /// Takes a member in, and returns the earlier incarnation that it replaces, if any.
    ///
    /// A member that is here already in the same incarnation keeps its direct path: word of it by way of the hub
    /// changes nothing.
    pub fn join(&mut self, node: NodeId, incarnation: Incarnation, path: Path, value: T) -> Joined<T> {
        match self.table.get(&node) {
            Some((known, Path::Direct, _)) if *known == incarnation && path != Path::Direct => Joined::Known,
            Some((known, old, _)) if *known == incarnation && *old == path => Joined::Known,
            _ => match self.table.insert(node, (incarnation, path, value)) {
                Some((known, _, _)) if known == incarnation => Joined::Known,
                Some((_, _, old)) => Joined::Replaced(old),
                None => Joined::New,
            },
        }
    }

    /// Takes a member out, if it is here in this incarnation.
    pub fn leave(&mut self, node: NodeId, incarnation: Incarnation) -> Option<T> {
        self.table.get(&node).filter(|(known, _, _)| *known == incarnation)?;
        self.table.remove(&node).map(|(_, _, value)| value)
    }

    /// Takes out every member that was reached through `hub`.
    pub fn lose_hub(&mut self, hub: NodeId) -> Vec<T> {
        let lost = self.table.extract_if(.., |_, (_, path, _)| *path == Path::Via(hub));
        lost.map(|(_, (_, _, value))| value).collect()
    }

    /// The member of this id.
    pub fn get(&self, node: NodeId) -> Option<(Incarnation, Path, &T)> {
        self.table.get(&node).map(|(incarnation, path, value)| (*incarnation, *path, value))
    }

    /// All members, by node id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, Path, &T)> {
        self.table.iter().map(|(node, (_, path, value))| (*node, *path, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// What [`Members::join`] did.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<T> {
    /// It was not here.
    New,
    /// It was here already.
    Known,
    /// It was here in another incarnation, whose entry this is.
    Replaced(T),
}
