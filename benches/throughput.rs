//! Measures how many messages per second one process gets to another one, from the first `emit` to the
//! receiver's word that all have arrived: `throughput/transport/size`.

#[path = "common/harness.rs"]
mod harness;

use std::process::ExitCode;

use harness::{Bench, tidings};

fn main() -> ExitCode {
    harness::main(&[Bench::Throughput], &tidings::subjects())
}
