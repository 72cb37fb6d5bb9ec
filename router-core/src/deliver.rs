//! Messages that come from a link: to listeners here, on to other leaves if this is a hub.

mod beside;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use bytes::{Buf, Bytes};

use crate::{
    DropReason, Link, NodeId,
    credit::Credit,
    exchange::Exchange,
    outbox::Outgoing,
    pace,
    protocol::{LinkEnd, LinkId},
    routes::{Lent, Route},
    run::Run,
    session::Session,
    wire::{MAX_HANDSHAKE, WireError, control::Control, data::DataHeader, frame, kind},
};

/// How many bytes of messages are given back to their sender's window together: few enough that a slow listener is seen
/// to go on, many enough to cost nothing.
const CREDIT: u64 = 16 * 1024;

/// What has been read from a link and not handed on: the start of a frame.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) link: LinkId,
    /// The session that the link carries, once it does.
    pub(crate) session: Option<Arc<Session>>,
    /// The link itself, which brings payloads also beside its bytes.
    pub(crate) carrier: Option<Arc<dyn Link>>,
}

impl Exchange {
    /// Hands on all whole frames in `buffer`. Returns how many bytes the next frame lacks, 0 if that is not known; of
    /// a handshake it takes one frame at a time, and asks to be called again by returning `None`.
    pub(crate) fn ingest(
        self: &Arc<Self>,
        inbox: &Inbox,
        buffer: &mut Bytes,
        now: Instant,
    ) -> Result<Option<usize>, LinkEnd> {
        let Some(session) = &inbox.session else {
            let Some((length, _)) = peek(buffer, MAX_HANDSHAKE)? else { return Ok(Some(0)) };
            if buffer.len() < length {
                return Ok(Some(length - buffer.len()));
            }
            let frame = buffer.split_to(length);
            self.tell(now, |machine| machine.handshake(now, inbox.link, &frame));
            return Ok(None);
        };
        session.hear(now);
        loop {
            let (extent, messages, next) = data_extent(buffer, self.config.limits.max_frame)?;
            if messages > 0 {
                self.deliver(session, inbox.link, buffer.split_to(extent), messages, now)?;
            }
            match next {
                Some((length, _)) if buffer.len() < length => return Ok(Some(length - buffer.len())),
                Some((length, kind::BESIDE)) => {
                    self.deliver_beside(inbox, session, &buffer.split_to(length), now)?;
                }
                Some((length, _)) => self.control(session, inbox.link, &buffer.split_to(length), now)?,
                None => return Ok(Some(0)),
            }
        }
    }

    /// A frame that is no message came on the link of a session.
    fn control(
        self: &Arc<Self>,
        session: &Arc<Session>,
        link: LinkId,
        frame: &[u8],
        now: Instant,
    ) -> Result<(), LinkEnd> {
        match Control::decode(frame).map_err(LinkEnd::Protocol)? {
            Control::Gap { source, count, reason } => {
                let Some(receiving) = session.receiving(link) else { return Ok(()) };
                session.miss(count);
                drop(receiving);
                tracing::debug!(%source, count, ?reason, "messages were lost on their way here");
                self.lost(session, source, count);
            }
            Control::Loss { source, count } => self.lost(session, source, count),
            // The most frequent one, and the machine has nothing to decide.
            Control::Ack(received) if session.outbox.is_open(link) => session.outbox.confirm(received),
            control => self.tell(now, |machine| machine.control(now, link, session, control)),
        }
        Ok(())
    }

    /// Messages were lost on their way here; if this is a hub, perhaps others would have got them too.
    fn lost(&self, session: &Arc<Session>, source: NodeId, count: u64) {
        self.report_lost(source, count);
        if self.config.topology.forwards(self.node_id) {
            let others: Vec<_> = self.ask(|machine| machine.sessions().cloned().collect());
            for other in others.iter().filter(|other| !Arc::ptr_eq(other, session)) {
                other.outbox.control(&Control::Loss { source, count });
            }
        }
    }

    /// Hands on a block of whole messages.
    fn deliver(
        self: &Arc<Self>,
        session: &Arc<Session>,
        link: LinkId,
        block: Bytes,
        messages: u64,
        now: Instant,
    ) -> Result<(), LinkEnd> {
        // A link that another one has taken over from brings nothing any more: it will be sent again.
        let Some(_receiving) = session.receiving(link) else { return Ok(()) };
        session.arrive(messages, block.len() as u64);
        let mut credit = session.credit();
        let mut rest = block;
        while let Some((first, _)) = frame::split_first(&rest) {
            let (header, event) = DataHeader::decode(first).map_err(LinkEnd::Protocol)?;
            self.check_source(session, header.source)?;
            if credit.bytes() >= CREDIT {
                credit = session.credit();
            }
            let (length, messages) = DataHeader::alike(&rest, (CREDIT - credit.bytes()) as usize);
            credit.add(length as u64);
            let frames = rest.slice(..length);
            let route = self.route(event)?;
            let run = Run::frames(route.name.clone(), header, frames.clone(), messages);
            let onward = || Outgoing::Block(frames.clone(), messages);
            self.deliver_run(session, &route, (header, run), onward, &credit, now);
            rest.advance(length);
        }
        Ok(())
    }

