//! Command lines as people type them, and what they see then: seeds 000 and 001 as they stand there, wrong values for
//! every flag, and everything that can go wrong on the way.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod example;
mod faults;
mod k8s;
mod looking;
mod network;
mod package;
mod platforms;
mod seeds;
mod servers;
mod support;
mod usage;
