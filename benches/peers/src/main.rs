//! Measures Tidings and its peers side by side: the same benches, the same machine, the same run, taking
//! turns.
//!
//! A peer is one file here that implements `Subject` and `End`, and one line in [`subjects`].

#[path = "../../common/harness.rs"]
mod harness;

#[cfg(all(feature = "nats", feature = "redis"))]
mod brokered;
mod di_engine;
#[cfg(feature = "iceoryx2")]
mod iceoryx;
mod libzmq;
mod measures;
mod memcpy;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nng")]
mod nng;
mod poll;
mod raw;
#[cfg(feature = "redis")]
mod redis;
mod report;
mod ring;
#[cfg(any(feature = "nats", feature = "redis"))]
mod server;
mod shm_ring;
mod sockets;
mod tokio_sockets;
#[cfg(feature = "zenoh")]
mod zenoh;

use std::{env, process::ExitCode, sync::Arc};

use harness::{Bench, Subject};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match &arguments[..] {
        [word, options @ ..] if word == report::REPORT => Some(report::run(options)),
        _ => measures::run(&arguments),
    };
    match result {
        None => harness::main(&[Bench::Latency, Bench::Throughput, Bench::Fanout, Bench::Burst], &subjects()),
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("error: {}", harness::with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Peers that this program was built without.
pub(crate) fn left_out() -> Vec<&'static str> {
    let features = [
        ("iceoryx2", cfg!(feature = "iceoryx2")),
        ("nats", cfg!(feature = "nats")),
        ("nng", cfg!(feature = "nng")),
        ("redis", cfg!(feature = "redis")),
        ("zenoh", cfg!(feature = "zenoh")),
    ];
    features.into_iter().filter(|(_, enabled)| !enabled).map(|(name, _)| name).collect()
}

/// Everything that is compared.
fn subjects() -> Vec<Arc<dyn Subject>> {
    let mut subjects = harness::tidings::subjects();
    subjects.push(Arc::new(memcpy::Memcpy::default()));
    subjects.push(Arc::new(shm_ring::ShmRing));
    subjects.push(Arc::new(raw::Raw::Single));
    subjects.push(Arc::new(raw::Raw::Batched));
    subjects.push(Arc::new(tokio_sockets::Tokio::Framed));
    subjects.push(Arc::new(tokio_sockets::Tokio::Batched));
    subjects.push(Arc::new(libzmq::LibZmq));
    #[cfg(feature = "nng")]
    subjects.push(Arc::new(nng::Nng));
    #[cfg(feature = "zenoh")]
    subjects.extend([zenoh::Zenoh::Sockets, zenoh::Zenoh::SharedMemory].map(|how| Arc::new(how) as _));
    #[cfg(feature = "iceoryx2")]
    subjects.extend([iceoryx::Iceoryx2::Event, iceoryx::Iceoryx2::Poll].map(|how| Arc::new(how) as _));
    #[cfg(feature = "redis")]
    subjects.push(Arc::new(redis::Redis));
    #[cfg(feature = "nats")]
    subjects.push(Arc::new(nats::Nats));
    #[cfg(all(feature = "nats", feature = "redis"))]
    subjects.extend(
        [brokered::Brokered::Redis, brokered::Brokered::Nats]
            .map(|broker| Arc::new(broker) as Arc<dyn Subject>),
    );
    subjects.push(Arc::new(di_engine::DiEngine));
    subjects
}
