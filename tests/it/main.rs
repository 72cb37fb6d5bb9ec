//! The integration tests of the facade, in one binary.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod acceptance;
mod bridges;
mod bus;
mod conformance;
mod durable;
mod faults;
mod fuzz_corpora;
mod handlers;
mod hostile_input;
mod nats;
mod observers;
mod opening;
mod passwords;
mod pinned_api;
mod redis;
mod setups;
#[cfg(target_os = "linux")]
mod shared_memory;
mod zmq;
