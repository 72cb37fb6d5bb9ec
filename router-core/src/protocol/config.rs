use crate::{
    Address, Incarnation, Limits, NodeId, Policy, Secret, Topology,
    wire::hello::{Hello, PROOF_LEN},
};

/// Who this node is, and how it deals with others.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) node_id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) cluster: String,
    pub(crate) labels: Vec<String>,
    pub(crate) topology: Topology,
    pub(crate) secret: Option<Secret>,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    /// Where others reach it.
    pub(crate) address: Option<Address>,
}

impl Config {
    /// What it says of itself.
    pub(crate) fn hello(&self, nonce: [u8; PROOF_LEN]) -> Hello {
        Hello {
            nonce,
            guarded: self.secret.is_some(),
            cluster: self.cluster.clone(),
            node_id: self.node_id,
            incarnation: self.incarnation,
            topology: self.topology,
            max_frame: self.limits.max_frame as u32,
            window: self.limits.window as u64,
            address: self.address.as_ref().map(ToString::to_string).unwrap_or_default(),
            labels: self.labels.clone(),
        }
    }
}
