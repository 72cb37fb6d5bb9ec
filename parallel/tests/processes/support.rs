//! A launcher under test: its output, its nodes, its end, and what it leaves behind.

use std::{
    env,
    fs::{self, DirBuilder},
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::DirBuilderExt,
        net::{UnixListener, UnixStream},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Which program this executable is to be.
pub(crate) const PROGRAM: &str = "TIDINGS_TEST_PROGRAM";

/// The socket on which nodes report that they live.
pub(crate) const PRESENCE: &str = "TIDINGS_TEST_PRESENCE";

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Reports this process, until it ends, to the test.
pub(crate) fn report_presence(node: u32) {
    let mut stream = UnixStream::connect(env::var(PRESENCE).unwrap()).unwrap();
    writeln!(stream, "{node} {}", std::process::id()).unwrap();
    // Closed by the end of the process.
    std::mem::forget(stream);
}

/// A program that runs.
pub(crate) struct Launched {
    pub(crate) directory: Directory,
    process: Child,
    output: Receiver<(String, String)>,
    presence: UnixListener,
}

/// How a program ended.
pub(crate) struct Ended {
    /// As a shell shows it.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A node that lives.
pub(crate) struct Present {
    pub(crate) node: u32,
    pub(crate) pid: i32,
    stream: BufReader<UnixStream>,
}

/// A directory of the case, where the run directories are made as well.
pub(crate) struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidings-case-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        DirBuilder::new().mode(0o700).create(path.join("run")).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The run directories that are there.
    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.0.join("run")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Asserts that no run directory is left.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.left(), [] as [PathBuf; 0], "left behind");
    }

    /// Waits until no run directory is left, where nothing tells when it is removed.
    pub(crate) fn wait_until_clean(&self) {
        let begin = Instant::now();
        while !self.left().is_empty() && begin.elapsed() < PATIENCE {
            thread::yield_now();
        }
        self.assert_clean();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts this executable as `program`.
pub(crate) fn launch(program: &str, arguments: &[&str]) -> Launched {
    launch_by(Command::new(env::current_exe().unwrap()), program, arguments)
}

/// The same, by a shell that has this signal ignored.
pub(crate) fn launch_ignoring(signal: &str, program: &str) -> Launched {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("trap '' {signal}; exec \"$0\"")).arg(env::current_exe().unwrap());
    launch_by(shell, program, &[])
}

fn launch_by(mut command: Command, program: &str, arguments: &[&str]) -> Launched {
    let directory = Directory::new();
    let socket = directory.path().join("presence");
    let presence = UnixListener::bind(&socket).unwrap();
    command
        .args(arguments)
        .current_dir(directory.path())
        .env(PROGRAM, program)
        .env(PRESENCE, &socket)
        .env("XDG_RUNTIME_DIR", directory.path().join("run"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let (mut out, mut err) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
    let (send, output) = sync_channel(1);
    thread::spawn(move || {
        let errors = thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).unwrap();
            text
        });
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        let _ = send.send((text, errors.join().unwrap()));
    });
    Launched { directory, process, output, presence }
}

impl Launched {
    /// Waits until so many nodes have reported, in the order of their ids.
    pub(crate) fn nodes(&self, count: usize) -> Vec<Present> {
        let mut nodes: Vec<_> = (0..count).map(|_| self.next_node()).collect();
        nodes.sort_by_key(|present| present.node);
        nodes
    }

    /// Waits until the next node has reported. The case's deadline is the limit.
    pub(crate) fn next_node(&self) -> Present {
        let (stream, _) = self.presence.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let (node, pid) = line.trim().split_once(' ').unwrap();
        Present { node: node.parse().unwrap(), pid: pid.parse().unwrap(), stream }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.process.stdin.take().unwrap()
    }

    /// Waits for the end of the launcher and of its output; asserts that nothing is left.
    pub(crate) fn end(mut self) -> Ended {
        let output = self.output.recv_timeout(PATIENCE);
        if output.is_err() {
            let _ = self.process.kill();
        }
        let status = self.process.wait().unwrap();
        let (out, err) = output.expect("the launcher ends in time");
        self.directory.assert_clean();
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap();
        Ended { code, out, err }
    }
}

impl Present {
    /// Waits for the end of the process, at most so long.
    pub(crate) fn gone_within(&mut self, limit: Duration) {
        self.stream.get_ref().set_read_timeout(Some(limit)).unwrap();
        let end = self.stream.read(&mut [0]);
        assert!(matches!(end, Ok(0)), "node {} lives on after {limit:?}: {end:?}", self.node);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }
}

impl Ended {
    /// The lines of its output, sorted.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let mut lines: Vec<_> = self.out.lines().collect();
        lines.sort_unstable();
        lines
    }
}
