//! Hosts and ports, as people type them: for the transports that have them.

use std::net::Ipv6Addr;

use crate::{Error, Result};

/// Reads a host and a port: `host:port` or `[v6]:port`.
///
/// # Errors
///
/// [`Error::InvalidAddress`].
pub fn host_and_port(text: &str) -> Result<(String, u16)> {
    let parts = text.rsplit_once(':').map(|(host, port)| (host, port.parse()));
    match parts {
        Some((host, Ok(port))) => Ok((host_of(host)?, port)),
        _ => Err(Error::invalid_address(text, "no port, as in `tcp://host:port`")),
    }
}

/// Reads a host: a name, or an address with or without brackets. Returns it without them.
///
/// # Errors
///
/// [`Error::InvalidAddress`], also when a port stands behind it.
pub fn host_of(text: &str) -> Result<String> {
    let invalid = |reason: &str| Err(Error::invalid_address(text, reason));
    let host = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if host.is_empty() {
        return invalid("no host; `0.0.0.0` stands for all addresses of this machine");
    }
    // A zone, as in `fe80::1%eth0`, belongs to the address.
    let without_zone = host.split_once('%').map_or(host, |(address, _)| address);
    if host.contains(':') && without_zone.parse::<Ipv6Addr>().is_err() {
        return invalid("neither a host name nor an address; a port does not belong here");
    }
    // Some of these mean something to a driver.
    if host.contains(['/', '@', '[', ']', ' ', '\0', '*', ';']) {
        return invalid("a host name has no such characters");
    }
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_comes_without_a_port_and_without_brackets() {
        assert_eq!(host_of("[::1]").unwrap(), "::1");
        assert_eq!(host_of("::1").unwrap(), "::1");
        assert_eq!(host_and_port("[fe80::1%eth0]:9").unwrap(), ("fe80::1%eth0".to_owned(), 9));
        for text in ["", "10.0.0.7:50515", "a b", "*", "eth0;10.0.0.7", "alice:hunter2@host"] {
            let error = host_of(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_has_no_port_is_refused() {
        for text in ["host", "host:port", "host:99999", "1.2.3.4:-1"] {
            assert!(host_and_port(text).unwrap_err().to_string().contains("no port"), "{text}");
        }
    }
}
