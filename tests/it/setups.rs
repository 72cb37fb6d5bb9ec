//! Networks of sockets on this machine.

use std::path::Path;

use tidings::{
    Topology,
    transport::{Ipc, Tcp},
};
use tidings_testkit::Setup;

/// Socket files in a private directory.
pub(crate) fn ipc(topology: Topology) -> Setup {
    Setup::new(topology, at_path)
}

/// Any free ports of loopback.
pub(crate) fn tcp(topology: Topology) -> Setup {
    Setup::new(topology, at_loopback)
}

/// Shares every payload that is not copied into a buffer anyway.
pub(crate) fn at_path(directory: &Path, number: usize) -> Ipc {
    Ipc::bind(directory.join(format!("{number}.sock"))).shared_memory_from(1)
}

pub(crate) fn at_path_without_shared_memory(directory: &Path, number: usize) -> Ipc {
    at_path(directory, number).shared_memory(0)
}

pub(crate) fn at_path_with_busy_poll(directory: &Path, number: usize) -> Ipc {
    at_path(directory, number).busy_poll(true)
}

pub(crate) fn at_loopback(_directory: &Path, _number: usize) -> Tcp {
    Tcp::bind("127.0.0.1:0")
}

/// Stamps out tests over both kinds of sockets. Each is an async function of a [`Setup`].
macro_rules! over_sockets {
    ($topology:ident: $($test:ident,)*) => {
        mod ipc {
            $(
                #[test]
                fn $test() {
                    tidings_testkit::run(concat!("ipc::", stringify!($test)), || async {
                        let setup = $crate::setups::ipc(tidings::Topology::$topology);
                        super::$test(&setup).await;
                    });
                }
            )*
        }
        mod tcp {
            $(
                #[test]
                fn $test() {
                    tidings_testkit::run(concat!("tcp::", stringify!($test)), || async {
                        let setup = $crate::setups::tcp(tidings::Topology::$topology);
                        super::$test(&setup).await;
                    });
                }
            )*
        }
    };
}

pub(crate) use over_sockets;
