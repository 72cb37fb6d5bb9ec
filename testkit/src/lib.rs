//! What the tests of Tidings stand on.
//!
//! * [`conformance!`] stamps out every [case](cases) as a `#[test]` for a transport, once for each topology.
//!   A transport is done when all of them pass.
//! * [`Fixture`] is what a case is given: transports of one fresh network. [`Cluster`] opens nodes on it.
//! * [`Checker`] counts lost, duplicated and reordered messages, for all tests under load.
//! * [`Proxy`] stands between two nodes and cuts, stalls or refuses their link; [`Raw`] is a client that says
//!   what no node says.
//! * [`socket_links!`] stamps out what every link through sockets does, and [`links`] has what their tests need.
//! * [`Broker`] is a bus within the process that loses what a test says.
//! * [`RedisServer`] is a private server, [`Guarded`] any process that must not outlive its test.
//! * [`NatsServer`] is a server of one test, to be killed, stopped and started again; [`NatsClient`] a client that is no
//!   node.
//! * [`Stopwatch`] asserts that something was over in time, and knows when the machine was busy.
//! * [`PrivateDir`], [`deadline`], [`eventually`], [`run`]: a place, a bound and a runtime for each test.

pub mod cases;
pub mod links;
#[doc(no_inline)]
pub use tokio;

mod broker;
mod checker;
mod cluster;
mod conformance;
mod deadline;
mod fixture;
mod nats;
mod nats_client;
mod nowhere;
mod ports;
mod private_dir;
mod process;
mod proxy;
mod raw;
mod redis;
mod stopwatch;

pub use broker::Broker;
pub use checker::{Checker, Numbered, Tally};
pub use cluster::{Cluster, Router, entrances, meets_at_a_broker, node};
pub use conformance::{run, run_case};
pub use deadline::{DEADLINE, deadline, eventually, found, next};
pub use fixture::{Fixture, Setup};
pub use nats::NatsServer;
pub use nats_client::NatsClient;
pub use nowhere::Nowhere;
pub use private_dir::PrivateDir;
pub use process::{address_space, open_files};
pub use proxy::{Direction, Proxy};
pub use raw::{Raw, frame, hello};
pub use redis::RedisServer;
pub use stopwatch::Stopwatch;
pub use tidings_servers::Guarded;
