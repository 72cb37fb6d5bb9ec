use proptest::prelude::*;

use super::*;
use crate::{Codec, NodeId};

fn header(event: &str, payload: &[u8]) -> [u8; DataHeader::LEN] {
    let name_len = event.len() as u16;
    let header = DataHeader { codec: Codec::Raw, name_len, source: NodeId(3), destination: None };
    header.encode(event.len() + payload.len())
}

fn frame(event: &str, payload: &[u8]) -> Vec<u8> {
    [&header(event, payload)[..], event.as_bytes(), payload].concat()
}

fn push(queue: &mut SendQueue, event: &str, payload: &[u8]) {
    let head = [&header(event, b"")[..], event.as_bytes()].concat();
    queue.push_small(&SmallFrame { head: &head, codec: Codec::Raw, destination: None, payload });
}

/// All that is handed out, but for gaps.
fn written(queue: &mut SendQueue) -> Vec<u8> {
    let mut slices = Vec::new();
    while queue.take(&|_| None, &mut slices).is_some() {}
    slices.concat()
}

proptest! {
    #[test]
    fn what_is_written_is_what_was_queued_however_it_came(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..3000), 0..2u8), 1..100),
        taken_at in 0..100usize,
        had in any::<prop::sample::Index>(),
    ) {
        let mut queue = SendQueue::default();
        let (mut frames, mut out) = (Vec::new(), Vec::new());
        for (at, (payload, kind)) in messages.iter().enumerate() {
            let whole = frame("some", payload);
            match kind {
                0 => push(&mut queue, "some", payload),
                _ => queue.push(Outgoing::Block(whole.clone().into(), 1), None),
            }
            frames.push(whole);
            if at == taken_at {
                out.extend(written(&mut queue));
            }
        }
        let untaken = frames[(taken_at + 1).min(frames.len())..].iter();
        if taken_at < frames.len() {
            prop_assert_eq!(queue.queued_bytes(), untaken.map(|frame| frame.len() as u64).sum::<u64>());
        }
        out.extend(written(&mut queue));
        prop_assert_eq!(out, frames.concat());
        prop_assert_eq!((queue.queued_bytes(), queue.queued_messages()), (0, 0));
        // On a new link it goes on behind what the peer has.
        let had = had.index(frames.len() + 1);
        prop_assert!(queue.resume(had as u64).is_some());
        prop_assert_eq!(written(&mut queue), frames[had..].concat());
        queue.confirm(frames.len() as u64);
        prop_assert_eq!(queue.unconfirmed(), 0);
    }
}

#[test]
fn a_buffer_behind_a_full_one_is_not_the_full_one() {
    let mut queue = SendQueue::default();
    let payload = [7; 1000];
    (0..200).for_each(|_| push(&mut queue, "some", &payload));
    let mut slices = Vec::new();
    while queue.take(&|_| None, &mut slices).is_some() {}
    assert!(slices.len() > 1 && slices.iter().all(|slice| slice.len() <= CHUNK));
    assert_eq!(slices.iter().map(Bytes::len).sum::<usize>(), 200 * frame("some", &payload).len());
}

#[test]
fn of_each_event_the_latest_is_kept_of_what_was_queued_together() {
    let mut queue = SendQueue::default();
    for (event, payload) in [("a", b"1"), ("b", b"2"), ("a", b"3"), ("b", b"4"), ("a", b"5")] {
        push(&mut queue, event, payload);
    }
    assert_eq!(queue.keep_latest(DropReason::Lagging), 3);
    assert_eq!((queue.queued_messages(), queue.queued_bytes()), (2, 36));
    let newest = Outgoing::Block(frame("b", b"6").into(), 1);
    assert_eq!(queue.supersede(&newest, DropReason::Lagging), 1);
    queue.push(newest, None);
    let mut slices = Vec::new();
    while queue.take(&|_| None, &mut slices).is_some() {}
    let messages = slices.iter().filter(|slice| slice.ends_with(b"5") || slice.ends_with(b"6"));
    assert_eq!(messages.map(|slice| slice.len()).collect::<Vec<_>>(), [18, 18]);
}

#[test]
fn what_is_dropped_leaves_no_hole() {
    let mut queue = SendQueue::default();
    for number in 0..5u8 {
        push(&mut queue, "a", &[number]);
        queue.seal();
    }
    assert_eq!(queue.drop_oldest(DropReason::Lagging), 1);
    assert_eq!(queue.drop_oldest(DropReason::Lagging), 1);
    assert_eq!((queue.queued_messages(), queue.unconfirmed()), (3, 3));
    let chunks: Vec<_> = queue.chunks.iter().map(|chunk| (chunk.first, chunk.messages)).collect();
    assert_eq!(chunks, [(0, 2), (2, 1), (3, 1), (4, 1)]);
}
