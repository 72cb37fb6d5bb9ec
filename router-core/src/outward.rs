//! Which address of this machine others can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses of nobody, reserved for documentation (RFC 5737, RFC 3849): the way to them is the way out.
const NOBODY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOBODY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// The address to tell others for a listener on `bound`: itself, or if it stands for all addresses of this
/// machine, the one that connections out of it come from. A machine without a way out reaches only itself:
/// loopback.
pub fn reachable(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(address) if address.is_unspecified() => {
            towards(NOBODY_V4).unwrap_or(Ipv4Addr::LOCALHOST.into())
        }
        // It usually takes in connections over IPv4 too.
        IpAddr::V6(address) if address.is_unspecified() => {
            towards(NOBODY_V6).or_else(|| towards(NOBODY_V4)).unwrap_or(Ipv6Addr::LOCALHOST.into())
        }
        address => address,
    }
}

/// The address that packets to `target` would come from. Connecting a datagram socket only looks up the
/// route: nothing is sent.
fn towards(target: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    // Port 9 is the one for what is to be discarded.
    socket.connect(SocketAddr::new(target, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    let is_of_use = match address {
        IpAddr::V4(address) => !address.is_unspecified(),
        // Others could not tell which of their networks a link-local address is on.
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_unicast_link_local(),
    };
    is_of_use.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_address_stands_for_itself() {
        for address in ["127.0.0.1", "10.0.0.7", "::1"] {
            let address = address.parse().unwrap();
            assert_eq!(reachable(address), address);
        }
    }

    #[test]
    fn all_addresses_become_one_that_can_be_dialed() {
        assert!(!reachable(Ipv4Addr::UNSPECIFIED.into()).is_unspecified());
        assert!(reachable(Ipv4Addr::UNSPECIFIED.into()).is_ipv4());
        assert!(!reachable(Ipv6Addr::UNSPECIFIED.into()).is_unspecified());
    }

    #[test]
    fn the_way_to_this_machine_itself_is_loopback() {
        assert_eq!(towards(Ipv4Addr::LOCALHOST.into()), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
