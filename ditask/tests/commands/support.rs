//! A place of its own for each test, commands in it, and a look at what they leave behind.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tidings_testkit::PrivateDir;

use crate::package;

/// What a command may take; the first one that needs the package builds it with all that it stands on.
pub(crate) const DEADLINE: Duration = Duration::from_secs(400);

/// The variable by which a test finds the processes that it has started.
const MARK: &str = "DITASK_TEST";

/// The private place of one test.
pub(crate) struct Place {
    directory: PrivateDir,
    mark: String,
    /// What stands before each command line: what moves it into a network of its own.
    before: Vec<String>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// Asserts that it failed with this status and said this.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for said in said {
            assert!(self.err.contains(said), "`{said}` is not said: {self:?}");
        }
        let errors = self.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "it is said once: {self:?}");
    }

    /// Asserts that it went well and printed these lines, in any order.
    #[track_caller]
    pub(crate) fn prints(&self, lines: &[&str]) {
        assert_eq!(self.code, 0, "{self:?}");
        for line in lines {
            assert!(self.out.lines().any(|printed| printed == *line), "`{line}` is not printed: {self:?}");
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = PrivateDir::new();
        let mark = directory.path().display().to_string();
        fs::create_dir(directory.join("tmp")).unwrap();
        Self { directory, mark, before: Vec::new() }
    }

    /// The same place, whose commands begin with these words.
    pub(crate) fn behind(mut self, words: &[&str]) -> Self {
        self.before = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The command of a line as it is typed, `ditask` at its beginning.
    pub(crate) fn typed(&self, line: &str) -> Command {
        let words = line.split_whitespace().skip_while(|word| *word == "$").skip(1);
        self.command(words)
    }

    /// `ditask` with these arguments.
    pub(crate) fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let program = env!("CARGO_BIN_EXE_ditask");
        let mut command = match self.before.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments);
        self.place(&mut command);
        command
    }

    /// Puts a command into this place.
    pub(crate) fn place(&self, command: &mut Command) {
        package::place(command);
        command
            .current_dir(package::folder())
            .env("TMPDIR", self.directory.join("tmp"))
            .env("XDG_RUNTIME_DIR", self.directory.join("tmp"))
            .env(MARK, &self.mark)
            .env("RUST_BACKTRACE", "0")
            .env_remove("TIDINGS_SECRET")
            .env_remove("TIDINGS_MAIN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(&self, command: Command) -> Outcome {
        self.start(command).end()
    }

    /// Runs a line as it is typed.
    #[track_caller]
    pub(crate) fn types(&self, line: &str) -> Outcome {
        self.run(self.typed(line))
    }

    /// Starts it.
    pub(crate) fn start(&self, mut command: Command) -> Running {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (lines, heard) = sync_channel(10_000);
        for (is_out, source) in [
            (true, Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>),
            (false, Box::new(child.stderr.take().unwrap())),
        ] {
            let lines = lines.clone();
            thread::spawn(move || {
                for line in BufReader::new(source).lines().map_while(Result::ok) {
                    if lines.send((is_out, line)).is_err() {
                        return;
                    }
                }
            });
        }
        Running { child: Some(child), heard, out: String::new(), err: String::new() }
    }

    /// Asserts that nothing runs any more and that nothing lies about.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let begin = Instant::now();
        // Who was killed may not have been reaped yet by whoever inherited it.
        while let Some(process) = marked(&self.mark) {
            assert!(begin.elapsed() < Duration::from_secs(5), "still runs: {process}");
            thread::yield_now();
        }
        let left: Vec<_> =
            fs::read_dir(self.directory.join("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// Waits until so many processes run that a test has started here, and those that these have started.
    pub(crate) fn wait_for_processes(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        while processes(&self.mark).len() < count {
            assert!(Instant::now() < until, "not {count} processes: {:?}", processes(&self.mark));
            thread::yield_now();
        }
    }
}

impl Drop for Place {
    /// A test that failed leaves nobody behind either.
    fn drop(&mut self) {
        for process in processes(&self.mark) {
            signal(process, Signal::KILL);
        }
    }
}

/// The processes with this mark that still live.
fn processes(mark: &str) -> Vec<i32> {
    let marked = format!("{MARK}={mark}\0");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // The environment of one that has ended is empty.
    let is_ours = |number: &i32| {
        let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
        environment.windows(marked.len()).any(|part| part == marked.as_bytes())
    };
    numbers.filter(is_ours).collect()
}

fn marked(mark: &str) -> Option<String> {
    let number = *processes(mark).first()?;
    let words = fs::read(format!("/proc/{number}/cmdline")).ok()?;
    Some(format!("{number} {}", String::from_utf8_lossy(&words).replace('\0', " ")))
}

/// Signals a process that a test has started.
pub(crate) fn signal(process: i32, signal: Signal) {
    if let Some(process) = Pid::from_raw(process) {
        let _ = kill_process(process, signal);
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Option<Child>,
    heard: Receiver<(bool, String)>,
    out: String,
    err: String,
}

impl Running {
    /// The next line, on either output, that contains this.
    #[track_caller]
    pub(crate) fn line(&mut self, part: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((is_out, line)) => {
                    self.note(is_out, &line);
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with `{part}` ({error}): {}\n{}", self.out, self.err),
            }
        }
    }

    /// A line that contains this, if there is one already.
    pub(crate) fn seen(&mut self, part: &str) -> Option<String> {
        while let Ok((is_out, line)) = self.heard.try_recv() {
            self.note(is_out, &line);
            if line.contains(part) {
                return Some(line);
            }
        }
        None
    }

    fn note(&mut self, is_out: bool, line: &str) {
        let text = if is_out { &mut self.out } else { &mut self.err };
        text.push_str(line);
        text.push('\n');
    }

    /// The process of ditask itself.
    pub(crate) fn process(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.id() as i32)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Outcome {
        let until = Instant::now() + DEADLINE;
        // Both outputs end with the last process that holds them.
        loop {
            match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((is_out, line)) => self.note(is_out, &line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("not over in time: {}\n{}", self.out, self.err),
            }
        }
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.take().unwrap().wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Outcome { code, out: std::mem::take(&mut self.out), err: std::mem::take(&mut self.err) }
    }

    /// Ends it by this signal.
    #[track_caller]
    pub(crate) fn end_by(self, by: Signal) -> Outcome {
        signal(self.process(), by);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
