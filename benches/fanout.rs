//! Measures how many deliveries per second one process makes to one, two and three others, and whether a
//! burst of 100,000 messages of 64 bytes to three arrives whole: `fanout/transport/size`, `burst/transport`.

#[path = "common/harness.rs"]
mod harness;

use std::process::ExitCode;

use harness::{Bench, tidings};

fn main() -> ExitCode {
    harness::main(&[Bench::Fanout, Bench::Burst], &tidings::subjects())
}
