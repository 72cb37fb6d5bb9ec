//! What an `emit` costs that nobody listens for, while another node is there.

use std::{hint::black_box, time::Instant};

use tidings::{
    Bytes,
    prelude::{Memory, Router},
};

use crate::harness::{Result, Row, Wire};

/// So many make a round.
const EMITS: u32 = 1_000_000;

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let network = Memory::network();
    let router = Router::builder().node_id(0).transport(network.clone()).open().wait()?;
    let other =
        Router::builder().node_id(1).transport(network).attach_to(router.addresses()).open().wait()?;
    // Somebody listens, for something else.
    let _heard = other.subscribe::<Bytes>("heard")?;
    router.wait_for_listeners("heard", 1).wait()?;
    let (payload, numbers) = (Bytes::from_static(&[0xA5; 64]), [u64::MAX; 8]);
    let (mut raw, mut typed) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begin = Instant::now();
        for _ in 0..EMITS {
            router.emit(black_box("unheard"), payload.clone()).wait()?;
        }
        raw.push(begin.elapsed().as_nanos() as f64 / f64::from(EMITS));
        let begin = Instant::now();
        for _ in 0..EMITS {
            router.emit(black_box("unheard"), black_box(&numbers)).wait()?;
        }
        typed.push(begin.elapsed().as_nanos() as f64 / f64::from(EMITS));
    }
    let row = |values| Row { size: 64, ..Row::of("unheard", Wire::Memory, 0, "ns", values) };
    Ok(vec![row(raw), Row { peer: "tidings-typed", ..row(typed) }])
}
