use std::{fmt, str::FromStr};

use crate::{Error, Result, without_login};

/// Every scheme that Tidings knows, with the cargo feature that compiles its transport in.
const SCHEMES: [(&str, &str); 9] = [
    ("memory", "default"),
    ("ipc", "ipc"),
    ("tcp", "tcp"),
    ("redis", "redis"),
    ("rediss", "redis"),
    ("redis+unix", "redis"),
    ("nats", "nats"),
    ("zmq+tcp", "zmq"),
    ("zmq+ipc", "zmq"),
];

/// Where a node listens, as text: `ipc:///run/x.sock`, `tcp://host:port`; a bare `host:port` is tcp.
///
/// Printing it does not tell who logs in at a broker, and with which password: [`as_str`](Self::as_str) does.
///
/// ```
/// use tidings_router_core::Address;
///
/// let address: Address = "10.0.0.7:50515".parse()?;
/// assert_eq!(address.to_string(), "tcp://10.0.0.7:50515");
/// assert_eq!((address.scheme(), address.target()), ("tcp", "10.0.0.7:50515"));
/// assert!("no-scheme-and-no-port".parse::<Address>().is_err());
///
/// let broker: Address = "redis://user:password@10.0.0.7".parse()?;
/// assert_eq!(broker.to_string(), "redis://***@10.0.0.7");
/// assert_eq!(broker.as_str(), "redis://user:password@10.0.0.7");
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: String,
    scheme: usize,
}

impl Address {
    /// An address of this scheme.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`] when the scheme is unknown or the target does not fit it.
    pub fn new(scheme: &str, target: impl fmt::Display) -> Result<Self> {
        format!("{scheme}://{target}").parse()
    }

    /// All of it, with whatever is secret in it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before `://`.
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme]
    }

    /// What stands behind `://`.
    pub fn target(&self) -> &str {
        &self.text[self.scheme + "://".len()..]
    }

    /// Whether a transport of this scheme serves it.
    pub(crate) fn is_served_by(&self, scheme: &str) -> bool {
        let feature =
            |scheme: &str| SCHEMES.iter().find(|(known, _)| *known == scheme).map(|(_, feature)| feature);
        self.scheme() == scheme || (feature(scheme) == Some(&self.feature()) && self.feature() != "default")
    }

    /// The cargo feature that compiles this address's transport in.
    pub fn feature(&self) -> &'static str {
        SCHEMES.iter().find(|(scheme, _)| *scheme == self.scheme()).map_or("default", |(_, feature)| feature)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self> {
        let invalid = |reason: String| Error::invalid_address(input, reason);
        let text = match input.contains("://") {
            true => input.to_owned(),
            false if input.contains(':') && !input.contains('/') => format!("tcp://{input}"),
            false => return Err(invalid("no scheme, as in `tcp://host:port` or `ipc:///run/x.sock`".into())),
        };
        let scheme = text.find("://").unwrap_or_default();
        if !SCHEMES.iter().any(|(known, _)| *known == &text[..scheme]) {
            let known = SCHEMES.map(|(scheme, _)| scheme).join(", ");
            let unknown = without_login(&text[..scheme]);
            return Err(invalid(format!("unknown scheme `{unknown}`, known are {known}")));
        }
        let address = Self { text, scheme };
        if address.target().is_empty() {
            return Err(invalid("nothing stands behind the scheme".into()));
        }
        if address.scheme() == "tcp" {
            let port = address.target().rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            match port {
                Some(Ok(_)) => {}
                Some(Err(_)) => return Err(invalid("the port is not a number from 0 to 65535".into())),
                None => return Err(invalid("no port, as in `tcp://host:port`".into())),
            }
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&without_login(&self.text))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
