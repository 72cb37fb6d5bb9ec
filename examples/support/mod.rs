//! What examples are told on their command line, so that they need not care over what they run.

use std::{
    env, fs, io,
    path::PathBuf,
    process::{Child, Command, Stdio, id},
    sync::Arc,
};

use tidings::{Address, BoxError, Transport, transport};

/// What `--transport NAME` and `--url URL` say; none is the default. A server that nobody named is started.
pub(crate) fn transport() -> Result<(Option<Server>, Option<Arc<dyn Transport>>), BoxError> {
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
        (Some("redis"), None) => Server::redis()?,
        (Some(other), None) => return Err(format!("unknown transport `{other}`").into()),
    };
    let address: Address = url.parse()?;
    Ok((server, Some(transport::listening_on(&address)?)))
}

/// A server of this run's own, which ends with it.
pub(crate) struct Server {
    process: Child,
    directory: PathBuf,
}

impl Server {
    /// The first process starts it; those that the first one starts find it by the number of the first.
    fn redis() -> Result<(Option<Self>, String), BoxError> {
        let launcher = env::var("TIDINGS_LAUNCHER_PID").ok();
        let run = launcher.clone().unwrap_or_else(|| id().to_string());
        let directory = env::temp_dir().join(format!("tidings-example-{run}"));
        let url = format!("redis+unix://{}/redis.sock", directory.display());
        if launcher.is_some() {
            return Ok((None, url));
        }
        fs::create_dir_all(&directory)?;
        let mut server = Command::new("redis-server");
        server.args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""]);
        server.current_dir(&directory).stdout(Stdio::null());
        match server.spawn() {
            Ok(process) => Ok((Some(Self { process, directory }), url)),
            Err(error) => {
                fs::remove_dir_all(&directory)?;
                let advice = "install redis-server, or name a server with --url";
                Err(io::Error::new(error.kind(), format!("cannot start redis-server: {error}; {advice}"))
                    .into())
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
