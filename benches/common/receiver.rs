//! The receiving end: a process of its own, or a thread where the wire does not leave the process.

use std::{
    env, io,
    process::{Child, Command, Stdio, exit},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    End, Result, Route, Subject, Wire,
    message::{Answer, ECHO, END, HELLO, KIND, KIND_BITS, LAST},
};

/// The first argument of a process that is a receiver.
const ROLE: &str = "receiver";

/// How long a receiver may take to end after it was told to.
const END_WITHIN: Duration = Duration::from_secs(5);

/// The sender's hold on a receiver. A receiver that is a process ends with the sender's, whatever happens to
/// that.
#[derive(Debug)]
pub(crate) enum Receiver {
    /// It holds the writing end of a pipe to the process, which ends when that is closed.
    Process(Child),
    Thread(JoinHandle<Result>),
}

impl Receiver {
    pub(crate) fn start(
        subject: &Arc<dyn Subject>,
        route: &Route,
        address: &str,
        index: usize,
    ) -> Result<Self> {
        if route.wire == Wire::Memory {
            let (subject, route, address) = (subject.clone(), *route, address.to_owned());
            let code = move || serve(&mut *subject.connect(&route, &address, index)?, index);
            return Ok(Self::Thread(thread::Builder::new().name(ROLE.to_owned()).spawn(code)?));
        }
        let mut command = Command::new(env::current_exe()?);
        command.args([ROLE, subject.name(), &route.wire.to_string(), &route.size.to_string(), address]);
        command.arg(index.to_string());
        Ok(Self::Process(command.stdin(Stdio::piped()).spawn()?))
    }

    /// Waits until it has ended, and ends it if it does not. That is a failure, unless the message which
    /// told it to end `may_be_lost`.
    pub(crate) fn finish(self, may_be_lost: bool) -> Result {
        match self {
            Self::Thread(thread) => thread.join().map_err(|_| "a receiver panicked")?,
            Self::Process(mut child) => {
                let deadline = Instant::now() + if may_be_lost { END_WITHIN / 10 } else { END_WITHIN };
                while child.try_wait()?.is_none() {
                    if Instant::now() > deadline {
                        child.kill()?;
                        child.wait()?;
                        return if may_be_lost { Ok(()) } else { Err("a receiver did not end".into()) };
                    }
                    thread::sleep(Duration::from_millis(2));
                }
                Ok(())
            }
        }
    }
}

/// Whether this process is a receiver, by its arguments; if so, it has been one, and this is how it ended.
pub(crate) fn is_one(arguments: &[String], subjects: &[Arc<dyn Subject>]) -> Option<Result> {
    match arguments {
        [role, name, wire, size, address, index] if role == ROLE => {
            Some(run(subjects, name, wire, size, address, index))
        }
        _ => None,
    }
}

fn run(
    subjects: &[Arc<dyn Subject>],
    name: &str,
    wire: &str,
    size: &str,
    address: &str,
    index: &str,
) -> Result {
    thread::spawn(|| {
        // Nothing is ever written: this is the end of the sender's process.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        exit(1)
    });
    let route = Route { wire: Wire::parse(wire)?, size: size.parse()?, receivers: 1 };
    let mut named = subjects.iter().filter(|subject| subject.name() == name);
    let subject = named.find(|subject| subject.carries(&route)).ok_or("no such subject")?;
    let index = index.parse()?;
    let mut end = subject.connect(&route, address, index)?;
    serve(&mut *end, index)?;
    end.close();
    Ok(())
}

/// Does what the messages say.
fn serve(end: &mut dyn End, index: usize) -> Result {
    end.meet()?;
    end.send(HELLO)?;
    end.flush()?;
    let index = u8::try_from(index)?;
    let mut count = 0;
    let mut answer = None;
    loop {
        let mark = end.receive()?;
        match mark & KIND {
            ECHO => {
                end.send(ECHO)?;
                end.flush()?;
            }
            LAST => {
                let round = (mark >> KIND_BITS) as u16;
                // Asked again, because the answer or what asked for it was lost: say the same again.
                let said = match answer {
                    Some(Answer { round: answered, .. }) if answered == round => answer,
                    _ => Some(Answer { index, round, count }),
                };
                answer = said;
                end.send(said.map_or(0, Answer::to_mark))?;
                end.flush()?;
                count = 0;
            }
            END => return Ok(()),
            _ => count += 1,
        }
    }
}
