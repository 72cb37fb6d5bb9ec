use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use tidings_router_core::{
    Address, AddressText, BoxFuture, Bus, Capability, Durable, Error, Journal, Mailbox, Placement, Result,
    Tap, Transport, Wire, runtime,
};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    dialer::Dialer,
    journal::JetStream,
    keeper::{Failure, Keeper},
    login::Login,
    server::{self, Server},
    subjects::{Subjects, check_prefix},
};

/// The scheme of its addresses.
pub(crate) const SCHEME: &str = "nats";

/// The default of [`Nats::prefix`].
const PREFIX: &str = "tidings";

/// Reaches nodes through a NATS server.
///
/// What it promises and where it ends stands in the [crate's docs](crate). Making one does no I/O; what is wrong with
/// a URL or a setting is an error of `open`.
///
/// ```
/// use tidings_transport_nats::Nats;
///
/// let on_this_machine = Nats::connect("nats://127.0.0.1:4222");
/// let one_of_two = Nats::connect("tls://a.example.org,tls://b.example.org").user_and_password("alice", "secret");
/// ```
#[derive(Clone)]
#[must_use = "a `Nats` is a configuration: give it to `.transport(..)`"]
pub struct Nats {
    servers: AddressText,
    login: Option<Login>,
    root_certificates: Option<PathBuf>,
    prefix: String,
    durable: Option<Durable>,
}

impl Nats {
    /// Connects to the server at this URL: `nats://host:port`, or `tls://` where it has to be encrypted; it is also
    /// where the server says so. Without a port it is 4222. Several servers of one NATS cluster are separated by commas.
    ///
    /// `nats://user:password@host` and `nats://token@host` log in; what has a meaning in a URL stands there as `%40` and
    /// the like.
    ///
    /// `open` fails with [`Error::InvalidAddress`] if the URL is none, with [`Error::Unreachable`] if no server is there
    /// within `.connect_timeout(..)`, and with [`Error::Refused`] if it takes no such user, permits too little, or has no
    /// certificate that we trust.
    pub fn connect(url: impl ToString) -> Self {
        let (servers, prefix) = (url.to_string().into(), PREFIX.to_owned());
        Self { servers, login: None, root_certificates: None, prefix, durable: None }
    }

    /// Logs in with a user's name and password. This and the others below take the place of what the URL says, and the
    /// last one counts.
    pub fn user_and_password(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { login: Some(Login::Password { user: user.into(), password: password.into() }), ..self }
    }

    /// Logs in with a token.
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { login: Some(Login::Token(token.into())), ..self }
    }

    /// Logs in with an nkey; this is its seed, which begins with `SU`.
    pub fn nkey(self, seed: impl Into<String>) -> Self {
        Self { login: Some(Login::NKey(seed.into())), ..self }
    }

    /// Logs in with the JWT and the seed in this file, as `nsc` writes it. It is read at each connection.
    pub fn credentials_file(self, path: impl Into<PathBuf>) -> Self {
        Self { login: Some(Login::Credentials(path.into())), ..self }
    }

    /// Trusts the certificates in this PEM file, instead of those that the operating system trusts.
    pub fn root_certificates(self, path: impl Into<PathBuf>) -> Self {
        Self { root_certificates: Some(path.into()), ..self }
    }

    /// What the names of all subjects begin with. Default `tidings`; tokens separated by dots.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Events that survive a restart: they go through a stream of JetStream in the place of links. Given more than once,
    /// the last one counts. What is promised stands in [`Durable`], what it needs in the [crate's docs](crate).
    ///
    /// `open` fails in addition with [`Error::Setting`] for a `max_messages`, a pattern or a position that cannot be, and
    /// with [`Error::Refused`] by a server without JetStream.
    ///
    /// ```
    /// use tidings_router_core::Durable;
    /// use tidings_transport_nats::Nats;
    ///
    /// let orders = Durable::new("orders/*").max_messages(100_000);
    /// let nats = Nats::connect("nats://127.0.0.1:4222").durable(orders.clone());
    /// ```
    pub fn durable(self, durable: Durable) -> Self {
        Self { durable: Some(durable), ..self }
    }

    pub(crate) fn dialer(&self, cluster: &str, own: Mailbox) -> Result<Dialer> {
        check_prefix(&self.prefix)?;
        Ok(Dialer {
            servers: Server::parse_all(&self.servers)?,
            login: self.login.clone(),
            root_certificates: self.root_certificates.clone(),
            subjects: Subjects::new(&self.prefix, cluster, own),
        })
    }
}

impl Nats {
    /// Where the servers are.
    pub(crate) fn address(&self) -> Result<Address> {
        Address::new(SCHEME, server::all(&Server::parse_all(&self.servers)?))
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("servers", &self.servers)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Bus for Nats {
    fn connect(&self, tap: Arc<Tap>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let dialer = self.dialer(tap.cluster(), tap.mailbox())?;
            let address = self.address()?;
            let after = tap.connect_timeout();
            let failure = Failure::default();
            let (opened, is_open) = oneshot::channel();
            let keeper = Keeper { dialer, tap, failure: failure.clone(), opened: Some(opened) };
            let keeper = runtime::io().spawn(keeper.run());
            match timeout(after, is_open).await {
                Ok(Ok(result)) => result,
                // The node was given up meanwhile.
                Ok(Err(_)) => Err(Error::Closed),
                Err(_) => {
                    keeper.abort();
                    Err(Error::Unreachable { address, after, source: failure.take() })
                }
            }
        })
    }
}

impl Transport for Nats {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capability(&self) -> Capability {
        Capability::reliable().remote().broker()
    }

    fn wire(&self) -> Wire {
        Wire::Bus(Arc::new(self.clone()))
    }

    /// The same for every node: they have no addresses of their own.
    fn place(&self, _placement: &Placement) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.clone()))
    }

    fn journal(&self) -> Option<Arc<dyn Journal>> {
        let durable = self.durable.clone()?;
        Some(Arc::new(JetStream { nats: self.clone(), durable }))
    }
}

/// How long a stopped node, or a stopped server, may hold somebody up who begins or ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let nats = [
            Nats::connect("nats://alice:s3cret@127.0.0.1"),
            Nats::connect("nats://s3cret@127.0.0.1,nats://x"),
            Nats::connect("s3cret@x y"),
            Nats::connect("nats://127.0.0.1").user_and_password("alice", "s3cret"),
            Nats::connect("nats://127.0.0.1").token("s3cret"),
            Nats::connect("nats://127.0.0.1").nkey("s3cret"),
        ];
        for nats in nats {
            let text = format!("{nats:?}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn it_says_what_it_is() {
        let nats = Nats::connect("nats://127.0.0.1");
        assert_eq!(nats.scheme(), "nats");
        assert!(nats.capability().broker && nats.capability().remote && nats.capability().reliable);
        assert!(nats.place(&Placement::new(3, "/launch")).is_ok());
    }
}
