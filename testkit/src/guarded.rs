use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

/// A server that a test has started; it does not outlive the test, however that ends.
///
/// A shell stands between the two. It kills the server when its own input ends, which the kernel sees to when this
/// process is gone.
#[derive(Debug)]
pub struct Guarded {
    shell: Child,
    server: Pid,
}

/// Starts what it was given, tells its process id, and kills it when nobody holds the other end of its input.
const GUARD: &str = r#""$@" <&- & echo "pid $!"; read nothing; kill -KILL $!; wait"#;

impl Guarded {
    /// Starts a server, and returns when it has written a line that contains `ready`.
    ///
    /// # Errors
    ///
    /// All that it has written, if it ends before.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(program: &str, arguments: &[&str], directory: &Path, ready: &str) -> Result<Self, String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "sh", program]).args(arguments).current_dir(directory);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut shell = shell.spawn().expect("there is a shell");
        let output = shell.stdout.take().expect("it is a pipe");
        let (mut lines, mut written) = (BufReader::new(output).lines(), String::new());
        let (mut server, mut is_ready) = (None, false);
        while server.is_none() || !is_ready {
            let Some(Ok(line)) = lines.next() else {
                let _ = shell.wait();
                return Err(written);
            };
            match line.strip_prefix("pid ") {
                Some(pid) => server = pid.parse().ok().and_then(Pid::from_raw),
                None => is_ready |= line.contains(ready),
            }
            written += &format!("{line}\n");
        }
        // Nobody reads what it writes from now on, but it must not wait for that.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { shell, server: server.expect("the loop ends with it") })
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: Signal) {
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
