use std::sync::Arc;

use crate::NodeId;

/// A message as a listener gets it: what it is called, who emitted it, and the payload in the listener's type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<T> {
    /// The event's name, as emitted (not the listener's pattern).
    pub name: Arc<str>,
    /// The node that emitted it.
    pub source: NodeId,
    /// What was emitted.
    pub payload: T,
}

impl<T> Event<T> {
    /// An event, as a test of a handler needs it.
    pub fn new(name: impl Into<Arc<str>>, source: NodeId, payload: T) -> Self {
        Self { name: name.into(), source, payload }
    }
}
