use std::{future::Future, pin::pin};

use super::*;
use crate::{Incarnation, NodeId, Shareable, Token};

const LARGE: usize = 64 << 10;

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Nodes on a broker that brings everything at once, node 0 with a link to each other one.
struct Bus {
    taps: Vec<Arc<Tap>>,
    /// Of node 0, and of the others.
    links: Vec<[Arc<dyn Link>; 2]>,
    /// Whom node 0's broadcasts reach.
    listeners: Vec<usize>,
    /// What it has broadcast.
    broadcasts: usize,
}

impl Bus {
    fn of(nodes: u32) -> Self {
        let mailbox = |id| Mailbox { node_id: NodeId(id), incarnation: Incarnation(u64::from(id)) };
        let tap = |id| Tap::new("memory", "demo", mailbox(id), Duration::from_secs(1));
        let taps: Vec<_> = (0..nodes).map(tap).collect();
        taps.iter().for_each(|tap| tap.up());
        let mut bus = Self { taps, links: Vec::new(), listeners: Vec::new(), broadcasts: 0 };
        for other in 1..nodes as usize {
            let link = bus.link_to(other);
            bus.links.push(link);
        }
        bus
    }

    /// One more link between node 0 and this one.
    fn link_to(&mut self, other: usize) -> [Arc<dyn Link>; 2] {
        let (here, _opened) = self.taps[0].begin(self.taps[other].mailbox()).unwrap();
        self.taps[0].say(here.key(), Kind::Open);
        self.settle();
        let cx = Context::from_waker(Waker::noop());
        let Poll::Ready(there) = self.taps[other].poll_link(&cx) else { panic!("no link came") };
        [here, there]
    }

    /// Brings everything where it is to go.
    fn settle(&mut self) {
        let mut is_quiet = false;
        while !std::mem::replace(&mut is_quiet, true) {
            for number in 0..self.taps.len() {
                let tap = self.taps[number].clone();
                while let Poll::Ready(request) = poll(tap.next_request()) {
                    is_quiet = false;
                    match request {
                        Request::Subscribe(whose) => {
                            assert_eq!(whose, self.taps[0].mailbox());
                            self.listeners.push(number);
                            tap.subscribed(whose);
                        }
                        Request::Unsubscribe(_) => self.listeners.retain(|listener| *listener != number),
                    }
                }
                while let Poll::Ready(packets) = poll(tap.outgoing().next(usize::MAX)) {
                    is_quiet = false;
                    packets.into_iter().for_each(|(to, packet)| self.bring(to, packet));
                }
            }
        }
    }

    fn bring(&mut self, to: Channel, packet: Bytes) {
        match to {
            Channel::Mailbox(to) => self.taps[to.node_id.0 as usize].arrived(packet),
            Channel::Broadcasts(_) => {
                self.broadcasts += 1;
                self.listeners.iter().for_each(|listener| self.taps[*listener].arrived(packet.clone()));
            }
        }
    }

    /// A payload for everyone else.
    fn share(&self, byte: u8) -> Shareable {
        self.share_with(byte, self.links.len())
    }

    /// The same for the first of them.
    fn share_with(&self, byte: u8, receivers: usize) -> Shareable {
        let receivers = self.taps[1..][..receivers].iter().map(|tap| tap.mailbox()).collect();
        let payload = Bytes::from(vec![byte; LARGE]);
        let broadcast = self.taps[0].share(&payload, &receivers);
        Shareable::new(payload, broadcast.into_iter().collect())
    }

    /// Everyone hears what node 0 broadcasts.
    fn introduce(&mut self) {
        let payload = self.share(0);
        for link in 0..self.links.len() {
            assert_eq!(self.lend(link, &payload), None, "nobody has been asked yet");
        }
        self.settle();
        assert_eq!(self.listeners.len(), self.links.len());
    }

    fn lend(&self, link: usize, payload: &Shareable) -> Option<Token> {
        self.links[link][0].lend(payload)
    }

    fn redeem(&self, link: usize, token: &Token) -> io::Result<Bytes> {
        self.links[link][1].redeem(token)
    }
}

