//! Tidings over ZeroMQ, where programs in other languages can join.
//!
//! ```
//! use tidings_router_core::Router;
//! use tidings_transport_zmq::Zmq;
//!
//! let zmq = || Zmq::bind("tcp://127.0.0.1:0");
//! let a = <dyn Router>::builder().node_id(0).transport(zmq()).open().wait()?;
//! let b = <dyn Router>::builder().node_id(1).transport(zmq()).attach_to(a.addresses()).open().wait()?;
//! assert_eq!(b.peers().len(), 1);
//! # Ok::<(), tidings_router_core::Error>(())
//! ```
//!
//! # Nodes
//!
//! * **Reliable.** A link is a connection of its own between a DEALER and a ROUTER socket. Its packets are numbered, and
//!   no more of them are on the way than a window of 4 MiB, as the other end has read them: no pipe of ZeroMQ ever
//!   reaches its high-water mark, and a node that is stuck stops its own links alone. A link that broke has ended; it is
//!   the router that connects again, and sends again what was lost.
//! * **One thread.** All sockets of a node are in a thread of their own, beside libzmq's one for the network. It ends with
//!   the node, after at most a second for what was not sent yet.
//! * **Never open by accident.** What other machines can reach is listened on only if whoever connects has to prove
//!   something: that it holds the cluster's secret, or its [keys](Curve).
//! * **A port in use is an error.**
//!
//! # Guests
//!
//! A program in another language joins with a stock ZeroMQ library: it subscribes and publishes plain messages of three
//! parts, which `WIRE.md` describes. See [`Zmq::guests`]. For guests this holds:
//!
//! * A guest hears what it has subscribed to, from the moment on when its subscription has arrived.
//! * What it says is emitted to the cluster once, by the node that it is connected to, and in its order.
//! * **A guest that does not keep up misses messages:** beyond [`Zmq::guest_queue`] ZeroMQ drops what is for it, and
//!   tells nobody. The numbers in the messages' headers tell the guest. A guest that says more than the cluster takes
//!   loses it in its own socket, where its own high-water mark says when.
//!
//! # Its limits
//!
//! * A node dials some 300 others at most: libzmq has 1,023 sockets in a context, and a link that was dialled needs
//!   three. How many dial it is not limited.
//! * Encryption is an option, [`Zmq::curve`], that needs a libzmq with CURVE.

mod accepted;
mod acceptor;
mod config;
mod connector;
mod curve;
mod dialled;
mod endpoint;
mod engine;
mod guests;
mod hearing;
mod interest;
mod leaving;
mod line;
mod link;
mod message;
mod monitor;
mod options;
mod packet;
mod sockets;
mod stage;

pub use config::Zmq;
pub use curve::Curve;
pub use guests::Doors;
