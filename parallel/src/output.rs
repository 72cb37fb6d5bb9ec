//! Passes what children write on, line by line: a line of one is never torn by a line of another.

use std::{
    io::{self, PipeReader, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::sync::mpsc;

use crate::launcher::Event;

/// The longest line that is passed on whole, in bytes; a longer one becomes several.
const MAX_LINE: usize = 64 * 1024;

/// Where the output of a child goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sink {
    Out,
    Err,
}

impl Sink {
    fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::Err => io::stderr().lock().write_all(bytes),
        }
    }
}

/// One output of one child, passed on by a thread of its own: a terminal that does not take anything blocks
/// the child in the end, and nothing else.
#[derive(Debug)]
pub(crate) struct Pump {
    busy: Arc<AtomicBool>,
}

impl Pump {
    /// Passes `source` on to `sink` until its end, then sends [`Event::Drained`].
    pub(crate) fn start(
        source: PipeReader,
        sink: Sink,
        prefix: String,
        events: mpsc::Sender<Event>,
    ) -> io::Result<Self> {
        let busy = Arc::new(AtomicBool::new(false));
        let writing = Arc::clone(&busy);
        thread::Builder::new().name("tidings-output".into()).stack_size(256 * 1024).spawn(move || {
            let mut broken = false;
            pass_on(source, prefix.as_bytes(), |lines| {
                writing.store(true, Ordering::Relaxed);
                // Read on even if nobody takes it: the child must not be blocked by that.
                broken = broken || sink.write(lines).is_err();
                writing.store(false, Ordering::Relaxed);
            });
            // The launcher is gone at the latest when the process is.
            let _ = events.blocking_send(Event::Drained);
        })?;
        Ok(Self { busy })
    }

    /// Whether it is writing something now.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }
}

/// Calls `write` with whole lines, `prefix` before each, until the end of `source`.
fn pass_on(mut source: impl Read, prefix: &[u8], mut write: impl FnMut(&[u8])) {
    let mut waiting = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let mut lines = Vec::new();
    loop {
        let count = match source.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let is_end = count == 0;
        waiting.extend_from_slice(&chunk[..count]);
        let whole = match waiting.iter().rposition(|byte| *byte == b'\n') {
            _ if is_end || waiting.len() >= MAX_LINE => waiting.len(),
            Some(last) => last + 1,
            None => 0,
        };
        if whole > 0 {
            lines.clear();
            for line in waiting[..whole].split_inclusive(|byte| *byte == b'\n') {
                lines.extend_from_slice(prefix);
                lines.extend_from_slice(line);
            }
            // The next line may be somebody else's.
            if lines.last() != Some(&b'\n') {
                lines.push(b'\n');
            }
            write(&lines);
            waiting.drain(..whole);
        }
        if is_end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(input: &[u8], prefix: &str) -> Vec<Vec<u8>> {
        let mut written = Vec::new();
        // One byte at a time, as the worst of pipes.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let some = buffer.len().min(1);
                self.0.read(&mut buffer[..some])
            }
        }
        pass_on(Slow(input), prefix.as_bytes(), |lines| written.push(lines.to_vec()));
        written
    }

    #[test]
    fn each_line_is_written_whole_with_its_prefix() {
        let expected = [b"[node 1] one\n".to_vec(), b"[node 1] two\n".to_vec()];
        assert_eq!(passed_on(b"one\ntwo", "[node 1] "), expected);
        assert!(passed_on(b"", "[node 1] ").is_empty());
    }

    #[test]
    fn a_line_without_end_is_passed_on_in_pieces() {
        let written = passed_on(&vec![b'x'; MAX_LINE + 1], "");
        assert_eq!(written.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LINE + 1, 2]);
    }
}
