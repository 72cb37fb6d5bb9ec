//! Who is let in.
//!
//! The dialling node says hello, the accepting one welcomes it with a proof, the dialling one answers with its own and
//! is accepted. A proof is an HMAC-SHA-256 (RFC 2104) under the secret over the prover's role and all bytes of both
//! sides so far, both sides' fresh random numbers among them: it cannot be replayed, nor reflected, nor moved to a
//! handshake in which anybody changed a byte.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Config;
use crate::{
    Error, NodeId, Secret,
    wire::{
        VERSION,
        hello::{Hello, Reject, RejectReason},
    },
};

/// Who proves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Dialling,
    Accepting,
}

fn mac(secret: &Secret, role: Role, transcript: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length");
    mac.update(match role {
        Role::Dialling => b"tidings 1 dialling\0",
        Role::Accepting => b"tidings 1 accepting",
    });
    mac.update(transcript);
    mac
}

/// The proof that this node holds its secret; empty if it has none.
pub(crate) fn prove(secret: Option<&Secret>, role: Role, transcript: &[u8]) -> Vec<u8> {
    secret.map(|secret| mac(secret, role, transcript).finalize().into_bytes().to_vec()).unwrap_or_default()
}

/// Whether the other side holds our secret. Takes the same time for every wrong proof.
pub(crate) fn check(secret: Option<&Secret>, role: Role, transcript: &[u8], proof: &[u8]) -> bool {
    secret.is_none_or(|secret| mac(secret, role, transcript).verify_slice(proof).is_ok())
}

/// Refuses a node that cannot be a peer, whatever it proves.
pub(crate) fn fits(config: &Config, hello: &Hello) -> Result<(), Reject> {
    let refuse = |reason, text: String| Err(reject(config, reason, text));
    if hello.cluster != config.cluster {
        return refuse(RejectReason::Cluster, String::new());
    }
    if hello.guarded != config.secret.is_some() {
        let text = if hello.guarded {
            "the other end has no secret"
        } else {
            "the other end has a secret, we have none"
        };
        return refuse(RejectReason::Secret, text.into());
    }
    if !hello.topology.joins(config.topology) {
        return refuse(RejectReason::Topology, "only nodes of one topology are linked".into());
    }
    if !config.topology.links(config.node_id, hello.node_id) {
        return refuse(RejectReason::Topology, "in a star every link has node 0 at one end".into());
    }
    if hello.node_id == config.node_id || hello.node_id == NodeId(u32::MAX) {
        let itself = hello.incarnation == config.incarnation;
        let text = if itself { "that is this node itself" } else { "this node has it" };
        return refuse(RejectReason::DuplicateNodeId, text.into());
    }
    Ok(())
}

pub(crate) fn reject(config: &Config, reason: RejectReason, text: String) -> Reject {
    Reject { reason, version: VERSION, topology: config.topology, text }
}

/// What a refusal means to the user of the node that was refused.
pub(crate) fn error(config: &Config, address: &str, reject: Reject) -> Error {
    let address = address.to_owned();
    match reject.reason {
        RejectReason::Version => Error::WrongVersion { address, ours: VERSION, theirs: reject.version },
        RejectReason::Cluster => Error::WrongCluster { address, ours: config.cluster.clone() },
        RejectReason::Secret => Error::WrongSecret { address, reason: reject.text },
        RejectReason::Topology => Error::WrongTopology {
            address,
            ours: config.topology,
            theirs: reject.topology,
            reason: reject.text,
        },
        RejectReason::DuplicateNodeId => Error::DuplicateNodeId { node_id: config.node_id, address },
        RejectReason::DuplicateLink | RejectReason::Busy => Error::Refused { address, reason: reject.text },
    }
}
