//! A server of our own, for peers that need one: it ends with the end that started it, however that ends.

use std::{
    env,
    ffi::OsStr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::harness::Result;

/// How long a server may take to start.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Starts a program, and ends it when its standard input is closed.
const WARD: &str = r#""$@" </dev/null & read -r _; kill "$!" 2>/dev/null; wait"#;

#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts `program`, which is sought also where Debian has daemons.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<_> = env::split_paths(&path).collect();
        directories.push(Path::new("/usr/sbin").to_owned());
        let found = directories.iter().map(|directory| directory.join(program)).find(|file| file.is_file());
        let file = found.ok_or_else(|| format!("`{program}` is not installed"))?;
        let mut command = Command::new("sh");
        command.args(["-c", WARD, "ward"]).arg::<&OsStr>(file.as_ref()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    /// Waits until `connect` does.
    pub(crate) fn ready<T>(&mut self, mut connect: impl FnMut() -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            match connect() {
                Ok(connected) => return Ok(connected),
                Err(error) if Instant::now() > deadline || self.0.try_wait()?.is_some() => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Else it is a zombie until this process ends.
        let _ = self.0.wait();
    }
}
