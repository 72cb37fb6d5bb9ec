//! What examples are told on their command line, so that they need not care over what they run.

#[path = "server.rs"]
mod server;

use std::{env, sync::Arc};

use server::Server;
use tidings::{Address, BoxError, Transport, transport};
use tidings_servers::Private;

/// A server that this run has started, and the transport.
type Chosen = (Option<Server>, Option<Arc<dyn Transport>>);

/// What `--transport NAME` and `--url URL` say; none is the default. A server that nobody named is started.
pub(crate) fn transport() -> Result<Chosen, BoxError> {
    let (mut name, mut url) = (None, None);
    let mut words = env::args().skip(1);
    while let (Some(option), value) = (words.next(), words.next()) {
        match option.as_str() {
            "--transport" => name = value,
            "--url" => url = value,
            _ => return Err(format!("unknown option `{option}`: there are --transport and --url").into()),
        }
    }
    let (server, url) = match (name.as_deref(), url) {
        (_, Some(url)) => (None, url),
        (None | Some("ipc"), None) => return Ok((None, None)),
        (Some("tcp"), None) => (None, "tcp://127.0.0.1:0".to_owned()),
        (Some("zmq"), None) => (None, "zmq+tcp://127.0.0.1:0".to_owned()),
        (Some("redis"), None) => server::start(|directory| Private::redis(directory, &[]))?,
        (Some("nats"), None) => server::start(Private::nats)?,
        (Some(other), None) => {
            return Err(format!("unknown transport `{other}`: one of ipc, tcp, redis, nats, zmq").into());
        }
    };
    let address: Address = url.parse()?;
    Ok((server, Some(transport::listening_on(&address)?)))
}
