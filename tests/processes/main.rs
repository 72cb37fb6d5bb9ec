//! Real processes and real networks: this executable starts itself as the nodes, and does to them what
//! happens to processes and networks.
//!
//! It has no libtest, because it is its own nodes and launchers. Waiting is for lines that the nodes write;
//! what is measured over a time says so.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod bridges;
mod cut_off;
mod entries;
mod harness;
mod idle;
mod jobs;
mod kill_matrix;
mod nats;
mod netns;
mod networks;
mod node;
mod place;
mod programs;
mod redis;
mod remote;
#[cfg(target_os = "linux")]
mod ring;
mod settings;
#[cfg(target_os = "linux")]
mod shared_memory;
mod sharing;
mod start_order;
mod stopped_peer;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(program) = std::env::var(remote::PROGRAM) {
        return programs::run(&program);
    }
    let groups = [
        kill_matrix::cases(),
        #[cfg(target_os = "linux")]
        shared_memory::cases(),
        #[cfg(target_os = "linux")]
        ring::cases(),
        start_order::cases(),
        jobs::cases(),
        entries::cases(),
        idle::cases(),
        redis::cases(),
        stopped_peer::cases(),
        networks::cases(),
        bridges::cases(),
        nats::cases(),
    ];
    harness::run(groups.into_iter().flatten().collect(), remote::end_all)
}