#[test]
fn a_payload_for_several_is_published_once_and_redeemed_by_each() {
    let mut bus = Bus::of(4);
    bus.introduce();
    for byte in [1, 2] {
        let payload = bus.share(byte);
        let tokens = [0, 1, 2].map(|link| bus.lend(link, &payload).unwrap());
        bus.settle();
        for (link, token) in tokens.iter().enumerate() {
            assert_eq!(bus.redeem(link, token).unwrap(), *payload.bytes());
            assert!(bus.redeem(link, token).is_err(), "each only once");
            assert_eq!(bus.lend(link, &payload), None, "each only once");
        }
        assert_eq!(bus.broadcasts, usize::from(byte));
    }
}

#[test]
fn a_payload_that_most_of_those_who_hear_do_not_want_is_no_broadcast() {
    let mut bus = Bus::of(5);
    bus.introduce();
    for (receivers, is_one) in [(0, false), (1, false), (2, false), (3, true), (4, true)] {
        assert_eq!(bus.lend(0, &bus.share_with(1, receivers)).is_some(), is_one, "{receivers}");
    }
    let everyone = bus.taps[1..].iter().map(|tap| tap.mailbox()).collect();
    for len in [0, 100, AHEAD + 1] {
        assert!(bus.taps[0].share(&Bytes::from(vec![0; len]), &everyone).is_none(), "{len} bytes");
    }
}

#[test]
fn who_does_not_want_many_broadcasts_is_sent_no_more_of_them() {
    let mut bus = Bus::of(4);
    bus.introduce();
    let payload = bus.share(1);
    let token = bus.lend(2, &payload).unwrap();
    bus.settle();
    bus.redeem(2, &token).unwrap();
    drop(payload);
    let count = AHEAD / LARGE + 1;
    for _ in 0..count {
        assert_eq!(bus.listeners, [1, 2, 3]);
        let payload = bus.share_with(1, 2);
        let tokens = [0, 1].map(|link| bus.lend(link, &payload).unwrap());
        drop(payload);
        bus.settle();
        tokens.iter().enumerate().for_each(|(link, token)| drop(bus.redeem(link, token).unwrap()));
    }
    assert_eq!((bus.broadcasts, &bus.listeners[..]), (1 + count, &[1, 2][..]));
    // It is asked again as soon as there is something for it.
    bus.lend(2, &bus.share(1));
    bus.settle();
    assert_eq!(bus.listeners, [1, 2, 3]);
    // What the link carries waits for no broadcast from before.
    bus.links[2][0].try_write(&[io::IoSlice::new(b"bytes")]).unwrap();
    bus.settle();
    assert_eq!(bus.links[2][1].try_read(&mut Vec::with_capacity(10)).unwrap(), 5);
    assert!(bus.lend(2, &bus.share(1)).is_some());
}

#[test]
fn of_two_links_to_one_node_the_one_that_refers_to_a_broadcast_redeems_it() {
    let mut bus = Bus::of(3);
    bus.introduce();
    let second = bus.link_to(1);
    bus.links.push(second);
    // The same node by another link; what is offered on the first one stays there.
    bus.lend(2, &bus.share_with(0, 2));
    bus.settle();
    let payload = bus.share_with(1, 2);
    let tokens = [0, 1, 2].map(|link| bus.lend(link, &payload).unwrap());
    bus.settle();
    for (link, token) in tokens.iter().enumerate() {
        assert_eq!(bus.redeem(link, token).unwrap(), *payload.bytes());
    }
    bus.links[2].iter().for_each(|end| end.close());
    bus.settle();
    assert_eq!(bus.listeners, [1, 2], "the first link needs it still");
}

