//! The suite, for every link transport and topology.

use tidings::transport::{Memory, Nats, Redis};
use tidings_testkit::{Broker, NatsServer, RedisServer};

use crate::setups;

tidings_testkit::conformance!(memory, {
    let network = Memory::network();
    move |_directory, _number| network.clone()
});

tidings_testkit::conformance!(ipc, setups::at_path);

tidings_testkit::conformance!(ipc_without_shared_memory, setups::at_path_without_shared_memory);

tidings_testkit::conformance!(ipc_with_busy_poll, setups::at_path_with_busy_poll);

tidings_testkit::conformance!(tcp, setups::at_loopback);

tidings_testkit::bus_conformance!(broker, {
    let broker = Broker::default();
    move |_directory, _number| broker.clone()
});

tidings_testkit::bus_conformance!(redis, {
    let server = RedisServer::start();
    move |_directory, _number| Redis::connect(server.url())
});

tidings_testkit::bus_conformance!(nats, {
    let server = NatsServer::start();
    move |_directory, _number| Nats::connect(server.url())
});
