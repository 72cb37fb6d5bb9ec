use std::fmt;

use tidings_router_core::{Address, Error, Result, host::host_and_port};

/// The scheme of its addresses.
pub(crate) const SCHEME: &str = "tcp";

/// A host and a port, as the user said them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    /// Reads `host:port`, `[v6]:port`, or either of them behind `tcp://`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`].
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let address: Address = text.parse()?;
        if address.scheme() != SCHEME {
            return Err(Error::invalid_address(text, "the scheme is not `tcp`"));
        }
        let (host, port) = host_and_port(address.target())?;
        Ok(Self { host, port })
    }

    /// The address that it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`].
    pub(crate) fn address(&self) -> Result<Address> {
        Address::new(SCHEME, self)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_with_and_without_a_scheme() {
        for (text, host, port) in [
            ("10.0.0.7:50515", "10.0.0.7", 50515),
            ("tcp://10.0.0.7:50515", "10.0.0.7", 50515),
            ("trainer.local:0", "trainer.local", 0),
            ("[::1]:0", "::1", 0),
            ("tcp://[fe80::1%eth0]:9", "fe80::1%eth0", 9),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
            assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap(), endpoint, "written as it is read");
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for text in
            ["", "host", "host:port", ":1", "ipc:///x:1", "a:b:1", "host/path:1", "1.2.3.4:99999", "[]:1"]
        {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(matches!(error, Error::InvalidAddress { .. }), "{text}: {error}");
        }
    }
}
