use std::path::Path;

use crate::{Guarded, Missing};

/// What Redis writes when it can be connected to, with a large or a small letter in front.
const REDIS_READY: &str = "eady to accept connections";

/// What NATS writes when it can be connected to, and in front of where.
const NATS_READY: &str = "Server is ready";
const NATS_LISTENS: &str = "Listening for client connections on ";

/// A server of one program. It is gone when this is dropped, but for what lies in its directory.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// match tidings_servers::Private::redis(directory.path(), &[]) {
///     Ok(server) => println!("for a while there is {}", server.url()),
///     Err(missing) => println!("{missing}"),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Private {
    process: Guarded,
    url: String,
}

impl Private {
    /// A Redis server that keeps nothing, on the socket file `redis.sock` in this directory; with more settings as on its
    /// command line: `["--requirepass", "x"]`.
    ///
    /// # Errors
    ///
    /// [`Missing`], when it is not installed or does not start.
    pub fn redis(directory: &Path, settings: &[&str]) -> Result<Self, Missing> {
        let fixed = ["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no"];
        let arguments = [&fixed, settings].concat();
        let process = Guarded::start("redis-server", &arguments, directory, REDIS_READY)?;
        Ok(Self { process, url: format!("redis+unix://{}", directory.join("redis.sock").display()) })
    }

    /// A NATS server, on a port of loopback that it chooses.
    ///
    /// # Errors
    ///
    /// [`Missing`], when it is not installed or does not start.
    pub fn nats(directory: &Path) -> Result<Self, Missing> {
        let process = Guarded::start("nats-server", &["-a", "127.0.0.1", "-p", "-1"], directory, NATS_READY)?;
        let written = process.written();
        let place = written.lines().find_map(|line| line.split_once(NATS_LISTENS));
        match place {
            Some((_, address)) => Ok(Self { process, url: format!("nats://{address}") }),
            None => Err(Missing::Start { program: "nats-server".to_owned(), written }),
        }
    }

    /// What a client connects to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process.
    pub fn process(&self) -> &Guarded {
        &self.process
    }
}
