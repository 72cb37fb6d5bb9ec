use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_router_core::{
    AddressText, Capability, Error, Placement, Result, Transport, Wire, host::host_of,
};

use crate::{connector::ZmqConnector, curve::Curve, endpoint::Endpoint, guests::Doors};

/// The default of [`Zmq::guest_queue`].
const GUEST_QUEUE: usize = 10_000;

/// Reaches nodes over ZeroMQ, and lets in programs in other languages.
///
/// What it promises and where it ends stands in the [crate's docs](crate). Making one does no I/O and looks up no name;
/// what is wrong with an address is an error of listening.
///
/// ```
/// use tidings_transport_zmq::Zmq;
///
/// let any_free_port = Zmq::bind("tcp://127.0.0.1:0");
/// let with_guests = Zmq::bind("tcp://127.0.0.1:0").guests("tcp://127.0.0.1:7000");
/// let for_others = Zmq::bind("tcp://0.0.0.0:50515").advertise("trainer.example.org");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a `Zmq` is a configuration: give it to `.transport(..)`"]
pub struct Zmq {
    pub(crate) listen: AddressText,
    pub(crate) advertise: Option<String>,
    pub(crate) guests: Option<AddressText>,
    pub(crate) guest_queue: usize,
    pub(crate) curve: Option<Curve>,
    /// Of the node that uses this very configuration, or a clone of it.
    doors: Arc<Mutex<Option<Doors>>>,
}

impl Zmq {
    /// Listens on this `tcp://host:port` or `ipc://path`, with or without `zmq+` in front; port 0 stands for any free
    /// one.
    ///
    /// A host name is looked up at the moment of listening. Listening fails with [`Error::AddressInUse`] if the port is
    /// taken, with [`Error::SecretRequired`] if other machines can reach the address and neither the router has a
    /// secret nor this has [keys](Self::curve), and with [`Error::InvalidAddress`] or [`Error::Listen`] for everything
    /// else.
    pub fn bind(address: impl ToString) -> Self {
        Self {
            listen: address.to_string().into(),
            advertise: None,
            guests: None,
            guest_queue: GUEST_QUEUE,
            curve: None,
            doors: Arc::default(),
        }
    }

    /// The host, a name or an address without a port, that other nodes are told to dial.
    ///
    /// Default: the address that this node listens on. If that stands for all addresses of this machine, as `0.0.0.0`
    /// does, it is the one that this machine's connections to others come from, or loopback if there is no network.
    pub fn advertise(self, host: impl Into<String>) -> Self {
        Self { advertise: Some(host.into()), ..self }
    }

    /// Lets programs with a stock ZeroMQ library in: they hear events at this endpoint with a SUB socket, and emit with
    /// a PUB socket at the one beside it, which is the next port, or the path with `.say` behind it. Port 0 stands for
    /// any two free ones; [`doors`](Self::doors) says which.
    ///
    /// Whoever reaches the endpoint is a guest, the cluster's secret notwithstanding. So what other machines can reach
    /// needs [keys](Self::curve), or the router's `insecure_no_auth`.
    ///
    /// Default: nobody.
    pub fn guests(self, endpoint: impl ToString) -> Self {
        Self { guests: Some(endpoint.to_string().into()), ..self }
    }

    /// How many messages may wait for one guest before ZeroMQ drops what comes, and how many of one guest's before they
    /// wait at the guest's. Default 10,000, at least 1.
    pub fn guest_queue(self, messages: usize) -> Self {
        Self { guest_queue: messages, ..self }
    }

    /// Encrypts everything, and lets in only who holds these keys.
    ///
    /// Listening and connecting fail with [`Error::Setting`] when libzmq was built without CURVE; see [`Curve`].
    pub fn curve(self, curve: Curve) -> Self {
        Self { curve: Some(curve), ..self }
    }

    /// Where guests connect to, the ports filled in: none before a router that was given this, or a clone of it, has
    /// been opened.
    pub fn doors(&self) -> Option<Doors> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Doors>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn admitted_at(&self, doors: Doors) {
        *self.lock() = Some(doors);
    }

    /// The placement's address and port, or the configured ones, counted up: nodes of one launch are so far apart that
    /// the endpoints of their guests are not in each other's way.
    fn placed(&self, placement: &Placement) -> Result<Self> {
        let listen = placed(&self.listen, placement, 1, placement.port)?;
        let guests = self.guests.as_deref().map(|guests| placed(guests, placement, 2, None)).transpose()?;
        Ok(Self { listen, guests, doors: Arc::default(), ..self.clone() })
    }
}

fn placed(configured: &str, placement: &Placement, step: usize, port: Option<u16>) -> Result<AddressText> {
    let endpoint = match Endpoint::parse(configured)? {
        Endpoint::Tcp { host, port: first } => {
            let host = placement.address.as_deref().map_or(Ok(host), host_of)?;
            let port = match (port, first) {
                (Some(port), _) => port,
                (None, 0) => 0,
                (None, first) => {
                    let up = placement.index.checked_mul(step).and_then(|up| u16::try_from(up).ok());
                    let port = up.and_then(|up| first.checked_add(up));
                    port.ok_or_else(|| {
                        let reason =
                            format!("the port, counted up for node {}, is beyond 65535", placement.index);
                        Error::invalid_address(configured, reason)
                    })?
                }
            };
            Endpoint::Tcp { host, port }
        }
        Endpoint::Ipc(path) => Endpoint::Ipc(format!("{}.{}", path.display(), placement.index).into()),
    };
    Ok(endpoint.to_string().into())
}

impl Transport for Zmq {
    fn scheme(&self) -> &'static str {
        Endpoint::parse(&self.listen).map_or("zmq+tcp", |endpoint| endpoint.scheme())
    }

    /// That of nodes. Guests may miss messages, as their numbers tell.
    fn capability(&self) -> Capability {
        Capability::reliable().remote()
    }

    fn wire(&self) -> Wire {
        Wire::Links(Arc::new(ZmqConnector::new(self.clone())))
    }

    fn place(&self, placement: &Placement) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.placed(placement)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_one_launch_and_their_guests_get_endpoints_of_their_own() {
        let zmq = Zmq::bind("tcp://127.0.0.1:7000").guests("tcp://127.0.0.1:8000");
        let placed = zmq.placed(&Placement::new(3, "/launch")).unwrap();
        assert_eq!(&*placed.listen, "tcp://127.0.0.1:7003");
        assert_eq!(placed.guests.as_deref(), Some("tcp://127.0.0.1:8006"));
        let placed = Zmq::bind("ipc:///run/x").placed(&Placement::new(3, "/launch")).unwrap();
        assert_eq!(&*placed.listen, "ipc:///run/x.3");
        assert_eq!(placed.scheme(), "zmq+ipc");
    }

    #[test]
    fn the_address_and_port_of_a_placement_win_and_what_does_not_fit_is_refused() {
        let mut placement = Placement::new(3, "/launch");
        placement.address = Some("::1".to_owned());
        placement.port = Some(7);
        assert_eq!(&*Zmq::bind("127.0.0.1:0").placed(&placement).unwrap().listen, "tcp://[::1]:7");
        let error = Zmq::bind("127.0.0.1:65535").placed(&Placement::new(1, "/launch")).unwrap_err();
        assert!(matches!(error, Error::InvalidAddress { .. }), "{error}");
    }
}