#[test]
fn what_came_before_it_was_said_that_it_arrives_is_not_kept() {
    let mut bus = Bus::of(4);
    bus.introduce();
    bus.links[0].iter().for_each(|end| end.close());
    bus.settle();
    bus.links[0] = bus.link_to(1);
    let payload = bus.share(1);
    assert_eq!(bus.lend(0, &payload), None, "it is asked");
    // It has subscribed, and this node does not know that yet.
    let offers = poll(bus.taps[0].outgoing().next(usize::MAX)).map(|offers| offers.into_iter());
    let Poll::Ready(offers) = offers else { panic!("nothing was offered") };
    offers.for_each(|(to, packet)| bus.bring(to, packet));
    let Poll::Ready(Request::Subscribe(whose)) = poll(bus.taps[1].next_request()) else {
        panic!("no request")
    };
    bus.listeners.push(1);
    bus.taps[1].subscribed(whose);
    let token = bus.lend(1, &payload).unwrap();
    let Poll::Ready(broadcast) = poll(bus.taps[0].outgoing().next(usize::MAX)) else {
        panic!("no broadcast")
    };
    broadcast.into_iter().for_each(|(to, packet)| bus.bring(to, packet));
    bus.settle();
    assert!(bus.redeem(0, &token).is_err(), "nobody comes for it");
    assert!(bus.redeem(1, &token).is_ok());
    let next = bus.share(2);
    let token = bus.lend(0, &next).unwrap();
    bus.settle();
    assert_eq!(bus.redeem(0, &token).unwrap(), *next.bytes());
}

#[test]
fn who_has_a_broadcast_that_its_link_does_not_come_to_is_told_to_forget_it() {
    let mut bus = Bus::of(4);
    bus.introduce();
    let payload = bus.share(1);
    let token = bus.lend(0, &payload).unwrap();
    drop(payload);
    bus.settle();
    assert!(bus.redeem(0, &token).is_ok());
    for link in [1, 2] {
        assert!(bus.redeem(link, &token).is_err(), "it is forgotten");
    }
    assert!(bus.taps[0].lock().lines.values().all(|open| open.ahead == 0));
}

#[test]
fn who_is_far_behind_ends_the_broadcasts_until_it_has_caught_up() {
    let mut bus = Bus::of(4);
    bus.introduce();
    let payloads: Vec<_> = (0..200).map(|byte| bus.share(byte)).collect();
    // Link 2 takes nothing.
    let lent = payloads.iter().map_while(|payload| bus.lend(0, payload).and(bus.lend(1, payload))).count();
    assert_eq!(lent, AHEAD / LARGE);
    assert_eq!(bus.lend(2, &payloads[lent]), None, "decided for all of them");
    let caught_up = payloads[..lent].iter().filter_map(|payload| bus.lend(2, payload)).count();
    assert_eq!(caught_up, lent);
    assert!(bus.lend(0, &payloads[lent + 1]).is_some());
}

#[test]
fn nobody_listens_to_a_node_to_which_there_is_no_link() {
    let mut bus = Bus::of(4);
    bus.introduce();
    bus.links[0].iter().for_each(|end| end.close());
    bus.settle();
    assert_eq!(bus.listeners, [2, 3]);
    let payload = bus.share(1);
    assert_eq!(bus.lend(0, &payload), None);
    assert!(bus.lend(1, &payload).is_some());
}

#[test]
fn a_lost_broadcast_breaks_the_links_of_those_who_missed_it() {
    let mut bus = Bus::of(3);
    bus.introduce();
    let [first, second, third] = [1, 2, 3].map(|byte| bus.share(byte));
    bus.lend(0, &first).unwrap();
    bus.settle();
    bus.lend(0, &second).unwrap();
    // Nobody gets this one.
    let _ = poll(bus.taps[0].outgoing().next(usize::MAX));
    bus.lend(0, &third).unwrap();
    bus.settle();
    for [_, there] in &bus.links {
        assert_eq!(there.try_read(&mut Vec::with_capacity(10)).unwrap(), 0, "the end of the stream");
    }
}

#[test]
fn bytes_that_refer_to_a_broadcast_are_read_when_it_is_there() {
    let mut bus = Bus::of(3);
    bus.introduce();
    let payload = bus.share(1);
    let token = bus.lend(0, &payload).unwrap();
    bus.links[0][0].try_write(&[io::IoSlice::new(&token.0)]).unwrap();
    let Poll::Ready(mut packets) = poll(bus.taps[0].outgoing().next(usize::MAX)) else { panic!("nothing") };
    packets.reverse();
    let mut buffer = Vec::with_capacity(100);
    let mut read = |bus: &Bus| bus.links[0][1].try_read(&mut buffer).map_err(|error| error.kind());
    for (to, packet) in packets {
        assert_eq!(read(&bus), Err(io::ErrorKind::WouldBlock));
        bus.bring(to, packet);
    }
    assert_eq!(read(&bus), Ok(Token::LEN));
}
