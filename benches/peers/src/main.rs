//! Measures Tidings and its peers side by side: the same benches, the same machine, the same run, taking
//! turns.
//!
//! A peer is one file here that implements `Subject` and `End`, and one line in [`subjects`].

#[path = "../../common/harness.rs"]
mod harness;
mod libzmq;
mod raw;

use std::{process::ExitCode, sync::Arc};

use harness::{Bench, Subject};

fn main() -> ExitCode {
    harness::main(&[Bench::Latency, Bench::Throughput, Bench::Fanout, Bench::Burst], &subjects())
}

fn subjects() -> Vec<Arc<dyn Subject>> {
    let mut subjects = harness::tidings::subjects();
    subjects.push(Arc::new(libzmq::LibZmq));
    subjects.push(Arc::new(raw::Raw::Single));
    subjects.push(Arc::new(raw::Raw::Batched));
    subjects
}
