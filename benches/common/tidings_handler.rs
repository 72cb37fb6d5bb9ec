//! Tidings with handlers at both ends: the answer is emitted where the question is heard, and so is the next question.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tidings::{
    Bytes, Event, RouterBuilder, Task,
    prelude::{Ipc, Router},
};

use super::{
    Bench, End, Listening, Messages, Result, Route, Subject, Wire, mark_of,
    message::{ECHO, KIND},
    session::Limit,
    tidings::{BACK, FORTH, MEET_WITHIN, builder},
};

/// How many messages that are no questions may wait to be looked at.
const WAITING: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handlers {
    /// Both ends sleep until there is something to read.
    Woken,
    /// Both ends look again and again.
    BusyPoll,
}

impl Handlers {
    fn builder(self, wire: Wire) -> RouterBuilder {
        match self {
            Self::Woken => builder(wire),
            Self::BusyPoll => Router::builder().transport(Ipc::new().busy_poll(true)),
        }
    }
}

impl Subject for Handlers {
    fn name(&self) -> &'static str {
        match self {
            Self::Woken => "tidings-handler",
            Self::BusyPoll => "tidings-busy-poll",
        }
    }

    fn carries(&self, route: &Route) -> bool {
        match self {
            Self::Woken => route.wire.is_socket(),
            Self::BusyPoll => route.wire == Wire::Ipc,
        }
    }

    fn enters(&self, bench: Bench) -> bool {
        bench == Bench::Latency
    }

    fn must_deliver(&self) -> bool {
        true
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        let router = self.builder(route.wire).node_id(0).open().wait()?;
        let address = router.addresses().first().ok_or("the router listens nowhere")?.to_string();
        let end = Asking::new(router, route);
        Ok((Box::new(end), vec![address; route.receivers]))
    }

    fn connect(&self, route: &Route, address: &str, index: usize) -> Result<Box<dyn End>> {
        let id = u32::try_from(index + 1)?;
        let router = self.builder(route.wire).node_id(id).attach_to([address]).open().wait()?;
        Ok(Box::new(Asking::answering(router, route)))
    }
}

/// One end: what is no question and no answer goes to the thread of the harness.
struct Asking {
    task: Task,
    event: &'static str,
    others: usize,
    messages: Messages,
    rest: mpsc::Receiver<Bytes>,
    asked: Option<mpsc::SyncSender<Round>>,
}

/// Round trips to be made by the handler alone.
struct Round {
    limit: Limit,
    begin: Instant,
    asked: Instant,
    took: Vec<Duration>,
    done: mpsc::SyncSender<Vec<Duration>>,
}

impl Asking {
    fn new(router: Arc<Router>, route: &Route) -> Self {
        let task = Task::builder().router(router).build();
        let (emitter, messages) = (task.handle(), Messages::new(route.size));
        let (send, rest) = mpsc::sync_channel(WAITING);
        let (asked, rounds) = mpsc::sync_channel::<Round>(1);
        let mut round: Option<Round> = None;
        task.on(BACK, move |answer: Event<Bytes>| -> Result {
            if round.is_none() {
                round = rounds.try_recv().ok();
            }
            let Some(current) = &mut round else { return Ok(send.send(answer.payload)?) };
            current.took.push(current.asked.elapsed());
            if current.limit.is_reached(current.took.len(), current.begin) {
                let over = round.take().ok_or("there is a round")?;
                return Ok(over.done.send(over.took)?);
            }
            current.asked = Instant::now();
            Ok(emitter.emit(FORTH, messages.get(ECHO)).try_now()?)
        });
        let messages = Messages::new(route.size);
        Self { task, event: FORTH, others: route.receivers, messages, rest, asked: Some(asked) }
    }

    fn answering(router: Arc<Router>, route: &Route) -> Self {
        let task = Task::builder().router(router).build();
        let (emitter, messages) = (task.handle(), Messages::new(route.size));
        let (send, rest) = mpsc::sync_channel(WAITING);
        task.on(FORTH, move |question: Event<Bytes>| -> Result {
            match mark_of(&question.payload)? & KIND {
                ECHO => Ok(emitter.emit(BACK, messages.get(ECHO)).try_now()?),
                _ => Ok(send.send(question.payload)?),
            }
        });
        Self { task, event: BACK, others: 1, messages: Messages::new(route.size), rest, asked: None }
    }
}

impl End for Asking {
    fn meet(&mut self) -> Result {
        let router = self.task.router();
        Ok(router.wait_for_listeners(self.event, self.others).timeout(MEET_WITHIN).wait()?)
    }

    fn send(&mut self, mark: u64) -> Result {
        Ok(self.task.emit(self.event, self.messages.get(mark)).wait()?)
    }

    fn receive(&mut self) -> Result<u64> {
        mark_of(&self.rest.recv()?)
    }

    fn round_trips(&mut self, limit: Limit) -> Result<Option<Vec<Duration>>> {
        let (done, over) = mpsc::sync_channel(1);
        let begin = Instant::now();
        let round = Round { limit, begin, asked: begin, took: Vec::new(), done };
        self.asked.as_ref().ok_or("only the sender asks")?.send(round)?;
        self.send(ECHO)?;
        Ok(Some(over.recv()?))
    }

    fn close(self: Box<Self>) {
        self.task.router().shutdown(Duration::from_secs(1)).wait();
    }
}
