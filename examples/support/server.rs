use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio, id},
    thread,
    time::{Duration, Instant},
};

use tidings::BoxError;

/// A server of this run's own, which ends with it.
pub(crate) struct Server {
    process: Child,
    directory: PathBuf,
}

/// A Redis server, if this is the first process of the run, and where it is.
pub(crate) fn redis() -> Result<(Option<Server>, String), BoxError> {
    let server = start("redis-server", &["--port", "0", "--unixsocket", "redis.sock", "--save", ""])?;
    Ok((server, format!("redis+unix://{}/redis.sock", directory().display())))
}

/// A NATS server, if this is the first process of the run, and where it is.
pub(crate) fn nats() -> Result<(Option<Server>, String), BoxError> {
    let server = start("nats-server", &["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", "."])?;
    // It chooses a port, and writes it to a file.
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(url) = nats_url(&directory())? {
            return Ok((server, url));
        }
        if Instant::now() > until {
            return Err("nats-server does not say where it listens".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn nats_url(directory: &Path) -> io::Result<Option<String>> {
    let mut paths = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    let Some(file) = paths.find(|path| path.extension().is_some_and(|extension| extension == "ports")) else {
        return Ok(None);
    };
    let text = fs::read_to_string(file)?;
    Ok(text.split('"').find(|word| word.starts_with("nats://")).map(str::to_owned))
}

/// The place of a run's server; its processes find it by the number of the first one.
fn directory() -> PathBuf {
    let run = env::var("TIDINGS_LAUNCHER_PID").unwrap_or_else(|_| id().to_string());
    env::temp_dir().join(format!("tidings-example-{run}"))
}

fn start(program: &str, arguments: &[&str]) -> Result<Option<Server>, BoxError> {
    if env::var_os("TIDINGS_LAUNCHER_PID").is_some() {
        return Ok(None);
    }
    let directory = directory();
    fs::create_dir_all(&directory)?;
    let mut server = Command::new(program);
    // Where Debian has them, whether a user looks there or not.
    server.env("PATH", format!("{}:/usr/sbin", env::var("PATH").unwrap_or_default()));
    server.args(arguments).current_dir(&directory).stdout(Stdio::null()).stderr(Stdio::null());
    match server.spawn() {
        Ok(process) => Ok(Some(Server { process, directory })),
        Err(error) => {
            fs::remove_dir_all(&directory)?;
            let advice = format!("install {program}, or name a server with --url");
            Err(io::Error::new(error.kind(), format!("cannot start {program}: {error}; {advice}")).into())
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
