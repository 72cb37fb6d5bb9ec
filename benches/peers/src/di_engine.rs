//! DI-engine's own way: Python, a Bus0 socket of pynng, pickles. It loses what a socket has no room for.
//!
//! `di_engine.py` is an end; this hands it numbers of messages, so that each message is Python's work alone.

use std::{
    collections::VecDeque,
    env,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use crate::{
    harness::{Bench, End, Listening, Result, Route, Subject, Wire},
    sockets::{Directory, free_port},
};

pub(crate) struct DiEngine;

const PROGRAM: &str = include_str!("di_engine.py");

/// How many of a receiver's lines may wait.
const LINES: usize = 64;

/// What Python says when it has done what a line told it.
const SENT: &str = "sent";

/// How long it may take to do that.
const SEND_WITHIN: Duration = Duration::from_secs(20);

/// How long a receiver that is waited for without a limit waits at a time.
const WAIT: Duration = Duration::from_secs(1);

impl Subject for DiEngine {
    fn name(&self) -> &'static str {
        "di-engine-nng"
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire.is_socket()
    }

    /// Not a round trip, to which the way from here to Python and back would be added.
    fn enters(&self, bench: Bench) -> bool {
        bench != Bench::Latency
    }

    fn may_lose(&self) -> bool {
        true
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let directory = Directory::new()?;
        let address = address(route, &directory)?;
        let end = Python::start(route, directory, [&address, "-", "forth", "back"])?;
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, attach_to: &str, _index: usize) -> Result<Box<dyn End>> {
        let directory = Directory::new()?;
        let address = address(route, &directory)?;
        Ok(Box::new(Python::start(route, directory, [&address, attach_to, "back", "forth"])?))
    }
}

fn address(route: &Route, directory: &Directory) -> Result<String> {
    Ok(match route.wire {
        Wire::Ipc => format!("ipc://{}", directory.path("socket")?),
        _ => format!("tcp://127.0.0.1:{}", free_port()?),
    })
}

/// The environment in the target folder, where there is one.
pub(crate) fn interpreter() -> PathBuf {
    let target = env::current_exe().ok().and_then(|file| Some(file.parent()?.parent()?.to_owned()));
    let own = target.map(|target| target.join("venv/bin/python"));
    own.filter(|file| file.exists()).unwrap_or_else(|| "python3".into())
}

struct Python {
    child: Child,
    lines: Receiver<String>,
    /// Messages with mark 0 that wait for one with another mark.
    count: u64,
    /// Commands that are not flushed yet.
    commands: Vec<u8>,
    /// What has arrived: so many messages with mark 0, and then the mark.
    arrived: VecDeque<(u64, u64)>,
    _directory: Directory,
}

impl Python {
    fn start(
        route: &Route,
        directory: Directory,
        [listen_to, attach_to, publish, subscribe]: [&str; 4],
    ) -> Result<Self> {
        let size = route.size.to_string();
        let mut command = Command::new(interpreter());
        command.args(["-c", PROGRAM, listen_to, attach_to, &size, publish, subscribe]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let (sender, lines) = sync_channel(LINES);
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let ready =
            lines.recv().map_err(|_| "python with `pynng` is not installed; see benches/README.md")?;
        if ready != "ready" {
            return Err(format!("python says `{ready}`").into());
        }
        let (commands, arrived) = (Vec::new(), VecDeque::new());
        Ok(Self { child, lines, count: 0, commands, arrived, _directory: directory })
    }
}

impl Python {
    /// Takes the next line, if there is one before the time is over: whether it says that something was sent.
    fn line(&mut self, limit: Duration) -> Result<Option<bool>> {
        let line = match self.lines.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err("python has ended".into()),
            Ok(line) => line,
        };
        if line == SENT {
            return Ok(Some(true));
        }
        let (count, mark) = line.split_once(' ').ok_or("python says something else")?;
        self.arrived.push_back((count.parse()?, mark.parse()?));
        Ok(Some(false))
    }
}

impl End for Python {
    fn meet(&mut self) -> Result {
        // `dial` has waited for the connection, and DI-engine waits no longer either.
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        if mark == 0 && self.count < u64::MAX {
            self.count += 1;
            return Ok(());
        }
        writeln!(self.commands, "{} {mark}", std::mem::take(&mut self.count))?;
        Ok(())
    }

    fn flush(&mut self) -> Result {
        let input = self.child.stdin.as_mut().ok_or("no standard input")?;
        input.write_all(&self.commands)?;
        input.flush()?;
        // Python sends for a while.
        for _ in 0..self.commands.iter().filter(|byte| **byte == b'\n').count() {
            while !self.line(SEND_WITHIN)?.ok_or("python does not send")? {}
        }
        self.commands.clear();
        Ok(())
    }

    fn receive(&mut self) -> Result<u64> {
        loop {
            if let Some(mark) = self.receive_within(WAIT)? {
                return Ok(mark);
            }
        }
    }

    fn receive_within(&mut self, limit: Duration) -> Result<Option<u64>> {
        if let Some((count, mark)) = self.arrived.front_mut() {
            if *count > 0 {
                *count -= 1;
                return Ok(Some(0));
            }
            let mark = *mark;
            self.arrived.pop_front();
            return Ok(Some(mark));
        }
        if self.line(limit)?.is_none() {
            return Ok(None);
        }
        self.receive_within(limit)
    }

    fn close(self: Box<Self>) {}
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Else it is a zombie until this process ends.
        let _ = self.child.wait();
    }
}
