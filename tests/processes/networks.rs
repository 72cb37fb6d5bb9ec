//! What happens to networks, between two nodes in network namespaces of their own.

use std::time::{Duration, Instant};

use tidings_testkit::Stopwatch;

use crate::{
    harness::Case,
    netns::{self, ADDRESSES, Network},
    place::Place,
    remote::Remote,
    settings::Settings,
};

/// How much later than its heartbeat says a node may notice that nothing comes any more: a tenth.
const TOLERANCE: f64 = 1.1;

/// What is done to the network; returns the figures.
type Body = fn(&mut Pair) -> String;

pub(crate) fn cases() -> Vec<Case> {
    let cases: [(&str, Body); 6] = [
        ("both_sides_notice_that_all_traffic_is_dropped", everything_is_dropped),
        ("both_sides_agree_on_a_partition_into_the_listening_side", |pair| one_way(pair, 0)),
        ("both_sides_agree_on_a_partition_into_the_dialling_side", |pair| one_way(pair, 1)),
        ("a_reset_is_noticed_at_once", reset),
        ("a_tenth_of_all_packets_lost_loses_no_message", packets_are_lost),
        ("a_wire_that_is_down_for_a_while_loses_nothing", wire_is_down),
    ];
    let case = |(name, body): (&str, Body)| netns::case(format!("netns::{name}"), move || with_pair(body));
    cases.map(case).into()
}

fn with_pair(body: Body) -> String {
    let mut pair = Pair::start();
    let figures = body(&mut pair);
    pair.nodes.iter_mut().for_each(Remote::shut_down);
    figures
}

/// Node 0 listens, node 1 dials it, over TCP.
struct Pair {
    nodes: [Remote; 2],
    /// Messages that each has published so far; every round has a publisher number of its own.
    rounds: u64,
    dead_after: Duration,
    network: Network,
}

impl Pair {
    fn start() -> Self {
        let (network, place) = (Network::new().unwrap(), Place::new());
        let settings = |id: u32| {
            let mut settings = Settings::new(id, format!("tcp://{}:0", ADDRESSES[id as usize])).quick();
            settings.guarded = true;
            settings
        };
        let start = |settings: &Settings| {
            let mut command = network.inside(settings.id as usize);
            command.arg(std::env::current_exe().unwrap());
            place.node_by(command, settings)
        };
        let mut first = start(&settings(0));
        let (_, entrance) = first.line("open ");
        let mut second = start(&settings(1).attach_to([entrance]));
        second.line("open ");
        let dead_after = settings(0).dead_after;
        let mut pair = Self { nodes: [first, second], rounds: 0, dead_after, network };
        pair.meet();
        pair.talk(100);
        pair
    }

    /// Waits until both have joined, again, and know that the other one listens.
    fn meet(&mut self) -> Instant {
        let joined = [0, 1].map(|id: usize| self.nodes[id].line(&format!("joined {}", 1 - id)).0);
        for node in &mut self.nodes {
            node.ask("meet 1", "met");
        }
        joined[0].max(joined[1])
    }

    /// Each publishes so many messages. Returns the number of the round.
    fn publish(&mut self, count: u64) -> u64 {
        self.rounds += 1;
        for (id, node) in self.nodes.iter_mut().enumerate() {
            node.ask(&format!("publish {} {count}", 2 * self.rounds + id as u64), "published");
        }
        self.rounds
    }

    /// Asserts that each got the other's messages of a round whole, each once and in order.
    fn assert_arrived(&mut self, round: u64, count: u64) {
        for (id, node) in self.nodes.iter_mut().enumerate() {
            let publisher = 2 * round + 1 - id as u64;
            node.ask(&format!("await {publisher} {count}"), "heard");
            let tally = node.ask(&format!("tally {publisher} {count}"), "tally");
            assert_eq!(tally, [count, 0, 0, 0], "received, lost, duplicated, reordered at node {id}");
        }
    }

