use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tidings_router_core::{Acceptor, Address, BoxError, Error, Link, Result, outward::reachable};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::{
    endpoint::{Endpoint, SCHEME},
    link::TcpLink,
};

/// How many connections may wait to be accepted: as many nodes may start at once. The system may allow fewer.
const BACKLOG: u32 = 1024;

/// A listening TCP socket.
#[derive(Debug)]
pub(crate) struct TcpAcceptor {
    listener: TcpListener,
    address: Address,
    user_timeout: Duration,
}

impl TcpAcceptor {
    /// Listens on the first address of `endpoint` that this machine has, and tells others to dial
    /// `advertise`.
    ///
    /// # Errors
    ///
    /// [`Error::SecretRequired`], [`Error::AddressInUse`], [`Error::Listen`], [`Error::InvalidAddress`].
    pub(crate) async fn bind(
        endpoint: &Endpoint,
        advertise: Option<String>,
        guarded: bool,
        user_timeout: Duration,
    ) -> Result<Self> {
        let host = (endpoint.host.as_str(), endpoint.port);
        let targets = lookup_host(host).await.map_err(|error| cannot_listen(endpoint, error))?;
        let mut failed = cannot_listen(endpoint, "the host has no address");
        for target in targets {
            // Before anything listens, even for a moment.
            if !guarded && !target.ip().to_canonical().is_loopback() {
                return Err(Error::SecretRequired { address: format!("{SCHEME}://{target}") });
            }
            match listen(target) {
                Ok(listener) => return Self::new(listener, endpoint, advertise, user_timeout),
                // Another address of the same name might be free, and who dials the name would meet whoever
                // is here.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(Error::AddressInUse { address: format!("{SCHEME}://{target}") });
                }
                Err(error) => failed = cannot_listen(target, error),
            }
        }
        Err(failed)
    }

    fn new(
        listener: TcpListener,
        endpoint: &Endpoint,
        advertise: Option<String>,
        user_timeout: Duration,
    ) -> Result<Self> {
        let bound = listener.local_addr().map_err(|error| cannot_listen(endpoint, error))?;
        let host = advertise.unwrap_or_else(|| reachable(bound.ip()).to_string());
        let address = Endpoint { host, port: bound.port() }.address()?;
        Ok(Self { listener, address, user_timeout })
    }
}

