use std::{
    env,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::Missing;

/// A server that this process has started; it does not outlive the process, however that ends.
///
/// A shell stands between the two. It kills the server when its own input ends, which the kernel sees to when this
/// process is gone.
#[derive(Debug)]
pub struct Guarded {
    shell: Child,
    server: Pid,
    written: Arc<Mutex<String>>,
}

/// Starts what it was given, tells its process id, and kills it when nobody holds the other end of its input, or a terminal
/// interrupts both. Its own output is closed, so that it ends with the server's.
const GUARD: &str =
    r#"trap : INT TERM; "$@" <&- 2>&1 & echo "pid $!"; exec >&-; read -r _; kill -KILL "$!" 2>&-; wait"#;

impl Guarded {
    /// Starts a server, and returns when it has written a line that contains `ready`.
    ///
    /// # Errors
    ///
    /// [`Missing`], when it is not installed, or ends before.
    pub fn start(program: &str, arguments: &[&str], directory: &Path, ready: &str) -> Result<Self, Missing> {
        let named = || program.to_owned();
        let failed = |source: io::Error| Missing::Io { program: named(), source };
        let file = find(program).ok_or_else(|| Missing::Program { program: named() })?;
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "sh"]).arg(file).args(arguments).current_dir(directory);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().map_err(failed)?;
        let output = shell.stdout.take().expect("it is a pipe");
        let (mut lines, mut before) = (BufReader::new(output).lines(), String::new());
        let (mut server, mut is_ready) = (None, false);
        while server.is_none() || !is_ready {
            let Some(Ok(line)) = lines.next() else {
                drop(shell.stdin.take());
                let _ = shell.wait();
                return Err(Missing::Start { program: named(), written: before });
            };
            match line.strip_prefix("pid ") {
                Some(pid) => server = pid.parse().ok().and_then(Pid::from_raw),
                None => is_ready |= line.contains(ready),
            }
            before += &format!("{line}\n");
        }
        let written = Arc::new(Mutex::new(before));
        let more = written.clone();
        // It must not wait for somebody who reads.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut written = more.lock().unwrap_or_else(PoisonError::into_inner);
                written.push_str(&line);
                written.push('\n');
            }
        });
        Ok(Self { shell, server: server.expect("the loop ends with it"), written })
    }

    /// What it has written so far.
    pub fn written(&self) -> String {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn signal(&self, signal: Signal) {
        // An error means that it has ended.
        let _ = kill_process(self.server, signal);
    }

    /// Stops it (SIGSTOP): it stays, and does nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Where a program is installed; Debian has servers where not everyone looks.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_or_does_not_start_is_an_error_that_says_so() {
        let here = env::temp_dir();
        let missing = Guarded::start("no-such-server", &[], &here, "").unwrap_err();
        assert_eq!(missing.to_string(), "no-such-server is not installed");
        let missing = Guarded::start("sh", &["-c", "echo why not"], &here, "ready").unwrap_err();
        assert!(missing.to_string().contains("why not"), "{missing}");
    }

    #[test]
    fn what_was_started_is_gone_with_its_guard() {
        let command = "echo ready; exec sleep 60";
        let server = Guarded::start("sh", &["-c", command], &env::temp_dir(), "ready").unwrap();
        let pid = server.server;
        drop(server);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
