//! The server, as the user named it.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisError, TlsCertificates, aio::MultiplexedConnection,
};
use tidings_router_core::{Address, BoxError, Error, Mailbox, Result, Tap};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    channels::Channels,
    connection::Connection,
    redis::{Redis, SCHEME},
};

/// How long one try to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long the server may take to answer, as with the heartbeat of links; then the connection counts as broken.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// The first and the longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A server, and how to connect to it.
#[derive(Debug)]
pub(crate) struct Server {
    client: Client,
    /// Whether RESP3 is tried: the URL does not say otherwise.
    modern: bool,
    /// Without what is secret.
    address: Address,
}

impl Server {
    pub(crate) fn new(redis: &Redis) -> Result<Self> {
        let invalid = |reason: String| Error::invalid_address(&redis.url, reason);
        let info = redis.url.as_str().into_connection_info().map_err(|error| invalid(error.to_string()))?;
        let address = match info.addr() {
            ConnectionAddr::Unix(path) => path.display().to_string(),
            addr => format!("{addr}/{}", info.redis_settings().db()),
        };
        let address = Address::new(SCHEME, address)?;
        let modern = !redis.url.contains("protocol=");
        let settings = info.redis_settings().clone();
        let info = if modern {
            info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3))
        } else {
            info
        };
        let client = match (info.addr(), &redis.certificate_authority) {
            (ConnectionAddr::TcpTls { .. }, authority) => {
                // Fails if the program has chosen already.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let root_cert = authority.as_deref().map(read).transpose()?;
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
            (_, None) => Client::open(info),
            (_, Some(_)) => {
                return Err(Error::Setting {
                    setting: "certificate_authority".to_owned(),
                    reason: "it is for `rediss://` alone".to_owned(),
                });
            }
        };
        Ok(Self { client: client.map_err(|error| invalid(error.to_string()))?, modern, address })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Connects and subscribes the node's mailbox. Tried until the server is there, but not when it refuses.
    pub(crate) async fn first_connection(&self, tap: &Arc<Tap>, channels: &Channels) -> Result<Connection> {
        let after = tap.connect_timeout();
        let deadline = Instant::now() + after;
        let (mut pause, mut last) = (PAUSE.0, None);
        loop {
            match timeout_at(deadline, self.connect(tap, channels)).await {
                Ok(Ok((connection, members))) => {
                    members.into_iter().for_each(|member| tap.found(member));
                    tap.up();
                    return Ok(connection);
                }
                Ok(Err(error)) if is_refusal(&error) => return Err(self.refused(&error)),
                Ok(Err(error)) => last = Some(error),
                Err(_) => {}
            }
            if Instant::now() + pause >= deadline {
                let source = self.failure(last);
                return Err(Error::Unreachable { address: self.address.clone(), after, source });
            }
            sleep(pause).await;
            pause = (2 * pause).min(PAUSE.1);
        }
    }

    /// Connects again, however long it takes.
    pub(crate) async fn reconnect(&self, tap: &Arc<Tap>, channels: &Channels) -> (Connection, Vec<Mailbox>) {
        let mut pause = PAUSE.0;
        loop {
            match self.connect(tap, channels).await {
                Ok(connected) => return connected,
                Err(error) => tracing::debug!(%error, server = %self.address, "cannot connect again yet"),
            }
            sleep(pause).await;
            pause = (2 * pause).min(PAUSE.1);
        }
    }

    /// One try.
    async fn connect(
        &self,
        tap: &Arc<Tap>,
        channels: &Channels,
    ) -> Result<(Connection, Vec<Mailbox>), RedisError> {
        let connected = Connection::new(&self.client, config(), self.modern, tap, channels).await;
        match connected {
            Err(error) if self.is_too_modern(&error) => {
                Connection::new(&self.older()?, config(), false, tap, channels).await
            }
            connected => connected,
        }
    }

    /// A connection for commands alone, one try.
    pub(crate) async fn plain_connection(&self) -> Result<MultiplexedConnection, RedisError> {
        match self.client.get_multiplexed_async_connection_with_config(&config()).await {
            Err(error) if self.is_too_modern(&error) => {
                self.older()?.get_multiplexed_async_connection_with_config(&config()).await
            }
            connected => connected,
        }
    }

    /// A server that is older than RESP3 does not know how to switch to it.
    fn is_too_modern(&self, error: &RedisError) -> bool {
        self.modern && error.kind() == ErrorKind::RESP3NotSupported
    }

    fn older(&self) -> Result<Client, RedisError> {
        let info = self.client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        Client::open(info.set_redis_settings(settings))
    }

    /// Why the last try failed.
    fn failure(&self, last: Option<RedisError>) -> Option<BoxError> {
        if !self.is_encrypted() {
            return last.map(Into::into);
        }
        // A server that does not speak TLS need not answer at all.
        let said = last.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
        Some(format!("{said}; `rediss://` is for a port where the server speaks TLS").into())
    }

    fn is_encrypted(&self) -> bool {
        matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(crate) fn refused(&self, error: &RedisError) -> Error {
        let advice = match is_wrong_certificate(error) {
            true => {
                "the URL has to name the host as its certificate does, and `.certificate_authority(..)` says whom to trust"
            }
            false => {
                "the user, password and database are those of the URL of `Redis::connect`, and the user needs the \
                 commands and channels that its docs name"
            }
        };
        Error::Refused { address: self.address.to_string(), reason: format!("{error}; {advice}") }
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(Some(ANSWER_WITHIN))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::Setting {
        setting: "certificate_authority".to_owned(),
        reason: format!("{} cannot be read: {error}", path.display()),
    })
}

/// Whether trying again is of no use.
pub(crate) fn is_refusal(error: &RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
        || matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM")
        || (matches!(error.kind(), ErrorKind::Server(_))
            && !matches!(code, "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN"))
        || is_wrong_certificate(error)
}

/// Whether one of the two ends does not like the other one's certificate. Whatever else TLS finds wrong may be a server
/// that is about to end.
fn is_wrong_certificate(error: &RedisError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let tls = source.and_then(io::Error::get_ref).and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
        || (error.kind() == ErrorKind::Io && error.to_string().contains("certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_an_error_that_does_not_tell_the_password() {
        for url in
            ["", "redis", "http://user:hunter2@host", "redis://user:hunter2@host:port", "redis://h/no-number"]
        {
            let error = Server::new(&Redis::connect(url)).unwrap_err();
            assert!(matches!(error, Error::InvalidAddress { .. }), "{url}: {error:?}");
            assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_address_tells_where_and_nothing_else() {
        let server = Server::new(&Redis::connect("redis://user:hunter2@host:7/3")).unwrap();
        assert_eq!(server.address().to_string(), "redis://host:7/3");
    }

    #[test]
    fn a_certificate_authority_without_tls_is_a_mistake() {
        let error = Server::new(&Redis::connect("redis://host").certificate_authority("ca.pem")).unwrap_err();
        assert!(
            matches!(&error, Error::Setting { setting, .. } if setting == "certificate_authority"),
            "{error:?}"
        );
    }
}
