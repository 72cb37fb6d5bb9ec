//! The thread that has all sockets of one node.

use std::{
    collections::BTreeMap,
    io,
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    accepted::Accepted,
    dialled::{Dialled, Goes, received},
    engine::{Bell, Command, Engine, LinkId},
    guests::Guests,
    leaving::Leaving,
    options::SocketOptions,
};

/// All sockets of one node.
pub(crate) struct Sockets {
    engine: Arc<Engine>,
    bell: Bell,
    options: SocketOptions,
    zap: Option<zmq::Socket>,
    accepted: Option<Accepted>,
    dialled: BTreeMap<LinkId, Dialled>,
    guests: Option<Guests>,
    /// Dropping it waits until what was handed over is sent, or has lingered for long enough.
    context: zmq::Context,
    /// Dropped last, when the endpoint is free.
    leaving: Option<Leaving>,
}

/// Where something has happened.
#[derive(Debug, Clone, Copy)]
enum Place {
    Bell,
    Zap,
    Listener,
    ListenerMonitor,
    Link(LinkId),
    LinkMonitor(LinkId),
    GuestsHear,
    GuestsSay,
}

impl Sockets {
    pub(crate) fn new(engine: Arc<Engine>, bell: Bell, options: SocketOptions) -> io::Result<Self> {
        let context = zmq::Context::new();
        let zap = options.curve.as_ref().map(|_| zap(&context)).transpose()?;
        Ok(Self {
            engine,
            bell,
            options,
            zap,
            accepted: None,
            dialled: BTreeMap::new(),
            guests: None,
            context,
            leaving: None,
        })
    }

    /// Serves them until the node is gone.
    pub(crate) fn run(mut self) {
        loop {
            let (commands, closed) = self.engine.take();
            commands.into_iter().for_each(|command| self.execute(command));
            if closed {
                return;
            }
            if let Some(accepted) = &mut self.accepted {
                accepted.look(Instant::now());
            }
            if let Some(guests) = &mut self.guests {
                guests.publish();
            }
            match self.wait() {
                Ok(places) => places.into_iter().for_each(|place| self.attend(place)),
                Err(error) => {
                    tracing::error!(%error, "cannot wait for ZeroMQ's sockets");
                    return;
                }
            }
        }
    }

    /// Waits until something happens, and says where.
    fn wait(&self) -> zmq::Result<Vec<Place>> {
        let next_look = self.accepted.as_ref().and_then(Accepted::next_look);
        let timeout = next_look.map_or(-1, |at| {
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            i64::try_from(left.as_millis()).unwrap_or(i64::MAX)
        });
        let bell = zmq::PollItem::from_fd(self.bell.socket().as_raw_fd(), zmq::POLLIN);
        let mut places = vec![Place::Bell];
        let mut items = vec![bell];
        for (place, socket) in self.places() {
            places.push(place);
            items.push(socket.as_poll_item(zmq::POLLIN));
        }
        match zmq::poll(&mut items, timeout) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let ready = places.iter().zip(&items).filter(|(_, item)| item.is_readable());
        Ok(ready.map(|(place, _)| *place).collect())
    }

    /// What to wait for. Packets before what is heard of connections, so that what came before an end is not lost.
    fn places(&self) -> impl Iterator<Item = (Place, &zmq::Socket)> {
        let accepted = self.accepted.iter().flat_map(|accepted| {
            [(Place::Listener, &accepted.socket), (Place::ListenerMonitor, accepted.monitor.socket())]
        });
        let dialled = self.dialled.iter().flat_map(|(id, dialled)| {
            [(Place::Link(*id), &dialled.socket), (Place::LinkMonitor(*id), dialled.monitor.socket())]
        });
        let hear = self.guests.iter().filter(|guests| guests.is_introduced());
        let say = self.guests.iter().filter(|guests| guests.has_room());
        let zap = self.zap.iter().map(|zap| (Place::Zap, zap));
        zap.chain(accepted)
            .chain(dialled)
            .chain(hear.map(|guests| (Place::GuestsHear, &guests.hear.socket)))
            .chain(say.map(|guests| (Place::GuestsSay, &guests.say)))
    }

