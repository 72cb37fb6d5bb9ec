use std::{fmt, path::PathBuf};

use tidings_router_core::{Address, Error, Result, host::host_and_port};

/// What Tidings puts in front of ZeroMQ's own schemes.
const PREFIX: &str = "zmq+";

/// Where to listen or to connect, as the user said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A name or an address without brackets, and a port.
    Tcp { host: String, port: u16 },
    /// A unix socket.
    Ipc(PathBuf),
}

impl Endpoint {
    /// Reads `tcp://host:port`, `ipc://path`, either of them behind `zmq+`, and a bare `host:port`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`].
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid_address(text, reason);
        let (scheme, target) =
            text.strip_prefix(PREFIX).unwrap_or(text).split_once("://").unwrap_or(("tcp", text));
        match scheme {
            // In C, which libzmq's interface is, a text ends at a zero.
            "ipc" if target.is_empty() || target.contains('\0') => {
                Err(invalid("no path, as in `ipc:///run/x`"))
            }
            "ipc" => Ok(Self::Ipc(target.into())),
            "tcp" => {
                let (host, port) = host_and_port(target)?;
                Ok(Self::Tcp { host, port })
            }
            _ => Err(invalid("the scheme is neither `tcp` nor `ipc`")),
        }
    }

    /// The address that it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`].
    pub(crate) fn address(&self) -> Result<Address> {
        format!("{PREFIX}{self}").parse()
    }

    /// The scheme of its addresses.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "zmq+tcp",
            Self::Ipc(_) => "zmq+ipc",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_with_and_without_our_prefix_and_written_as_they_are_read() {
        let tcp = |host: &str, port| Endpoint::Tcp { host: host.to_owned(), port };
        for (text, endpoint) in [
            ("10.0.0.7:50515", tcp("10.0.0.7", 50515)),
            ("tcp://10.0.0.7:50515", tcp("10.0.0.7", 50515)),
            ("zmq+tcp://trainer.local:0", tcp("trainer.local", 0)),
            ("zmq+tcp://[fe80::1%eth0]:9", tcp("fe80::1%eth0", 9)),
            ("ipc:///run/x", Endpoint::Ipc("/run/x".into())),
            ("zmq+ipc:///run/x:y", Endpoint::Ipc("/run/x:y".into())),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap(), endpoint, "{text}");
            assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap(), endpoint);
            assert_eq!(Endpoint::parse(&endpoint.address().unwrap().to_string()).unwrap(), endpoint);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "host",
            "tcp://host:port",
            "tcp://:1",
            "tcp://*:1",
            "tcp://eth0;10.0.0.7:1",
            "pgm://eth0;239.0.0.1:1",
            "zmq+udp://host:1",
            "zmq+ipc://",
            "a:b:1",
            "1.2.3.4:99999",
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(matches!(error, Error::InvalidAddress { .. }), "{text}: {error}");
        }
    }
}
