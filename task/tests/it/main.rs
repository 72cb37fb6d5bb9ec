//! What a task promises, on one node and on several.
#![expect(clippy::unwrap_used, reason = "tests, also in what they share")]

mod barrier;
mod branches;
mod ends;
mod flood;
mod handlers;
mod identity;
mod order;
mod reruns;
mod state;
mod steps;
mod support;
mod timer;
mod waits;
