//! How fast one event gets to its listener on another node that listens for many other names or patterns.

use std::time::Instant;

use tidings::{
    Bytes, Subscription,
    prelude::{Memory, Router},
};

use crate::harness::{Result, Row, Wire};

const COUNTS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// So many messages make a round.
const MESSAGES: u32 = 20_000;

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (bench, pattern) in [("subscriptions.names", false), ("subscriptions.patterns", true)] {
        for count in COUNTS {
            let values = flood(count, pattern, rounds)?;
            rows.push(Row {
                size: 64,
                receivers: 1,
                ..Row::of(bench, Wire::Memory, count, "messages/s", values)
            });
        }
    }
    Ok(rows)
}

fn flood(count: usize, pattern: bool, rounds: usize) -> Result<Vec<f64>> {
    let network = Memory::network();
    let sender = Router::builder().node_id(0).transport(network.clone()).open().wait()?;
    let builder = Router::builder().node_id(1).transport(network).attach_to(sender.addresses());
    let receiver = builder.open().wait()?;
    let others: Vec<Subscription<Bytes>> = (0..count)
        .map(|index| match pattern {
            true => receiver.subscribe(&format!("other.{index}.*")),
            false => receiver.subscribe(&format!("other.{index}")),
        })
        .collect::<Result<_, _>>()?;
    // Announced after all the others, so that when this one is known, they are.
    let mut events = receiver.subscribe::<Bytes>("event")?;
    sender.wait_for_listeners("event", 1).wait()?;
    let payload = Bytes::from_static(&[0xA5; 64]);
    let mut values = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        for _ in 0..MESSAGES {
            sender.emit("event", payload.clone()).wait()?;
        }
        for _ in 0..MESSAGES {
            events.next_wait().ok_or("the subscription has ended")?;
        }
        values.push(f64::from(MESSAGES) / begin.elapsed().as_secs_f64());
    }
    drop(others);
    Ok(values)
}
