//! Measures how long a message takes from one process to another and back: the median round trip and its 99th
//! percentile, `latency/transport/size`.

#[path = "common/harness.rs"]
mod harness;

use std::process::ExitCode;

use harness::{Bench, tidings};

fn main() -> ExitCode {
    harness::main(&[Bench::Latency], &tidings::subjects())
}
