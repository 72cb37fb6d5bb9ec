//! Programs that join with nothing but a ZeroMQ library: they subscribe at one endpoint and publish to another.

use std::{
    sync::{Arc, Weak},
    task::{Context, Waker},
};

use tidings_router_core::{Error, Router, runtime};
use tokio::sync::mpsc;

use crate::{
    accepted::{last_endpoint, remove_file},
    dialled::received,
    engine::Engine,
    hearing::Hearing,
    message::Said,
    options::SocketOptions,
    stage::Stage,
};

/// How many messages of guests wait between our thread and the router.
const WAITING: usize = 256;

/// How many messages are taken in before other sockets have their turn.
const TURN: usize = 256;

/// How many different subscriptions all guests have together, at most; more are ignored and counted.
const SUBSCRIPTIONS: usize = 65_536;

/// The largest part of a guest's message, in bytes: what a router takes by default. ZeroMQ cuts off who sends more.
const MESSAGE: i64 = 64 << 20;

/// How often a pair of neighbouring free ports is looked for.
const TRIES: usize = 64;

/// Where guests connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doors {
    /// A guest's SUB socket connects here.
    pub hear: String,
    /// A guest's PUB socket connects here.
    pub say: String,
}

/// The sockets of guests.
pub(crate) struct Guests {
    pub(crate) hear: Stage,
    /// SUB: what guests say.
    pub(crate) say: zmq::Socket,
    pub(crate) doors: Doors,
    engine: Arc<Engine>,
    router: Option<Weak<dyn Router>>,
    hearing: Hearing,
    /// Rings when a listener has something.
    waker: Waker,
    /// What guests have said, once there is somebody to say it to.
    said: Option<mpsc::Sender<Said>>,
}

impl Guests {
    /// Binds both sockets: where guests speak is next to where they hear.
    pub(crate) fn bind(
        context: &zmq::Context,
        options: &SocketOptions,
        endpoint: &str,
        queue: i32,
        engine: &Arc<Engine>,
    ) -> zmq::Result<Self> {
        let mut tries = 0;
        let (hear, say) = loop {
            let hear = options.guests(context, zmq::XPUB, endpoint, queue, MESSAGE)?;
            hear.bind(endpoint)?;
            let say = options.guests(context, zmq::SUB, endpoint, queue, MESSAGE)?;
            say.set_subscribe(b"")?;
            tries += 1;
            match next_door(&last_endpoint(&hear)?).ok_or(zmq::Error::EINVAL).and_then(|next| say.bind(&next))
            {
                Ok(()) => break (hear, say),
                // The port was the system's choice, and the next one is taken.
                Err(zmq::Error::EADDRINUSE | zmq::Error::EINVAL)
                    if endpoint.ends_with(":0") && tries < TRIES => {}
                Err(error) => return Err(error),
            }
        };
        let doors = Doors { hear: last_endpoint(&hear)?, say: last_endpoint(&say)? };
        Ok(Self {
            hear: Stage::new(hear),
            say,
            doors,
            engine: engine.clone(),
            router: None,
            hearing: Hearing::default(),
            waker: Waker::from(engine.clone()),
            said: None,
        })
    }

    /// From now on guests hear this node, and it hears them.
    pub(crate) fn introduce(&mut self, router: Weak<dyn Router>) {
        let (said, to_say) = mpsc::channel(WAITING);
        runtime::io().spawn(emit(to_say, router.clone(), self.engine.clone()));
        self.said = Some(said);
        self.router = Some(router);
        self.receive_subscriptions();
    }

    /// Whether what guests say can be taken in now.
    pub(crate) fn has_room(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.capacity() > 0)
    }

    /// Whether what guests subscribe to can be listened for yet.
    pub(crate) fn is_introduced(&self) -> bool {
        self.router.is_some()
    }

    /// Takes in what guests subscribe to.
    pub(crate) fn receive_subscriptions(&mut self) {
        for _ in 0..TURN {
            let Ok(Some(message)) = received(|| self.hear.socket.recv_multipart(zmq::DONTWAIT)) else {
                return;
            };
            match message.first().and_then(|part| part.split_first()) {
                Some((1, start)) => self.subscribe(start),
                Some((0, start)) => self.unsubscribe(start),
                // Only an XSUB socket could say so, and this is not where to say something.
                _ => self.engine.count_foreign(1),
            }
        }
    }

    fn subscribe(&mut self, start: &[u8]) {
        // Nothing that is emitted begins so.
        let Ok(start) = std::str::from_utf8(start) else { return };
        if start.contains(['*', '?']) {
            return;
        }
        if self.hearing.len() >= SUBSCRIPTIONS {
            return self.engine.count_foreign(1);
        }
        let Some(router) = self.router.as_ref().and_then(Weak::upgrade) else { return };
        let mut hand_on = |envelope| self.hear.publish(&envelope);
        if let Err(error) = self.hearing.subscribe(start, &*router, &mut hand_on) {
            // Longer than any name, or the router is closed: nothing comes.
            tracing::debug!(%error, "a guest hears nothing");
        }
    }

    fn unsubscribe(&mut self, start: &[u8]) {
        if let Ok(start) = std::str::from_utf8(start) {
            self.hearing.unsubscribe(start);
        }
    }

    /// Hands on what the router has brought.
    pub(crate) fn publish(&mut self) {
        let mut cx = Context::from_waker(&self.waker);
        if self.hearing.poll(&mut cx, &mut |envelope| self.hear.publish(&envelope)) {
            self.engine.ring();
        }
    }

    /// Takes in what guests say, as long as there is room.
    pub(crate) fn receive_said(&mut self) {
        let Some(said) = &self.said else { return };
        for _ in 0..TURN {
            let Ok(room) = said.try_reserve() else { return };
            let Ok(Some(parts)) = received(|| self.say.recv_multipart(zmq::DONTWAIT)) else { return };
            match Said::decode(parts) {
                Some(said) => room.send(said),
                None => self.engine.count_foreign(1),
            }
        }
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        [&self.doors.hear, &self.doors.say].into_iter().for_each(|door| remove_file(door));
    }
}

/// Where guests speak: the next port, or the path with `.say` behind it.
pub(crate) fn next_door(hear: &str) -> Option<String> {
    if hear.starts_with("ipc://") {
        return Some(format!("{hear}.say"));
    }
    let (host, port) = hear.rsplit_once(':')?;
    Some(format!("{host}:{}", port.parse::<u16>().ok()?.checked_add(1)?))
}

/// Emits what guests say, in their order.
async fn emit(mut said: mpsc::Receiver<Said>, router: Weak<dyn Router>, engine: Arc<Engine>) {
    while let Some(Said { event, payload }) = said.recv().await {
        let Some(router) = router.upgrade() else { return };
        match router.emit(&event, payload).await {
            Ok(()) => {}
            Err(Error::Closed) => return,
            Err(error) => {
                tracing::debug!(%error, "a guest's message cannot be emitted");
                engine.count_foreign(1);
            }
        }
        // Our thread may wait for room.
        engine.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_speak_next_to_where_they_hear() {
        assert_eq!(next_door("tcp://127.0.0.1:7000").as_deref(), Some("tcp://127.0.0.1:7001"));
        assert_eq!(next_door("tcp://[::1]:7000").as_deref(), Some("tcp://[::1]:7001"));
        assert_eq!(next_door("ipc:///run/x").as_deref(), Some("ipc:///run/x.say"));
        assert_eq!(next_door("tcp://127.0.0.1:65535"), None);
    }
}
