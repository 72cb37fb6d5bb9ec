//! What is special about ZeroMQ: its high-water marks, its sockets, and programs that are no nodes.

mod guests;
mod nodes;
mod python;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidings::{Router, transport::Zmq};
use tidings_testkit::{deadline, tokio};

/// How long a socket of a test waits for a message, in milliseconds: a test fails with it, and none is kept waiting.
const PATIENCE: i32 = 10_000;

/// A guest's header, as `WIRE.md` has it.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    source: u32,
    codec: u8,
    number: u64,
}

fn socket(kind: zmq::SocketType, endpoint: &str) -> zmq::Socket {
    let socket = zmq::Context::new().socket(kind).unwrap();
    socket.set_linger(1000).unwrap();
    socket.set_rcvtimeo(PATIENCE).unwrap();
    socket.set_sndtimeo(PATIENCE).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

/// A SUB socket that hears what begins so.
fn ears(zmq: &Zmq, start: &str) -> zmq::Socket {
    let ears = socket(zmq::SUB, &zmq.doors().unwrap().hear);
    ears.set_subscribe(start.as_bytes()).unwrap();
    ears
}

/// An XPUB socket to which the node has subscribed: from now on nothing that it says is lost.
fn mouth(zmq: &Zmq) -> zmq::Socket {
    let mouth = socket(zmq::XPUB, &zmq.doors().unwrap().say);
    assert_eq!(mouth.recv_bytes(0).unwrap(), [1]);
    mouth
}

fn said<T: Serialize>(payload: &T) -> (Vec<u8>, Vec<u8>) {
    let header = Header { version: 1, source: 0, codec: 1, number: 0 };
    (rmp_serde::to_vec_named(&header).unwrap(), rmp_serde::to_vec_named(payload).unwrap())
}

/// Says an event as a guest does.
fn say<T: Serialize>(mouth: &zmq::Socket, event: &str, payload: &T) {
    let (header, payload) = said(payload);
    mouth.send_multipart([event.as_bytes(), &header, &payload], 0).unwrap();
}

/// The next message that a guest hears, and its header.
fn heard(ears: &zmq::Socket) -> (String, Header, Vec<u8>) {
    let [event, header, payload] = <[Vec<u8>; 3]>::try_from(ears.recv_multipart(0).unwrap()).unwrap();
    (String::from_utf8(event).unwrap(), rmp_serde::from_slice(&header).unwrap(), payload)
}

async fn node_with_guests(id: u32, zmq: &Zmq) -> Arc<Router> {
    deadline("node", Router::builder().node_id(id).transport(zmq.clone()).open()).await.unwrap()
}

/// What blocks, beside what the test's runtime has to do.
async fn blocking<R: Send + 'static>(code: impl FnOnce() -> R + Send + 'static) -> R {
    tokio::task::spawn_blocking(code).await.unwrap()
}
