//! The suite, for every link transport and topology.

use tidings::transport::Memory;

use crate::setups;

tidings_testkit::conformance!(memory, {
    let network = Memory::network();
    move |_directory, _number| network.clone()
});

tidings_testkit::conformance!(ipc, setups::at_path);

tidings_testkit::conformance!(ipc_without_shared_memory, setups::at_path_without_shared_memory);

tidings_testkit::conformance!(ipc_with_busy_poll, setups::at_path_with_busy_poll);

tidings_testkit::conformance!(tcp, setups::at_loopback);
