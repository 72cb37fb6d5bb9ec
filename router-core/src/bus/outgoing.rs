use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::Channel;

/// How many bytes wait to be published, at most; then links take nothing more. As in a socket's buffer, there is no gain
/// in more: what waits longer gathers in the peers' queues.
const LIMIT: usize = 2 << 20;

/// Packets up to this length, in bytes, are taken until twice as much waits: a link that only refers to broadcasts
/// shall not wait for those who publish them.
const SHORT: usize = 4 << 10;

/// What a node has to publish, in its order.
#[derive(Debug, Default)]
pub struct Outgoing {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<(Channel, Bytes)>,
    bytes: usize,
    closed: bool,
    /// Who publishes.
    publisher: Option<Waker>,
    /// Links that wait for room.
    writers: Vec<Waker>,
}

impl Queue {
    fn push(&mut self, to: Channel, packet: Bytes) -> Option<Waker> {
        self.bytes += packet.len();
        self.packets.push_back((to, packet));
        self.publisher.take()
    }

    fn is_full(&self) -> bool {
        self.bytes >= LIMIT
    }

    fn takes(&self, len: usize) -> bool {
        !self.is_full() || (len <= SHORT && self.bytes < 2 * LIMIT)
    }
}

impl Outgoing {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues what a link has written, a packet of this length, if there is room.
    pub(super) fn try_push(&self, to: Channel, len: usize, packet: impl FnOnce() -> Bytes) -> bool {
        let mut queue = self.lock();
        if !queue.takes(len) {
            return false;
        }
        let publisher = queue.push(to, packet());
        drop(queue);
        publisher.into_iter().for_each(Waker::wake);
        true
    }

    /// Queues a packet, be there room or not: those of the links' own are few, and short, and of broadcasts there is
    /// little more than each link may be behind.
    pub(super) fn push(&self, to: Channel, packet: Bytes) {
        let publisher = self.lock().push(to, packet);
        publisher.into_iter().for_each(Waker::wake);
    }

    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if !queue.is_full() {
            return Poll::Ready(());
        }
        if !queue.writers.iter().any(|waker| waker.will_wake(cx.waker())) {
            queue.writers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The next packets to publish, and where: as many as there are, and no more than `bytes` unless the first one
    /// alone has more. Empty when the node is gone and everything was handed out.
    ///
    /// # Cancel safety
    ///
    /// What was not returned is still queued.
    pub async fn next(&self, bytes: usize) -> Vec<(Channel, Bytes)> {
        std::future::poll_fn(|cx| self.poll_next(cx, bytes)).await
    }

    fn poll_next(&self, cx: &Context<'_>, bytes: usize) -> Poll<Vec<(Channel, Bytes)>> {
        let mut queue = self.lock();
        if queue.packets.is_empty() && !queue.closed {
            queue.publisher = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (mut packets, mut taken) = (Vec::new(), 0);
        while let Some((_, packet)) = queue.packets.front() {
            if taken > 0 && taken + packet.len() > bytes {
                break;
            }
            taken += packet.len();
            packets.extend(queue.packets.pop_front());
        }
        queue.bytes -= taken;
        let writers = if queue.is_full() { Vec::new() } else { std::mem::take(&mut queue.writers) };
        drop(queue);
        writers.into_iter().for_each(Waker::wake);
        Poll::Ready(packets)
    }

    /// Throws away what is queued but for the packets that `keep` names.
    pub(super) fn retain(&self, keep: impl Fn(&Bytes) -> bool) {
        let mut queue = self.lock();
        queue.packets.retain(|(_, packet)| keep(packet));
        queue.bytes = queue.packets.iter().map(|(_, packet)| packet.len()).sum();
        let writers = std::mem::take(&mut queue.writers);
        drop(queue);
        writers.into_iter().for_each(Waker::wake);
    }

    /// Nothing comes any more but what is queued.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        let publisher = queue.publisher.take();
        drop(queue);
        publisher.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin};

    use super::*;
    use crate::{Incarnation, Mailbox, NodeId};

    const TO: Channel = Channel::Mailbox(Mailbox { node_id: NodeId(1), incarnation: Incarnation(1) });

    fn packet(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    fn next(outgoing: &Outgoing, bytes: usize) -> Poll<Vec<usize>> {
        let poll = pin!(outgoing.next(bytes)).poll(&mut Context::from_waker(Waker::noop()));
        poll.map(|packets| packets.iter().map(|(_, packet)| packet.len()).collect())
    }

    #[test]
    fn packets_come_out_in_order_and_by_the_bytes() {
        let outgoing = Outgoing::default();
        for len in [3, 4, 100, 1] {
            outgoing.push(TO, packet(len));
        }
        assert_eq!(next(&outgoing, 10), Poll::Ready(vec![3, 4]));
        assert_eq!(next(&outgoing, 10), Poll::Ready(vec![100]));
        assert_eq!(next(&outgoing, 10), Poll::Ready(vec![1]));
        assert_eq!(next(&outgoing, 10), Poll::Pending);
        outgoing.close();
        assert_eq!(next(&outgoing, 10), Poll::Ready(vec![]));
    }

    #[test]
    fn a_full_queue_takes_no_bytes_of_links_until_there_is_room() {
        let outgoing = Outgoing::default();
        let mut count = 0;
        while outgoing.try_push(TO, LIMIT / 4, || packet(LIMIT / 4)) {
            count += 1;
        }
        assert_eq!(count, 4);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(outgoing.poll_room(&cx), Poll::Pending);
        assert!(outgoing.try_push(TO, SHORT, || packet(SHORT)), "a short one is taken");
        outgoing.push(TO, packet(LIMIT));
        assert!(!outgoing.try_push(TO, SHORT, || packet(SHORT)), "there is an end to that");
        let first = next(&outgoing, 2 * LIMIT).map(|packets| packets.len());
        assert_eq!(first, Poll::Ready(5));
        assert_eq!(outgoing.poll_room(&cx), Poll::Pending);
        assert_eq!(next(&outgoing, LIMIT), Poll::Ready(vec![LIMIT]));
        assert_eq!(outgoing.poll_room(&cx), Poll::Ready(()));
    }
}
