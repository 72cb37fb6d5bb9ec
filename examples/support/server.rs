//! A server of a run's own, which all processes of the run find.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::id,
};

use tidings::BoxError;
use tidings_servers::{Missing, Private};

/// A server of this run's own, which ends with it.
pub(crate) struct Server {
    /// Dropped before its directory is removed.
    process: Option<Private>,
    directory: PathBuf,
}

/// The server and its URL, if this is the first process of the run; the others get its URL alone.
pub(crate) fn start(
    start: impl FnOnce(&Path) -> Result<Private, Missing>,
) -> Result<(Option<Server>, String), BoxError> {
    // Processes of a run know the number of the first one.
    let launcher = env::var("TIDINGS_LAUNCHER_PID");
    let directory = env::temp_dir()
        .join(format!("tidings-example-{}", launcher.clone().unwrap_or_else(|_| id().to_string())));
    let place = directory.join("url");
    if launcher.is_ok() {
        return Ok((None, fs::read_to_string(place)?));
    }
    fs::create_dir_all(&directory)?;
    let mut server = Server { process: None, directory };
    let process = start(&server.directory).map_err(|missing| format!("{missing}: or say `--url URL`"))?;
    let url = process.url().to_owned();
    fs::write(place, &url)?;
    server.process = Some(process);
    Ok((Some(server), url))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process = None;
        // Errors mean that it is gone already.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
