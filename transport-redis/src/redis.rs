use std::{fmt, path::PathBuf, sync::Arc};

use tidings_router_core::{
    BoxFuture, Bus, Capability, Durable, Journal, Placement, Result, Tap, Transport, Wire, runtime,
};

use crate::{channels::Channels, journal::Stream, serve::serve, server::Server};

/// The scheme of the addresses that nodes on it are known by.
pub(crate) const SCHEME: &str = "redis";

/// What stands in front of the name of every channel, unless the user says otherwise.
const PREFIX: &str = "tidings";

/// Reaches nodes on any machine through a Redis server.
///
/// What it promises and what it needs stands in the [crate's docs](crate). Making one does no I/O; what is wrong with a
/// URL is an error of `open`.
///
/// ```
/// use tidings_transport_redis::Redis;
///
/// let local = Redis::connect("redis://127.0.0.1:6379");
/// let protected = Redis::connect("rediss://trainer:password@redis.example.org:6380/0").certificate_authority("ca.pem");
/// ```
#[derive(Clone)]
#[must_use = "a `Redis` is a configuration: give it to `.transport(..)`"]
pub struct Redis {
    pub(crate) url: String,
    pub(crate) prefix: String,
    pub(crate) certificate_authority: Option<PathBuf>,
    durable: Option<Durable>,
}

impl Redis {
    /// The server: `redis://[user][:password@]host[:port][/database]`, `rediss://` for TLS, or
    /// `redis+unix:///path.sock[?db=..&user=..&pass=..]`.
    ///
    /// Opening a router fails with [`Error::InvalidAddress`](tidings_router_core::Error::InvalidAddress) for what is no such
    /// URL, with [`Error::Refused`](tidings_router_core::Error::Refused) if the server does not let the user in, or its
    /// certificate is not trusted or has another name, and with
    /// [`Error::Unreachable`](tidings_router_core::Error::Unreachable) if it does not answer, or does not speak TLS, within
    /// [`connect_timeout`](tidings_router_core::Limits::connect_timeout). Until then it is tried again.
    pub fn connect(url: impl Into<String>) -> Self {
        let (url, prefix) = (url.into(), PREFIX.to_owned());
        Self { url, prefix, certificate_authority: None, durable: None }
    }

    /// What stands in front of the name of every channel, for servers where users may use only channels of their own.
    /// Default `tidings`. All nodes of a cluster need the same one.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// A file with the certificate that the server's must be signed by, in PEM, for `rediss://`. Default: those that the
    /// operating system trusts.
    pub fn certificate_authority(self, path: impl Into<PathBuf>) -> Self {
        Self { certificate_authority: Some(path.into()), ..self }
    }

    /// Events that survive a restart: they go through a stream of Redis (5 or later) in the place of links. Given more
    /// than once, the last one counts. What is promised stands in [`Durable`], what it needs in the [crate's
    /// docs](crate).
    ///
    /// Opening a router fails in addition with [`Error::Setting`](tidings_router_core::Error::Setting) for a
    /// `max_messages`, a pattern or a position that cannot be, and with
    /// [`Error::Refused`](tidings_router_core::Error::Refused) by a server without streams.
    ///
    /// ```
    /// use tidings_router_core::Durable;
    /// use tidings_transport_redis::Redis;
    ///
    /// let orders = Durable::new("orders/*").max_messages(100_000);
    /// let redis = Redis::connect("redis://127.0.0.1:6379").durable(orders.clone());
    /// ```
    pub fn durable(self, durable: Durable) -> Self {
        Self { durable: Some(durable), ..self }
    }
}

impl Transport for Redis {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capability(&self) -> Capability {
        Capability::reliable().remote().broker()
    }

    fn wire(&self) -> Wire {
        Wire::Bus(Arc::new(self.clone()))
    }

    /// All nodes of a launch meet at the same server.
    fn place(&self, _placement: &Placement) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.clone()))
    }

    fn journal(&self) -> Option<Arc<dyn Journal>> {
        let durable = self.durable.clone()?;
        Some(Arc::new(Stream { redis: self.clone(), durable }))
    }
}

impl Bus for Redis {
    fn connect(&self, tap: Arc<Tap>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let server = Server::new(self)?;
            let channels = Channels::new(&self.prefix, tap.cluster());
            let connection = server.first_connection(&tap, &channels).await?;
            runtime::io().spawn(serve(server, channels, tap, connection));
            Ok(())
        })
    }
}

/// Without what is secret in the URL.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let redis = Redis::connect("redis://user:hunter2@host:1");
        assert!(!format!("{redis:?}").contains("hunter2"));
    }
}
