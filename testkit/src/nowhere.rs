use std::net::{Ipv4Addr, SocketAddr};

use tidings_router_core::Address;
use tokio::net::TcpSocket;

use crate::{DEADLINE, Fixture, deadline, node};

/// An address where nobody listens, nor will as long as this lives.
#[derive(Debug)]
pub struct Nowhere {
    address: Address,
    /// Bound, but not listening: nobody else is given the port.
    _reserved: Option<TcpSocket>,
}

impl Nowhere {
    /// An address of the fixture's transport.
    ///
    /// # Panics
    ///
    /// When there is none left.
    pub async fn new(fixture: &dyn Fixture) -> Self {
        if fixture.transport().scheme() == "tcp" {
            let socket = TcpSocket::new_v4().expect("the operating system gives us a socket");
            socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("there is a free port");
            let address = socket.local_addr().expect("a bound socket has an address");
            let address = Address::new("tcp", address).expect("a socket address is an address");
            return Self { address, _reserved: Some(socket) };
        }
        // Files and networks of a case's own: what a node of the case has left is nobody's.
        let gone = deadline("node", node(fixture, 0).open()).await.expect("a node opens");
        let address = gone.addresses().remove(0);
        deadline("shutdown", gone.shutdown(DEADLINE)).await;
        Self { address, _reserved: None }
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.address.clone()
    }
}
