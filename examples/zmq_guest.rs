//! A program in Python joins two nodes: it hears a greeting over ZeroMQ, and its answer is heard like any other event.
//!
//! ```console
//! $ python3 -m venv venv && venv/bin/pip install pyzmq msgpack
//! $ PYTHON=venv/bin/python cargo run --features zmq --example zmq_guest
//! ```

use std::{env, process::Command, time::Duration};
use tidings::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zmq = Zmq::bind("tcp://127.0.0.1:0").guests("tcp://127.0.0.1:0");
    let host = Router::builder().node_id(0).transport(zmq.clone()).open().wait()?;
    let other = Zmq::bind("tcp://127.0.0.1:0");
    let other = Router::builder().node_id(1).transport(other).attach_to(host.addresses()).open().wait()?;
    let mut answers = other.subscribe::<String>("answer")?;
    host.wait_for_listeners("answer", 1).wait()?;

    let doors = zmq.doors().expect("the host is open");
    println!("python3 examples/zmq_guest.py {} {}", doors.hear, doors.say);
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/zmq_guest.py");
    let mut guest = Command::new(python).args([program, &doors.hear, &doors.say]).spawn()?;

    // What the guest has subscribed to is what node 0 listens for.
    other.wait_for_listeners("greeting", 1).timeout(Duration::from_secs(20)).wait()?;
    other.emit("greeting", "Hi").wait()?;
    let answer = answers.next_wait().expect("the router is open");
    println!("node {} brings: {}", answer.source, answer.payload);
    guest.wait()?;
    Ok(())
}
