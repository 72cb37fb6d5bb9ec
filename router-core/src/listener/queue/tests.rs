use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    room::{Bounded, Lag, tests::wait_out},
    run::tests::run,
};

const EVENTS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// So many messages of this event, together.
    Push(usize, u8),
    /// The reader takes all that is queued.
    Take,
    /// Nothing was taken for longer than it is waited for.
    Lag,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..EVENTS.len(), 1u8..7).prop_map(|(event, count)| Step::Push(event, count)),
        1 => Just(Step::Take),
        2 => Just(Step::Lag),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::DropOldest), Just(Policy::DropNewest), Just(Policy::Latest)]
}

/// A queue with what has come out of it, and how many messages it said it took, dropped, and dropped when it began to
/// lag.
struct Watched {
    queue: ListenerQueue,
    read: Vec<(String, Bytes)>,
    taken: u64,
    dropped: u64,
    full: bool,
}

impl Watched {
    fn new(policy: Policy, once: bool) -> Self {
        let limits = Limits { queue_messages: 5, listener_bytes: 150, ..Limits::default() };
        let queue = ListenerQueue::new("*", once, 1, policy, &limits);
        Self { queue, read: Vec::new(), taken: 0, dropped: 0, full: false }
    }

    fn push(&mut self, run: Run) {
        let pushed = self.queue.push(run, None);
        self.taken += pushed.taken;
        self.dropped += pushed.dropped;
        self.full = pushed.full;
    }

    fn take(&mut self) {
        let mut taken = VecDeque::new();
        self.queue.take_now(&mut taken);
        for item in taken {
            let Item::Run(run) = item else { continue };
            for envelope in run {
                self.queue.popped(envelope.size() as u64);
                self.read.push((envelope.event().to_owned(), envelope.payload()));
            }
        }
    }

    fn lag(&mut self) {
        let lag = wait_out(|now| self.queue.check_lag(now, Duration::from_secs(1)));
        if let Lag::Dropped(dropped) = lag {
            self.dropped += dropped.into_iter().map(|(_, count)| count).sum::<u64>();
        }
    }

    fn seen(&self) -> impl PartialEq + std::fmt::Debug {
        let waiting = self.queue.waiting(&self.queue.lock());
        (self.read.clone(), self.taken, self.dropped, self.full, self.queue.must_wait(), waiting)
    }
}

proptest! {
    #[test]
    fn messages_that_come_together_fare_as_those_that_come_alone(
        steps in prop::collection::vec(step(), 1..40),
        policy in policy(),
        once: bool,
    ) {
        let mut whole = Watched::new(policy, once);
        let mut singly = Watched::new(policy, once);
        let mut number = 0u8;
        for step in steps {
            match step {
                Step::Push(event, count) => {
                    let payloads: Vec<Vec<u8>> = (0..count).map(|_| { number = number.wrapping_add(1); vec![number; 1 + usize::from(number % 7)] }).collect();
                    whole.push(run(EVENTS[event], &payloads));
                    payloads.iter().for_each(|payload| singly.push(run(EVENTS[event], std::slice::from_ref(payload))));
                    if once {
                        // Who has had its message is not asked again.
                        singly.full = whole.full;
                    }
                }
                Step::Take => { whole.take(); singly.take(); }
                Step::Lag => { whole.lag(); singly.lag(); }
            }
            prop_assert_eq!(whole.seen(), singly.seen());
        }
        whole.take();
        singly.take();
        prop_assert_eq!(whole.seen(), singly.seen());
    }
}

#[test]
fn what_lags_keeps_its_bound_of_a_run_that_came_whole() {
    let mut watched = Watched::new(Policy::DropOldest, false);
    let payloads: Vec<Vec<u8>> = (0..8).map(|number| vec![number]).collect();
    watched.push(run("a", &payloads));
    assert!(watched.full && watched.queue.must_wait());
    watched.lag();
    watched.take();
    let read: Vec<u8> = watched.read.iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(read, [3, 4, 5, 6, 7]);
    assert_eq!((watched.taken, watched.dropped), (8, 3));
}

#[test]
fn closing_counts_every_message_of_a_run() {
    let mut watched = Watched::new(Policy::Evict, false);
    watched.push(run("a", &[vec![1], vec![2], vec![3]]));
    assert_eq!(watched.queue.close(), 3);
}

/// The owner takes the last messages between the look at the bound and the note that it is reached: nobody says
/// later that there is room.
#[test]
fn a_queue_that_was_emptied_while_it_was_noted_as_full_is_not_full() {
    let mut watched = Watched::new(Policy::Evict, false);
    watched.push(run("a", &[vec![0], vec![1], vec![2], vec![3], vec![4]]));
    watched.take();
    let queue = Arc::new(watched.queue);
    queue.full.store(true, Relaxed);
    let mut context = Context::from_waker(Waker::noop());
    assert!(queue.poll_room(&mut None, &mut context).is_ready());
    queue.full.store(true, Relaxed);
    let begin = Instant::now();
    for late in [0, 100] {
        let lag = queue.check_lag(begin + Duration::from_secs(late), Duration::from_secs(1));
        assert!(matches!(lag, Lag::Over), "{lag:?}");
    }
    assert!(!queue.must_wait());
}