    /// Refuses a message that its sender cannot have: only a hub brings what others have emitted.
    fn check_source(&self, session: &Session, source: NodeId) -> Result<(), LinkEnd> {
        let by_hub = self.config.topology.forwards(session.peer.node_id) && source != self.node_id;
        if source == session.peer.node_id || by_hub {
            return Ok(());
        }
        Err(LinkEnd::Protocol(WireError::Value { kind: kind::DATA, what: "a source that is not the sender" }))
    }

    /// Who gets an event that a link has brought.
    fn route(&self, event: &str) -> Result<Lent, LinkEnd> {
        let invalid = |_| LinkEnd::Protocol(WireError::Value { kind: kind::DATA, what: "an event name" });
        self.routes.of(event).map_err(invalid)
    }

    /// Hands on messages that have all the same header but for their length; as what `onward` makes of them to other
    /// leaves, if this is a hub.
    fn deliver_run(
        self: &Arc<Self>,
        session: &Arc<Session>,
        route: &Route,
        (header, run): (DataHeader, Run),
        onward: impl Fn() -> Outgoing,
        credit: &Arc<Credit>,
        now: Instant,
    ) {
        let here = header.destination.is_none_or(|node| node == self.node_id);
        if self.config.topology.forwards(self.node_id) {
            pace::emit();
            let others = others(route, session, header.destination);
            others.for_each(|peer| peer.outbox.push(onward(), Some(credit)));
        }
        let taken = if here { self.hand(route, 0, &run, Some(credit)) } else { Taken::All };
        if here && (self.holding.load(Relaxed) || taken != Taken::All) {
            self.keep(run, route.version, taken, now);
        }
    }

    /// Hands messages to the listeners of a route that listen since `since` or later.
    fn hand(&self, route: &Route, since: u64, run: &Run, credit: Option<&Arc<Credit>>) -> Taken {
        let mut taken = Taken::None;
        for listener in route.listeners.iter().filter(|listener| listener.since > since) {
            let pushed = listener.push(run.clone(), credit);
            if !listener.once {
                taken = Taken::All;
            } else if pushed.taken > 0 {
                taken = taken.max(Taken::First);
            }
            self.handed(listener, run.source(), pushed);
        }
        taken
    }

    /// Keeps messages of the first moment for listeners to come. Those that came between the look at the route and
    /// now get them at once.
    fn keep(&self, run: Run, version: u64, mut taken: Taken, now: Instant) {
        let mut hold = self.lock_hold();
        if !self.routes.is_current(version) {
            let route = self.routes.find(run.event());
            taken = taken.max(self.hand(&route, version, &run, None));
        }
        let limits = &self.config.limits;
        let active = hold.is_active();
        let mut unclaimed = 0;
        for (index, envelope) in run.enumerate() {
            let claimed = taken == Taken::All || (taken == Taken::First && index == 0);
            if !active {
                unclaimed += u64::from(!claimed);
            } else if !hold.keep(envelope, claimed, now + limits.hold, limits.hold_bytes) {
                unclaimed += 1;
            }
        }
        drop(hold);
        self.count_drop(DropReason::Unclaimed, unclaimed);
    }
}

/// Whom the hub of a star hands on what a leaf has sent to one node, or to all that want it.
fn others<'a>(
    route: &'a Route,
    from: &Session,
    destination: Option<NodeId>,
) -> impl Iterator<Item = &'a Arc<Session>> + Clone {
    let from = from.peer.node_id;
    route.onward().iter().filter(move |peer| {
        let node = peer.peer.node_id;
        node != from && destination.is_none_or(|to| to == node)
    })
}

/// Who of those that listen for good, or for one message, has taken the messages of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Taken {
    None,
    First,
    All,
}

/// The length and the kind of a frame.
type Head = (usize, u8);

fn peek(buffer: &[u8], limit: usize) -> Result<Option<Head>, LinkEnd> {
    frame::peek(buffer, limit).map_err(LinkEnd::Protocol)
}

/// How many bytes and messages of whole messages stand at the start, and the frame behind them.
fn data_extent(buffer: &[u8], limit: usize) -> Result<(usize, u64, Option<Head>), LinkEnd> {
    let (mut extent, mut messages) = (0, 0);
    loop {
        match peek(&buffer[extent..], limit)? {
            Some((length, kind::DATA)) if buffer.len() - extent >= length => {
                extent += length;
                messages += 1;
            }
            next => return Ok((extent, messages, next)),
        }
    }
}