    fn attend(&mut self, place: Place) {
        match place {
            Place::Bell => self.bell.heard(&self.engine),
            Place::Zap => self.authenticate(),
            Place::Listener => self.accepted.iter_mut().for_each(Accepted::receive),
            Place::ListenerMonitor => self.accepted.iter_mut().for_each(Accepted::hear),
            Place::Link(id) => self.on_link(id, Dialled::receive),
            Place::LinkMonitor(id) => self.on_link(id, Dialled::hear),
            Place::GuestsHear => self.guests.iter_mut().for_each(Guests::receive_subscriptions),
            Place::GuestsSay => self.guests.iter_mut().for_each(Guests::receive_said),
        }
    }

    fn on_link(&mut self, id: LinkId, act: impl FnOnce(&mut Dialled) -> Goes) {
        let goes = self.dialled.get_mut(&id).map_or(Goes::On, act);
        if goes == Goes::Wrong {
            self.engine.count_foreign(1);
        }
        if goes != Goes::On {
            self.dialled.remove(&id).into_iter().for_each(|dialled| dialled.hang_up(goes == Goes::Wrong));
        }
    }

    fn execute(&mut self, command: Command) {
        // Who does not wait for an answer any more closes what it asked for.
        match command {
            Command::Listen { endpoint, answer } => {
                let bound = Accepted::bind(&self.context, &self.options, &endpoint, &self.engine);
                let _ = answer.send(bound.map(|accepted| self.accepted.insert(accepted).endpoint.clone()));
            }
            Command::Admit { endpoint, queue, answer } => {
                let bound = Guests::bind(&self.context, &self.options, &endpoint, queue, &self.engine);
                let _ = answer.send(bound.map(|guests| self.guests.insert(guests).doors.clone()));
            }
            Command::Introduce(router) => {
                if let Some(guests) = &mut self.guests {
                    guests.introduce(router);
                }
            }
            Command::Dial { endpoint, link, line, answer } => {
                match Dialled::new(&self.context, &self.options, &endpoint, line, answer) {
                    Ok(dialled) => drop(self.dialled.insert(link, dialled)),
                    Err((error, answer)) => drop(answer.send(Err(error.into()))),
                }
            }
            Command::Send { link, packet } => self.send(link, packet),
            Command::HangUp { link, flush } => match self.dialled.remove(&link) {
                Some(dialled) => dialled.hang_up(flush),
                None => self.accepted.iter_mut().for_each(|accepted| accepted.hang_up(link)),
            },
            Command::Refuse => {
                self.engine.forget_links();
                if let Some(accepted) = &mut self.accepted {
                    self.leaving = Some(Leaving::from(&accepted.endpoint));
                    accepted.refuse();
                }
            }
        }
    }

    fn send(&mut self, link: LinkId, packet: Vec<u8>) {
        match self.accepted.as_mut().filter(|accepted| accepted.has(link)) {
            Some(accepted) => accepted.send(link, packet),
            None => self.on_link(link, |dialled| dialled.send(packet)),
        }
    }

    /// Tells libzmq whether who connects may.
    fn authenticate(&mut self) {
        let (Some(zap), Some(curve)) = (&self.zap, &self.options.curve) else { return };
        while let Ok(Some(question)) = received(|| zap.recv_multipart(zmq::DONTWAIT)) {
            let answer = curve.answer(&question).map(|answer| zap.send_multipart(answer, zmq::DONTWAIT));
            if let Some(Err(error)) = answer {
                tracing::warn!(%error, "cannot answer who may connect");
            }
        }
    }
}

/// Where libzmq asks who may connect, in this context alone.
fn zap(context: &zmq::Context) -> zmq::Result<zmq::Socket> {
    let zap = context.socket(zmq::REP)?;
    zap.set_linger(0)?;
    zap.bind("inproc://zeromq.zap.01")?;
    Ok(zap)
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // Also when the thread panics: nothing is taken any more, and who waits is told.
        self.engine.close();
        let (commands, _) = self.engine.take();
        drop(commands);
    }
}