fn listen(target: SocketAddr) -> io::Result<TcpListener> {
    let socket = match target {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a program that has just ended keep its port for a minute, which must not keep it from
    // starting again. On Windows the option means something else, and this is the default.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(target)?;
    socket.listen(BACKLOG)
}

fn cannot_listen(address: impl std::fmt::Display, source: impl Into<BoxError>) -> Error {
    Error::Listen { address: format!("{SCHEME}://{address}"), source: source.into() }
}

impl Acceptor for TcpAcceptor {
    fn addresses(&self) -> Vec<Address> {
        vec![self.address.clone()]
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>> {
        let (stream, from) = ready!(self.listener.poll_accept(cx))?;
        let link = TcpLink::new(stream, self.user_timeout, format!("{SCHEME}://{from}"))?;
        Poll::Ready(Ok(Arc::new(link)))
    }
}

#[cfg(test)]
mod tests {
    use tidings_router_core::{Connector, ListenContext, NodeId};
    use tidings_testkit::links::{accept, read, run, write};

    use super::*;
    use crate::Tcp;

    fn context(guarded: bool) -> ListenContext {
        ListenContext::new(NodeId(0), "test", guarded)
    }

    async fn listen_on(tcp: Tcp) -> Result<Box<dyn Acceptor>> {
        tcp.listen(&context(false)).await
    }

    async fn exchange(acceptor: &mut dyn Acceptor) {
        let address = acceptor.addresses().remove(0);
        let dialed = Tcp::bind("127.0.0.1:0").dial(&address).await.unwrap();
        let accepted = accept(acceptor).await.unwrap();
        write(&*dialed, &[b"ping"]).await;
        assert_eq!(read(&*accepted, 4).await, b"ping");
        write(&*accepted, &[b"pong"]).await;
        assert_eq!(read(&*dialed, 4).await, b"pong");
    }

    #[test]
    fn who_dials_the_address_is_accepted() {
        run(async {
            let mut acceptor = listen_on(Tcp::bind("127.0.0.1:0")).await.unwrap();
            exchange(&mut *acceptor).await;
        });
    }

    #[test]
    fn a_host_name_works_on_both_ends() {
        run(async {
            let mut acceptor =
                listen_on(Tcp::bind("tcp://localhost:0").advertise("localhost")).await.unwrap();
            exchange(&mut *acceptor).await;
        });
    }

    #[test]
    fn ipv6_works() {
        run(async {
            let mut acceptor = listen_on(Tcp::bind("[::1]:0")).await.unwrap();
            assert!(acceptor.addresses()[0].target().starts_with("[::1]:"));
            exchange(&mut *acceptor).await;
        });
    }

    #[test]
    fn the_port_that_the_system_chose_is_filled_in() {
        run(async {
            let acceptor = listen_on(Tcp::bind("127.0.0.1:0")).await.unwrap();
            let address = acceptor.addresses().remove(0).to_string();
            let port = address.strip_prefix("tcp://127.0.0.1:").unwrap().parse::<u16>().unwrap();
            assert_ne!(port, 0);
        });
    }

    #[test]
    fn others_are_told_the_advertised_host() {
        run(async {
            for (host, start) in
                [("trainer.example.org", "tcp://trainer.example.org:"), ("fd00::7", "tcp://[fd00::7]:")]
            {
                let acceptor = listen_on(Tcp::bind("127.0.0.1:0").advertise(host)).await.unwrap();
                let address = acceptor.addresses().remove(0).to_string();
                assert!(address.starts_with(start) && !address.ends_with(":0"), "{address}");
            }
            let error = listen_on(Tcp::bind("127.0.0.1:0").advertise("host:1")).await.unwrap_err();
            assert!(matches!(error, Error::InvalidAddress { .. }), "{error}");
        });
    }

    #[test]
    fn a_port_in_use_is_named_and_who_has_it_goes_on() {
        run(async {
            let mut first = listen_on(Tcp::bind("127.0.0.1:0")).await.unwrap();
            let taken = first.addresses().remove(0);
            let error = listen_on(Tcp::bind(&taken)).await.unwrap_err();
            let Error::AddressInUse { address } = &error else { panic!("{error}") };
            assert_eq!(*address, taken.to_string());
            exchange(&mut *first).await;
        });
    }

    #[test]
    fn a_port_with_connections_of_the_past_can_be_listened_on_again() {
        run(async {
            // Where it can be had, an address of its own keeps other tests from getting the port in between.
            let host = if cfg!(target_os = "linux") { "127.0.0.2" } else { "127.0.0.1" };
            let mut first = listen_on(Tcp::bind(format!("{host}:0"))).await.unwrap();
            let address = first.addresses().remove(0);
            let dialed = Tcp::bind("127.0.0.1:0").dial(&address).await.unwrap();
            // Who closes first keeps the port for a while.
            drop(accept(&mut *first).await.unwrap());
            assert_eq!(read(&*dialed, 1).await, b"");
            drop((dialed, first));
            let mut second = listen_on(Tcp::bind(&address)).await.unwrap();
            exchange(&mut *second).await;
        });
    }

    #[test]
    fn an_address_that_others_can_reach_needs_a_secret() {
        run(async {
            for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
                let error = listen_on(Tcp::bind(address)).await.unwrap_err();
                assert!(matches!(error, Error::SecretRequired { .. }), "{error}");
            }
        });
    }

    #[test]
    fn an_address_of_another_machine_cannot_be_listened_on() {
        run(async {
            let error = Tcp::bind("192.0.2.1:0").listen(&context(true)).await.unwrap_err();
            assert!(matches!(error, Error::Listen { .. }), "{error}");
        });
    }

    #[test]
    fn text_that_is_no_address_is_an_error_of_listening() {
        run(async {
            let error = listen_on(Tcp::bind("127.0.0.1")).await.unwrap_err();
            assert!(matches!(error, Error::InvalidAddress { .. }), "{error}");
        });
    }
}