    fn talk(&mut self, count: u64) {
        let round = self.publish(count);
        self.assert_arrived(round, count);
    }

    /// Waits until each has told that the other one left, and why. Returns the later moment.
    fn part(&mut self) -> (Instant, [String; 2]) {
        let [(one, first), (other, second)] =
            [0, 1].map(|id: usize| self.nodes[id].line(&format!("left {} ", 1 - id)));
        (one.max(other), [first, second])
    }

    fn filter(&self, side: usize, hook: &str, rule: &str) {
        self.network.filter(side, hook, rule).unwrap();
    }

    /// Takes the fault away, waits until both have each other again, and asserts that listening works.
    fn heal(&mut self) -> Duration {
        let since = Instant::now();
        self.network.heal();
        let joined = self.meet();
        self.talk(100);
        joined.saturating_duration_since(since)
    }

    fn notice_bound(&self) -> Duration {
        self.dead_after.mul_f64(TOLERANCE)
    }
}

fn everything_is_dropped(pair: &mut Pair) -> String {
    let stopwatch = Stopwatch::start();
    for side in 0..2 {
        pair.filter(side, "input", "drop");
    }
    let (parted, reasons) = pair.part();
    assert_eq!(reasons, ["Silent", "Silent"]);
    let took = stopwatch.assert_was_within(parted, pair.notice_bound());
    format!("noticed after {took:?}, back after {:?}", pair.heal())
}

fn one_way(pair: &mut Pair, deaf: usize) -> String {
    let stopwatch = Stopwatch::start();
    pair.filter(deaf, "input", "drop");
    let (parted, reasons) = pair.part();
    // Who hears nothing resets the connection, and the other one notices that at once.
    let took = stopwatch.assert_was_within(parted, pair.notice_bound());
    assert_eq!(reasons[deaf], "Silent");
    format!("{} after {took:?}, back after {:?}", reasons.join(" and "), pair.heal())
}

fn reset(pair: &mut Pair) -> String {
    // On its way out on either side: as by a firewall in between that has forgotten the connection.
    for side in 0..2 {
        pair.filter(side, "output", "oifname wire meta l4proto tcp reject with tcp reset");
    }
    let stopwatch = Stopwatch::start();
    for (id, node) in pair.nodes.iter_mut().enumerate() {
        node.ask(&format!("publish {} 1", 1000 + id), "published");
    }
    let (parted, reasons) = pair.part();
    assert_eq!(reasons, ["LinkLost", "LinkLost"]);
    let took = stopwatch.assert_was_within(parted, pair.dead_after / 2);
    let back = pair.heal();
    for (id, node) in pair.nodes.iter_mut().enumerate() {
        node.ask(&format!("await {} 1", 1001 - id), "heard");
    }
    format!("noticed after {took:?}, back after {back:?}")
}

fn packets_are_lost(pair: &mut Pair) -> String {
    const MESSAGES: u64 = 2000;
    for side in 0..2 {
        pair.filter(side, "input", "numgen random mod 100 < 10 drop");
    }
    let since = Instant::now();
    pair.talk(MESSAGES);
    let took = since.elapsed();
    let breaks = std::iter::from_fn(|| pair.nodes[0].now("left 1 ")).count();
    format!("2 x {MESSAGES} messages in {took:?}, the link broke {breaks} times")
}

fn wire_is_down(pair: &mut Pair) -> String {
    const MESSAGES: u64 = 2000;
    let since = Instant::now();
    pair.network.set(0, "down");
    // Some while the link still counts as one, some when it is known to be broken.
    let before = pair.publish(MESSAGES);
    pair.part();
    let after = pair.publish(MESSAGES);
    pair.network.set(0, "up");
    let away = since.elapsed();
    pair.meet();
    for round in [before, after] {
        pair.assert_arrived(round, MESSAGES);
    }
    format!("down for {away:?}, all {} messages there", 4 * MESSAGES)
}
