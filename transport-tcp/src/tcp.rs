use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tidings_router_core::{
    Acceptor, Address, AddressText, BoxFuture, Capability, Connector, Error, Link, ListenContext, Placement,
    Result, Transport, Wire, host::host_of, outward::reachable,
};
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    acceptor::TcpAcceptor,
    endpoint::{Endpoint, SCHEME},
    link::TcpLink,
};

/// How long one address of a host is tried, so that one that swallows packets does not hide the next one.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// The default of [`Tcp::user_timeout`]: that of the heartbeat.
const USER_TIMEOUT: Duration = Duration::from_secs(8);

/// Reaches nodes on other machines, and on this one, over TCP.
///
/// What it promises and where it ends stands in the [crate's docs](crate). Making one does no I/O and looks
/// up no name; what is wrong with an address is an error of listening.
///
/// ```
/// use tidings_transport_tcp::Tcp;
///
/// let any_free_port = Tcp::bind("127.0.0.1:0");
/// let for_others = Tcp::bind("tcp://0.0.0.0:50515").advertise("trainer.example.org");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a `Tcp` is a configuration: give it to `.transport(..)`"]
pub struct Tcp {
    listen: AddressText,
    advertise: Option<String>,
    user_timeout: Duration,
}

impl Tcp {
    /// Listens on this `host:port`, `[v6]:port`, or `tcp://` address; port 0 stands for any free one.
    ///
    /// A host name is looked up at the moment of listening. Listening fails with [`Error::AddressInUse`] if
    /// the port is taken, with [`Error::SecretRequired`] if other machines can reach the address and the
    /// router has no secret, and with [`Error::InvalidAddress`] or [`Error::Listen`] for everything else.
    pub fn bind(address: impl ToString) -> Self {
        Self { listen: address.to_string().into(), advertise: None, user_timeout: USER_TIMEOUT }
    }

    /// The host, a name or an address without a port, that other nodes are told to dial.
    ///
    /// Default: the address that this node listens on. If that stands for all addresses of this machine, as
    /// `0.0.0.0` does, it is the one that this machine's connections to others come from, or loopback if
    /// there is no network. Say it yourself where others reach this node by another address than its own:
    /// behind NAT, in a container.
    pub fn advertise(self, host: impl Into<String>) -> Self {
        Self { advertise: Some(host.into()), ..self }
    }

    /// How long what was written may stay unacknowledged, or a closed window shut, before the operating
    /// system breaks the link (`TCP_USER_TIMEOUT`, Linux alone). Default 8 s, as the router's heartbeat;
    /// raise both if the network is slow. Zero leaves it to the system, which takes a quarter of an hour.
    /// Rounded to milliseconds.
    pub fn user_timeout(self, timeout: Duration) -> Self {
        Self { user_timeout: timeout, ..self }
    }

    /// The address of this machine that connections out of it come from, or loopback if there is no network.
    /// Nothing is sent to find out.
    pub fn outward() -> IpAddr {
        reachable(Ipv4Addr::UNSPECIFIED.into())
    }

    fn placed(&self, placement: &Placement) -> Result<Self> {
        let configured = Endpoint::parse(&self.listen)?;
        let host = placement.address.as_deref().map_or(Ok(configured.host), host_of)?;
        let port = match (placement.port, configured.port) {
            (Some(port), _) => port,
            (None, 0) => 0,
            (None, first) => {
                let port = u16::try_from(placement.index).ok().and_then(|index| first.checked_add(index));
                port.ok_or_else(|| {
                    let reason = format!("the port, counted up by {}, is beyond 65535", placement.index);
                    Error::invalid_address(&self.listen, reason)
                })?
            }
        };
        Ok(Self { listen: Endpoint { host, port }.to_string().into(), ..self.clone() })
    }
}

async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = match target {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    let stream = timeout(CONNECT_WITHIN, socket.connect(target))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")))?;
    check_other_end(&stream)?;
    Ok(stream)
}

