use std::{error::Error as _, io, path::PathBuf, time::Duration};

use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event,
    rustls::{self, crypto::CryptoProvider},
};
use tidings_router_core::{BoxError, Error, Result};
use tokio::sync::watch;

use crate::{
    login::Login,
    server::{self, Server},
    subjects::Subjects,
};

/// How long one server is tried, so that one that is stopped does not hide the next one.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// How often the client asks the server whether it is there, when nothing is heard of it. It gives up at the third
/// time without an answer, so before the router's heartbeat does (8 s).
const PING: Duration = Duration::from_secs(2);

/// How many packets wait between us and the client's own buffer, which has 64 KiB: all together 4 MiB at most.
const COMMANDS: usize = 16;

/// How many messages of one subscription may wait for us, who take them at once. It is more than what the client reads
/// from the socket at a time: beyond it the client throws away, which breaks the connection.
const MESSAGES: usize = 64 << 10;

/// Connects to one of several servers.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) servers: Vec<Server>,
    pub(crate) login: Option<Login>,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) subjects: Subjects,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The node is gone.
    Closed,
    /// It may work later.
    Broken(BoxError),
    /// It will not work until the user changes something.
    Refused(Error),
}

/// Why a connection has ended, as the client reports it.
pub(crate) type Ended = watch::Receiver<Option<Reason>>;

#[derive(Debug, Clone)]
pub(crate) enum Reason {
    Lost(&'static str),
    /// The server's words.
    Said(String),
}

impl Dialer {
    /// Connects to the first server that is there, in a random order.
    pub(crate) async fn dial(&self) -> Result<(Client, Ended), Ending> {
        let mut servers: Vec<&Server> = self.servers.iter().collect();
        fastrand::shuffle(&mut servers);
        let mut failed = Ending::Broken("there is no server".into());
        for server in servers {
            match self.dial_one(server).await {
                Ok(connected) => return Ok(connected),
                // Another one may take us. If none does, a refusal says more than one that is not there.
                Err(ending) if !matches!(failed, Ending::Refused(_)) => failed = ending,
                Err(_) => {}
            }
        }
        Err(failed)
    }

    async fn dial_one(&self, server: &Server) -> Result<(Client, Ended), Ending> {
        let (report, ended) = watch::channel(None);
        let options = self.options(server, report).await.map_err(Ending::Refused)?;
        let connecting = options.connect(server.address.clone());
        let client = connecting.await.map_err(|error| self.refusal(server, error))?;
        Ok((client, ended))
    }

    async fn options(
        &self,
        server: &Server,
        report: watch::Sender<Option<Reason>>,
    ) -> Result<ConnectOptions> {
        if CryptoProvider::get_default().is_none() {
            // The client takes the process's, and would panic in a program that has two kinds compiled in. An error
            // means that another thread was faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut options = ConnectOptions::new()
            .name(format!("tidings {}", self.subjects.own()))
            .connection_timeout(CONNECT_WITHIN)
            .ping_interval(PING)
            .client_capacity(COMMANDS)
            .subscription_capacity(MESSAGES)
            .custom_inbox_prefix(self.subjects.inbox())
            // We know what we publish to.
            .skip_subject_validation(true)
            .ignore_discovered_servers()
            // The client's own way to connect again would hide the break and publish what it still has. It tries once,
            // there is no way to tell it not to; by then we have let go of it, and it ends.
            .max_reconnects(1)
            .event_callback(move |event| {
                let reason = match event {
                    Event::Disconnected | Event::Closed => Some(Reason::Lost("the connection broke")),
                    Event::SlowConsumer(_) => Some(Reason::Lost("messages came faster than they were taken")),
                    Event::ServerError(error) => Some(Reason::Said(error.to_string())),
                    _ => None,
                };
                // The first one says why.
                report.send_if_modified(|first| {
                    first.is_none() && {
                        *first = reason;
                        first.is_some()
                    }
                });
                async {}
            });
        if let Some(path) = &self.root_certificates {
            options = options.add_root_certificates(path.clone());
        }
        match self.login.as_ref().or(server.login.as_ref()) {
            Some(login) => login.apply(options).await,
            None => Ok(options),
        }
    }

    /// What the server's own words on a connection mean for us.
    pub(crate) fn ending(&self, reason: Reason) -> Ending {
        match reason {
            Reason::Lost(what) => Ending::Broken(what.into()),
            Reason::Said(text) if text.to_lowercase().contains("permissions violation") => {
                Ending::Refused(Error::Refused {
                    address: format!("nats://{}", server::all(&self.servers)),
                    reason: format!(
                        "{text}; permit this user to publish and to subscribe what begins with `.prefix(..)` and the \
                         cluster, and with `.durable(..)` to publish to `$JS.API.>`"
                    ),
                })
            }
            Reason::Said(text) => Ending::Broken(text.into()),
        }
    }

    /// What a failed try to connect means.
    fn refusal(&self, server: &Server, error: ConnectError) -> Ending {
        let refused =
            |reason: String| Ending::Refused(Error::Refused { address: format!("nats://{server}"), reason });
        let setting = |setting: &str, reason: String| {
            Ending::Refused(Error::Setting { setting: setting.to_owned(), reason })
        };
        match (error.kind(), &self.root_certificates) {
            (ConnectErrorKind::AuthorizationViolation, _) => refused(
                "it knows no such user: set `.user_and_password(..)`, `.token(..)`, `.nkey(..)` or \
                 `.credentials_file(..)`, or say it in the URL"
                    .to_owned(),
            ),
            (ConnectErrorKind::Authentication, _) => {
                setting("nkey", "it is no seed of a user, which begins with `SU`".to_owned())
            }
            (ConnectErrorKind::Tls, Some(path)) => {
                setting("root_certificates", format!("{}: {error}", path.display()))
            }
            (ConnectErrorKind::Tls, None) => refused(error.to_string()),
            _ => match tls_failure(&error) {
                Some(tls) => refused(format!(
                    "{tls}; the URL has to name the host as its certificate does, and `.root_certificates(..)` says \
                     whom to trust"
                )),
                None => Ending::Broken(error.into()),
            },
        }
    }
}

/// What TLS found wrong with the other end.
fn tls_failure(error: &ConnectError) -> Option<&rustls::Error> {
    let io = error.source()?.downcast_ref::<io::Error>()?;
    let tls = io.get_ref()?.downcast_ref::<rustls::Error>()?;
    // Anything else may be a server that was about to end.
    matches!(tls, rustls::Error::InvalidCertificate(_)).then_some(tls)
}
