//! What is measured: which transport, and where its two ends meet.

use std::{path::Path, sync::Arc};

use tidings::{
    Address, Transport, error_chain,
    transport::{Ipc, Memory, Tcp, Zmq, listening_on},
};
use tidings_servers::{Missing, Private};

use crate::{
    arguments::Bench,
    fault::{Fault, Result},
    wire::redis_at,
};

/// All that can be measured.
pub(super) const KNOWN: [&str; 6] = ["memory", "ipc", "tcp", "redis", "nats", "zmq"];

/// A transport that is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// One of [`KNOWN`].
    pub(super) name: &'static str,
    /// The broker that the command line names.
    server: Option<String>,
}

/// A transport that is ready, and what it needs.
#[derive(Debug)]
pub(super) struct Meeting {
    pub(super) transport: Arc<dyn Transport>,
    /// The broker's address, where there is one.
    pub(super) broker: Option<String>,
    /// A broker of our own.
    _server: Option<Private>,
}

impl Subject {
    /// What the command line names, or all.
    pub(super) fn all(bench: &Bench) -> Result<Vec<Self>> {
        let names: Vec<&str> = match bench.transports.is_empty() {
            true => KNOWN.to_vec(),
            false => bench.transports.iter().map(String::as_str).collect(),
        };
        let subjects = names.into_iter().map(|name| Self::named(name, bench)).collect::<Result<Vec<_>>>()?;
        if bench.redis.is_named() && !subjects.iter().any(|subject| subject.name == "redis") {
            return Err(Fault::usage(
                "--redis-host and --redis-port are of no use where redis is not measured",
            ));
        }
        Ok(subjects)
    }

    fn named(text: &str, bench: &Bench) -> Result<Self> {
        if let Some(name) = KNOWN.into_iter().find(|name| *name == text) {
            let is_given = name == "redis" && bench.redis.is_named();
            return Ok(Self { name, server: is_given.then(|| redis_at(&bench.redis)) });
        }
        let known = KNOWN.join(", ");
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(Fault::usage(format!(
                "--transports `{text}` cannot be measured: one of {known}, or a broker's address such as `nats://host:4222`"
            )));
        };
        let address: Address =
            text.parse().map_err(|error| Fault::usage(format!("--transports: {error}")))?;
        match address.feature() {
            name @ ("redis" | "nats") => Ok(Self { name, server: Some(text.to_owned()) }),
            _ => Err(Fault::usage(format!(
                "--transports: `{scheme}://` is no broker's address: one of {known}, or one such as `nats://host:4222`"
            ))),
        }
    }

    /// Makes the transport of one end, and starts a server in this folder if it needs one.
    pub(super) fn meeting(&self, folder: &Path) -> Result<Meeting> {
        let without_server = |transport| Ok(Meeting { transport, broker: None, _server: None });
        let server = match (self.name, &self.server) {
            ("memory", _) => return without_server(Arc::new(Memory::network())),
            ("ipc", _) => return without_server(Arc::new(Ipc::bind(folder.join("bench.sock")))),
            ("tcp", _) => return without_server(Arc::new(Tcp::bind("127.0.0.1:0"))),
            ("zmq", _) => return without_server(Arc::new(Zmq::bind("tcp://127.0.0.1:0"))),
            (_, Some(_)) => None,
            ("redis", None) => Some(self.present(Private::redis(folder, &[]))?),
            (_, None) => Some(self.present(Private::nats(folder))?),
        };
        let url = server.as_ref().map(|server| server.url().to_owned()).or_else(|| self.server.clone());
        let url = url.unwrap_or_default();
        let transport = listening_on(&url.parse()?)?;
        Ok(Meeting { transport, broker: Some(url), _server: server })
    }

    fn present(&self, server: Result<Private, Missing>) -> Result<Private> {
        let hint = match self.name {
            "redis" => "--redis-host HOST names a server that runs",
            _ => "--transports nats://HOST names a server that runs",
        };
        server.map_err(|missing| {
            Fault::new(format!("{} is not measured: {}; {hint}", self.name, error_chain(&missing)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(change: impl FnOnce(&mut Bench)) -> Result<Vec<Subject>> {
        let mut bench = Bench::default();
        change(&mut bench);
        Subject::all(&bench)
    }

    #[test]
    fn everything_is_measured_unless_something_is_named() {
        let names: Vec<&str> = all(|_| ()).unwrap().iter().map(|subject| subject.name).collect();
        assert_eq!(names, KNOWN);
        let named = all(|bench| bench.transports = vec!["zmq".into(), "nats://h:1".into()]).unwrap();
        let servers: Vec<_> = named.iter().map(|subject| (subject.name, subject.server.as_deref())).collect();
        assert_eq!(servers, [("zmq", None), ("nats", Some("nats://h:1"))]);
    }

    #[test]
    fn the_flags_for_a_redis_server_are_for_redis() {
        let named = all(|bench| bench.redis.port = Some(7)).unwrap();
        assert_eq!(named[3].server.as_deref(), Some("redis://127.0.0.1:7"));
        let fault = all(|bench| {
            (bench.transports, bench.redis.host) = (vec!["tcp".into()], Some("h".into()));
        });
        assert_eq!(fault.unwrap_err().code(), 64);
    }

    #[test]
    fn what_cannot_be_measured_is_said_without_its_password() {
        for text in ["pigeon", "tcp://127.0.0.1:1", "pigeon://alice:hunter2@h", "tcp://alice:hunter2@h:1"] {
            let fault = all(|bench| bench.transports = vec![text.into()]).unwrap_err();
            assert!(fault.code() == 64 && !fault.to_string().contains("hunter2"), "{fault}");
        }
    }

    #[test]
    fn a_server_that_is_not_installed_is_named_with_what_to_do() {
        let subject = Subject { name: "redis", server: None };
        let missing = Missing::Program { program: "redis-server".to_owned() };
        let fault = subject.present(Err(missing)).unwrap_err().to_string();
        assert!(fault.contains("redis-server is not installed") && fault.contains("--redis-host"), "{fault}");
    }
}