/// Refuses a socket that is connected to itself. That is what TCP makes of dialing a port of this machine
/// that nobody listens on, if the system happens to give the dialing socket the same port.
fn check_other_end(stream: &TcpStream) -> io::Result<()> {
    match stream.local_addr()? == stream.peer_addr()? {
        false => Ok(()),
        true => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there")),
    }
}

impl Transport for Tcp {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capability(&self) -> Capability {
        Capability::reliable().remote()
    }

    fn wire(&self) -> Wire {
        Wire::Links(Arc::new(self.clone()))
    }

    /// The placement's address and port, or the configured ones. A configured port that is not 0 is counted
    /// up by the index.
    fn place(&self, placement: &Placement) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.placed(placement)?))
    }
}

impl Connector for Tcp {
    fn listen<'a>(&'a self, context: &'a ListenContext) -> BoxFuture<'a, Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let endpoint = Endpoint::parse(&self.listen)?;
            let advertise = self.advertise.as_deref().map(host_of).transpose()?;
            let acceptor =
                TcpAcceptor::bind(&endpoint, advertise, context.guarded, self.user_timeout).await?;
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Arc<dyn Link>>> {
        Box::pin(async move {
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
            let endpoint = Endpoint::parse(address.as_str()).map_err(invalid)?;
            let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            for target in lookup_host((endpoint.host.as_str(), endpoint.port)).await? {
                match connect(target).await {
                    Ok(stream) => {
                        let link = TcpLink::new(stream, self.user_timeout, address.to_string())?;
                        return Ok(Arc::new(link) as Arc<dyn Link>);
                    }
                    Err(error) => failed = io::Error::new(error.kind(), format!("{target}: {error}")),
                }
            }
            Err(failed)
        })
    }
}

#[cfg(test)]
mod tests {
    use tidings_testkit::links::run;

    use super::*;

    fn placed(tcp: Tcp, placement: &Placement) -> Result<String> {
        tcp.placed(placement).map(|tcp| tcp.listen.to_string())
    }

    fn placement(index: usize, address: Option<&str>, port: Option<u16>) -> Placement {
        let mut placement = Placement::new(index, "/launch");
        placement.address = address.map(str::to_owned);
        placement.port = port;
        placement
    }

    #[test]
    fn any_free_port_stays_so_for_every_node_of_a_launch() {
        assert_eq!(placed(Tcp::bind("127.0.0.1:0"), &placement(3, None, None)).unwrap(), "127.0.0.1:0");
    }

    #[test]
    fn a_configured_port_is_counted_up() {
        assert_eq!(placed(Tcp::bind("tcp://[::1]:50515"), &placement(3, None, None)).unwrap(), "[::1]:50518");
    }

    #[test]
    fn the_address_and_port_of_a_placement_win() {
        let placement = placement(3, Some("::1"), Some(7));
        assert_eq!(placed(Tcp::bind("127.0.0.1:50515"), &placement).unwrap(), "[::1]:7");
    }

    #[test]
    fn a_placement_that_does_not_fit_is_refused() {
        for placement in
            [placement(1, None, None), placement(70_000, None, None), placement(0, Some("h:1"), None)]
        {
            let error = placed(Tcp::bind("127.0.0.1:65535"), &placement).unwrap_err();
            assert!(matches!(error, Error::InvalidAddress { .. }), "{error}");
        }
    }

    #[test]
    fn dialing_where_nobody_listens_names_the_address() {
        run(async {
            // It keeps the port from everybody else and does not listen.
            let silent = TcpSocket::new_v4().unwrap();
            silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let port = silent.local_addr().unwrap().to_string();
            let error = Tcp::bind("127.0.0.1:0").dial(&port.parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert!(error.to_string().contains(&port), "{error}");
        });
    }

    #[test]
    fn dialing_the_address_of_another_transport_is_an_error() {
        run(async {
            let error = Tcp::bind("127.0.0.1:0").dial(&"ipc:///x".parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        });
    }

    #[test]
    fn a_socket_that_is_connected_to_itself_is_refused() {
        run(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let own = socket.local_addr().unwrap();
            let stream = socket.connect(own).await.unwrap();
            assert_eq!(check_other_end(&stream).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        });
    }
}
