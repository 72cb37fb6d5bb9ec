use std::{collections::VecDeque, time::Duration};

use super::*;
use crate::{
    Codec, Distance, NodeId,
    room::{Lag, tests::wait_out},
    wire::{
        control::{Control, Received},
        data::DataHeader,
        frame, kind,
    },
};

const LINK: LinkId = LinkId { number: 1, distance: Distance::Machine };

/// An outbox for four messages, on a link that carries them.
fn outbox(policy: Policy) -> Outbox {
    let limits = Limits { queue_messages: 4, ..Limits::default() };
    let outbox = Outbox::new(policy, &limits, 1 << 20);
    outbox.attach(LINK, 1 << 20, &[Control::Ping]);
    assert!(outbox.resume(Received { consumed: 0, bytes: 0, messages: 0 }));
    outbox
}

fn push(outbox: &Outbox, number: u8) {
    let header = DataHeader { codec: Codec::Raw, name_len: 1, source: NodeId(0), destination: None };
    let head = header.head("a", 0);
    outbox.push_small(&SmallFrame { head: &head, codec: Codec::Raw, destination: None, payload: &[number] });
}

/// Has the link write all there is; returns the messages' payloads.
fn write(outbox: &Outbox) -> Vec<u8> {
    let (mut slices, mut payloads) = (VecDeque::new(), Vec::new());
    let received = || Received { consumed: 0, bytes: 0, messages: 0 };
    while outbox.gather(LINK, received, &|_| None, &mut slices, None) == Gather::Ready {
        for slice in slices.drain(..) {
            payloads
                .extend(frame::split(&slice).filter(|frame| frame[4] == kind::DATA).map(|frame| frame[17]));
        }
    }
    payloads
}

fn lag(outbox: &Outbox) -> Lag {
    wait_out(|now| outbox.check_lag(now, Duration::from_secs(1)))
}

#[test]
fn who_emits_waits_from_the_bound_on_until_there_is_room() {
    let outbox = outbox(Policy::Evict);
    (0..3).for_each(|number| push(&outbox, number));
    assert!(!outbox.must_wait());
    push(&outbox, 3);
    assert!(outbox.must_wait());
    assert_eq!(write(&outbox), [0, 1, 2, 3]);
    assert!(!outbox.must_wait());
    assert_eq!((outbox.sent(), outbox.load()), (4, (0, 0, false)));
}

#[test]
fn what_lags_keeps_what_its_policy_says() {
    for (policy, kept) in [
        (Policy::DropOldest, [4, 5, 6, 7].as_slice()),
        (Policy::DropNewest, &[0, 1, 2, 3]),
        (Policy::Latest, &[7]),
    ] {
        let outbox = outbox(policy);
        (0..4).for_each(|number| push(&outbox, number));
        assert_eq!(lag(&outbox), Lag::Over);
        assert!(!outbox.must_wait());
        // What was queued together goes together.
        (4..8).for_each(|number| push(&outbox, number));
        assert_eq!(write(&outbox), kept, "{policy:?}");
        let dropped = outbox.dropped.read().by(DropReason::Lagging);
        assert_eq!((outbox.sent(), dropped), (8, 8 - kept.len() as u64), "{policy:?}");
        // It has caught up, and is waited for again.
        (8..12).for_each(|number| push(&outbox, number));
        assert!(outbox.must_wait());
    }
    let cut_off = outbox(Policy::Evict);
    (0..4).for_each(|number| push(&cut_off, number));
    assert_eq!(lag(&cut_off), Lag::Evict);
}

#[test]
fn without_a_link_a_peer_is_waited_for_a_while_and_then_what_has_no_room_is_dropped() {
    let outbox = outbox(Policy::Evict);
    outbox.detach(LINK);
    (0..4).for_each(|number| push(&outbox, number));
    assert!(outbox.must_wait());
    assert_eq!(lag(&outbox), Lag::Over);
    assert!(!outbox.must_wait());
    (4..6).for_each(|number| push(&outbox, number));
    assert_eq!(outbox.dropped.read().by(DropReason::Disconnected), 2);
    assert_eq!((outbox.sent(), outbox.unconfirmed()), (6, 4));
}
