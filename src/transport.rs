//! The ways to reach other nodes, and which of them this build has.
//!
//! A transport whose cargo feature is off does not exist as a type. This is the only file that asks which are on.

use std::sync::Arc;

use tidings_router_core::{Address, Error, Result, Transport};

pub use compiled_in::*;
#[cfg(feature = "zmq")]
pub use tidings_transport_zmq::{Curve, Doors};

/// The transports that this build has, for the prelude.
pub(crate) mod compiled_in {
    pub use tidings_router_core::Memory;
    #[cfg(feature = "ipc")]
    pub use tidings_transport_ipc::Ipc;
    #[cfg(feature = "nats")]
    pub use tidings_transport_nats::Nats;
    #[cfg(feature = "redis")]
    pub use tidings_transport_redis::Redis;
    #[cfg(feature = "tcp")]
    pub use tidings_transport_tcp::Tcp;
    #[cfg(feature = "zmq")]
    pub use tidings_transport_zmq::Zmq;
}

/// The transport that listens on `address`, or meets others at the broker there, for launchers that are told so as text.
///
/// ```
/// let transport = tidings::transport::listening_on(&"ipc:///tmp/x.sock".parse()?)?;
/// assert_eq!(transport.scheme(), "ipc");
/// # Ok::<(), tidings::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::TransportDisabled`] when the scheme is not compiled in, naming its feature; [`Error::InvalidAddress`] for
/// a `memory` address, which means something only within the process that made the network.
pub fn listening_on(address: &Address) -> Result<Arc<dyn Transport>> {
    match address.scheme() {
        #[cfg(feature = "ipc")]
        "ipc" => Ok(Arc::new(Ipc::bind(address.target()))),
        #[cfg(feature = "tcp")]
        "tcp" => Ok(Arc::new(Tcp::bind(address.target()))),
        #[cfg(feature = "redis")]
        "redis" | "rediss" | "redis+unix" => Ok(Arc::new(Redis::connect(address.as_str()))),
        #[cfg(feature = "nats")]
        "nats" => Ok(Arc::new(Nats::connect(address.as_str()))),
        #[cfg(feature = "zmq")]
        "zmq+tcp" | "zmq+ipc" => Ok(Arc::new(Zmq::bind(address))),
        "memory" => Err(Error::invalid_address(
            address.as_str(),
            "a memory network is handed over as `Memory::network()`, not as an address",
        )),
        _ => Err(Error::TransportDisabled { address: address.to_string(), feature: address.feature() }),
    }
}

/// The transport that listens on `address`, and tells others to dial the host `advertise`, if there is one.
///
/// The bare `ipc` is [`Ipc`] without a path.
///
/// # Errors
///
/// Those of [`listening_on`]; [`Error::Setting`] when its addresses have no host to tell of.
pub fn listening_as(address: &str, advertise: Option<&str>) -> Result<Arc<dyn Transport>> {
    match (address, advertise) {
        #[cfg(feature = "ipc")]
        ("ipc", None) => Ok(Arc::new(Ipc::new())),
        #[cfg(not(feature = "ipc"))]
        ("ipc", None) => Err(Error::TransportDisabled { address: address.to_owned(), feature: "ipc" }),
        (_, None) => listening_on(&address.parse()?),
        (_, Some(host)) => advertised(&address.parse()?, host),
    }
}

fn advertised(address: &Address, host: &str) -> Result<Arc<dyn Transport>> {
    match address.scheme() {
        #[cfg(feature = "tcp")]
        "tcp" => Ok(Arc::new(Tcp::bind(address.target()).advertise(host))),
        _ => listening_on(address).and_then(|_| {
            let reason = format!("`{host}`, but nobody dials a host to reach {address}");
            Err(Error::Setting { setting: "advertise".to_owned(), reason })
        }),
    }
}

/// What connects the processes of one machine unless the user says otherwise: [`Ipc`], if it is compiled in.
#[cfg(feature = "parallel")]
pub(crate) fn on_one_machine() -> Option<Arc<dyn Transport>> {
    #[cfg(feature = "ipc")]
    return Some(Arc::new(Ipc::new()));
    #[cfg(not(feature = "ipc"))]
    return None;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn a_scheme_is_found_by_its_address_or_its_feature_is_named() {
        for text in [
            "ipc:///tmp/x.sock",
            "tcp://127.0.0.1:0",
            "redis://127.0.0.1:6379",
            "nats://127.0.0.1:4222",
            "zmq+tcp://127.0.0.1:0",
            "zmq+ipc:///tmp/x",
        ] {
            let address = address(text);
            match listening_on(&address) {
                Ok(transport) => assert_eq!(transport.scheme(), address.scheme()),
                Err(Error::TransportDisabled { feature, .. }) => assert_eq!(feature, address.feature()),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_memory_address_is_no_place_to_listen_on() {
        let error = listening_on(&address("memory://1")).unwrap_err();
        assert!(matches!(error, Error::InvalidAddress { .. }), "{error}");
    }
}
