//! One of three peers is stopped while everything flows: the other two keep their throughput, and the
//! stopped one is treated as its policy says.

use std::time::{Duration, Instant};

use crate::{
    harness::Case,
    kill_matrix::assert_accounted,
    place::{Over, Place},
    remote::{PATIENCE, Remote},
    settings::{POLICIES, Settings},
};

/// The stretch of time over which messages are counted.
const SLICE: Duration = Duration::from_secs(1);

/// How often the peer is stopped, and for how many slices each time.
const ROUNDS: usize = 2;
const STOPPED: usize = 3;

/// In how many slices before each stop the throughput is measured that it is compared with.
const RUNNING: usize = 2;

/// How long the publisher waits for a peer that takes nothing.
const MAX_WAIT: Duration = Duration::from_millis(200);

/// How many bytes wait for it before it lags: few, so that a slow machine gets there soon.
const QUEUE: usize = 1 << 20;

/// The part of their throughput that the others keep at least. The aim is 0.9; the rest is for the noise of
/// a machine on which other things run.
const KEPT: f64 = 0.3;

pub(crate) fn cases() -> Vec<Case> {
    let kinds = [
        (Over::Ipc, 0, "evicts_it"),
        (Over::Ipc, 1, "drops_its_oldest_messages"),
        (Over::Ipc, 2, "drops_its_newest_messages"),
        (Over::Ipc, 3, "keeps_its_latest_message"),
        (Over::Tcp, 0, "evicts_it"),
        (Over::Zmq, 0, "evicts_it"),
    ];
    let case = |(over, policy, what): (Over, usize, &str)| {
        let name = format!("{}::a_stopped_peer_costs_the_others_little_when_the_policy_{what}", over.name());
        Case::always(name, move || a_stopped_peer(over, policy))
    };
    kinds.map(case).into()
}

/// A publisher, node 0, and three that listen, of which node 3 is stopped now and then.
struct Nodes {
    publisher: Remote,
    peers: Vec<Remote>,
}

impl Nodes {
    fn start(place: &Place, over: Over, policy: usize) -> Self {
        let mut settings = Settings::new(0, over.anywhere());
        (settings.policy, settings.max_wait, settings.queue_bytes) = (policy, MAX_WAIT, QUEUE);
        // Silence is another test's: here the peer lags long before.
        settings.dead_after = PATIENCE;
        let mut publisher = place.node(&settings);
        let (_, entrance) = publisher.line("open ");
        let mut peers = Vec::new();
        for id in 1..4 {
            let mut peer = place.node(&Settings::new(id, over.anywhere()).attach_to([&entrance]));
            peer.line("open ");
            peers.push(peer);
        }
        publisher.ask("meet 3", "met");
        (1..4).for_each(|id| drop(publisher.line(&format!("joined {id}"))));
        Self { publisher, peers }
    }

    /// Messages that the peers that are never stopped have had.
    fn heard(&mut self) -> u64 {
        self.peers[..2].iter_mut().map(|peer| peer.ask("heard 0", "heard")[0]).sum()
    }

    /// Messages per second that they get, in each of so many slices.
    fn rates(&mut self, slices: usize) -> Vec<f64> {
        (0..slices)
            .map(|_| {
                let (begin, before) = (Instant::now(), self.heard());
                self.publisher.pass(SLICE);
                (self.heard() - before) as f64 / begin.elapsed().as_secs_f64()
            })
            .collect()
    }

    /// Sent, received, dropped, lost, queued and lagging, of the publisher's way to node 3.
    fn stats(&mut self) -> Vec<u64> {
        self.publisher.ask("stats 3", "stats")
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn a_stopped_peer(over: Over, policy: usize) -> String {
    let place = Place::new();
    let mut nodes = Nodes::start(&place, over, policy);
    nodes.publisher.ask("flood 0", "flooding");
    let (mut running, mut stopped) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        running.extend(nodes.rates(RUNNING));
        nodes.peers[2].signal("STOP");
        stopped.extend(nodes.rates(STOPPED));
        treated_as_the_policy_says(&mut nodes, policy);
        nodes.peers[2].signal("CONT");
        if policy == 0 {
            nodes.publisher.line("joined 3");
        }
    }
    let published = nodes.publisher.ask("halt", "published")[0];
    for peer in &mut nodes.peers[..2] {
        peer.ask(&format!("await 0 {published}"), "heard");
        let tally = peer.ask(&format!("tally 0 {published}"), "tally");
        assert_eq!(tally, [published, 0, 0, 0], "received, lost, duplicated, reordered");
    }
    let dropped = assert_accounted(&mut nodes.publisher, 0, &mut nodes.peers[2], 3);
    assert!(dropped > 0);
    let received = all_taken(&mut nodes, policy, published, dropped);
    let (running, stopped) = (median(running), median(stopped));
    let ratio = stopped / running;
    nodes.peers.iter_mut().for_each(Remote::shut_down);
    nodes.publisher.shut_down();
    place.assert_empty();
    assert!(ratio >= KEPT, "{stopped:.0}/s of {running:.0}/s");
    format!(
        "{ratio:.2} of {:.0}/s kept; {:?}: the stopped one got {received} of {published}, {dropped} dropped",
        running / 2.0,
        POLICIES[policy]
    )
}

/// While it is stopped.
fn treated_as_the_policy_says(nodes: &mut Nodes, policy: usize) {
    if policy == 0 {
        let (_, reason) = nodes.publisher.line("left 3 ");
        assert_eq!(reason, "Lagging");
        return;
    }
    let until = Instant::now() + PATIENCE / 2;
    let before = loop {
        let stats = nodes.stats();
        // Dropping begins when it lags and something more comes.
        if stats[5] == 1 && stats[2] > 0 {
            break stats;
        }
        assert!(Instant::now() < until, "it does not lag: {stats:?}");
    };
    assert!(nodes.publisher.now("left 3").is_none(), "it stays a member");
    // Who lags keeps what fits and loses the rest; of its one event, the latest message alone is kept,
    // besides what a link has taken.
    assert!(before[2] > 0 && before[4] > 0, "{before:?}");
    assert!(policy != 3 || before[4] == 1, "{before:?}");
}

/// Waits until the listener of node 3 has taken what arrived, in order and once each. Returns how much that
/// is.
fn all_taken(nodes: &mut Nodes, policy: usize, published: u64, dropped: u64) -> u64 {
    let received = nodes.stats()[0] - dropped;
    // Not by asking again and again: that would keep the listener from taking any.
    nodes.peers[2].ask(&format!("await 0 {received}"), "heard");
    let tally = nodes.peers[2].ask(&format!("tally 0 {published}"), "tally");
    assert_eq!(tally[0], received);
    assert_eq!(tally[2..], [0, 0], "(duplicated, reordered)");
    // Who is evicted is nobody's peer until it comes back; the others were sent everything.
    assert!(policy == 0 || tally[1] == dropped, "{tally:?}, {dropped} dropped");
    tally[0]
}
