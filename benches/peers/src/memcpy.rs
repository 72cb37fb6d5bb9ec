//! Copies within one thread, into memory that is used in turns: no message can be faster than its copy.

use std::sync::{
    Mutex,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use crate::harness::{Bench, End, Listening, Messages, Result, Route, Subject, Wire};

/// Bytes that are copied into, about: as many as the slots of `shm-ring`.
const CAPACITY: usize = 4 << 20;

/// The channels of the receiver that is about to connect.
#[derive(Default)]
pub(crate) struct Memcpy(Mutex<Option<Channels>>);

type Channels = (SyncSender<u64>, Receiver<(u64, u64)>);

impl Subject for Memcpy {
    fn name(&self) -> &'static str {
        "memcpy"
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire == Wire::Memory && route.receivers == 1
    }

    fn enters(&self, bench: Bench) -> bool {
        bench == Bench::Throughput
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let (forth, receiver) = sync_channel(1);
        let (sender, back) = sync_channel(1);
        *self.0.lock().map_err(|_| "a receiver panicked")? = Some((sender, receiver));
        let slots = (CAPACITY / route.size).max(8);
        let memory = vec![0; slots * route.size];
        let messages = Messages::new(route.size);
        Ok((Box::new(Copies { forth, back, messages, memory, at: 0, copied: 0 }), vec![String::new()]))
    }

    fn connect(&self, _route: &Route, _address: &str, _index: usize) -> Result<Box<dyn End>> {
        let channels = self.0.lock().map_err(|_| "a sender panicked")?.take();
        let (sender, receiver) = channels.ok_or("connected before it listens")?;
        Ok(Box::new(Counts { sender, receiver, owed: 0, then: None }))
    }
}

/// The sender: it does all the work.
struct Copies {
    forth: SyncSender<(u64, u64)>,
    back: Receiver<u64>,
    messages: Messages,
    memory: Vec<u8>,
    /// Where the next copy goes.
    at: usize,
    copied: u64,
}

impl End for Copies {
    fn meet(&mut self) -> Result {
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        if let Some(slot) = self.memory.get_mut(self.at..self.at + message.len()) {
            slot.copy_from_slice(&message);
        }
        self.at = (self.at + message.len()) % self.memory.len();
        if mark == 0 {
            self.copied += 1;
            return Ok(());
        }
        Ok(self.forth.send((std::mem::take(&mut self.copied), mark))?)
    }

    fn receive(&mut self) -> Result<u64> {
        Ok(self.back.recv()?)
    }

    fn close(self: Box<Self>) {}
}

/// The receiver: it is told how many copies there were.
struct Counts {
    sender: SyncSender<u64>,
    receiver: Receiver<(u64, u64)>,
    owed: u64,
    then: Option<u64>,
}

impl End for Counts {
    fn meet(&mut self) -> Result {
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        Ok(self.sender.send(mark)?)
    }

    fn receive(&mut self) -> Result<u64> {
        loop {
            if self.owed > 0 {
                self.owed -= 1;
                return Ok(0);
            }
            if let Some(mark) = self.then.take() {
                return Ok(mark);
            }
            let (copied, mark) = self.receiver.recv()?;
            (self.owed, self.then) = (copied, Some(mark));
        }
    }

    fn close(self: Box<Self>) {}
}
