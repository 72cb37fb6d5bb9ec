//! One of two processes dies while the memory through which the bytes of their link go is full: the other one has all
//! that was written, in order, and in the end nothing of it is left.

use std::{
    fs,
    time::{Duration, Instant},
};

use tidings_testkit::eventually;

use crate::{
    harness::Case,
    node::block_on,
    place::{Over, Place},
    remote::{PATIENCE, Remote},
    settings::{PRIVATE, PRIVATE_BUSY, Settings},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Sender,
    Receiver,
}

/// When the sender has queued nothing for so long, everything is full.
const STILL: Duration = Duration::from_millis(300);

/// How many messages of 1 KiB are in the ring at least when it is full: it holds 512 KiB, and they have headers.
const FULL: u64 = 400;

/// How long a node that looks again and again is watched while it has nothing to do, and how much of a core it may
/// take: a twentieth for the heartbeats, and the rest for the noise of a machine on which other things run.
const WATCHED: Duration = Duration::from_secs(5);
const TAKEN: f64 = 0.3;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (listen, how) in [(PRIVATE, ""), (PRIVATE_BUSY, "_with_busy_poll")] {
        for (victim, who) in [(Victim::Sender, "sender"), (Victim::Receiver, "receiver")] {
            let name = format!(
                "{}::nothing_is_left_of_a_{who}_that_is_killed_while_the_ring_is_full{how}",
                Over::Ipc.name()
            );
            cases.push(Case::always(name, move || killed(listen, victim)));
        }
    }
    let name = format!("{}::an_idle_node_with_busy_poll_leaves_its_core_to_others", Over::Ipc.name());
    cases.push(Case::always(name, idle));
    cases
}

/// Two nodes that know each other.
fn met(place: &Place, listen: &str) -> [Remote; 2] {
    let settings = |id| {
        let mut settings = Settings::new(id, listen);
        // Who is stopped is neither silent nor lagging here.
        (settings.dead_after, settings.max_wait) = (PATIENCE, PATIENCE);
        settings
    };
    let mut sender = place.node(&settings(0));
    let (_, entrance) = sender.line("open ");
    let mut receiver = place.node(&settings(1).attach_to([entrance]));
    receiver.line("open ");
    let mut nodes = [sender, receiver];
    for node in &mut nodes {
        node.ask("meet 1", "met");
    }
    nodes
}

fn killed(listen: &str, victim: Victim) -> String {
    let place = Place::new();
    let [mut sender, receiver] = met(&place, listen);
    assert!(rings(&sender) == 2 && rings(&receiver) == 2, "one for each direction");
    receiver.signal("STOP");
    sender.ask("flood 0", "flooding");
    let (mut sent, mut since) = (0, Instant::now());
    while since.elapsed() < STILL {
        let now = sender.ask("stats 1", "stats")[0];
        if now != sent {
            (sent, since) = (now, Instant::now());
        }
    }
    let (mut dying, mut survivor) = match victim {
        Victim::Sender => (sender, receiver),
        Victim::Receiver => (receiver, sender),
    };
    dying.signal("KILL");
    assert_eq!(dying.end(), 137);
    survivor.signal("CONT");
    survivor.line(&format!("left {} ", victim as usize));
    let mut heard = 0;
    if victim == Victim::Sender {
        // Its handler is told apart from those who wait for the sender's end.
        let mut tally = || survivor.ask("tally 0 0", "tally");
        block_on(eventually("ring's worth of messages", || tally()[0] >= FULL));
        let tally = tally();
        heard = tally[0];
        assert_eq!(tally[2..], [0, 0], "(duplicated, reordered)");
    } else {
        survivor.ask("halt", "published");
    }
    let since = Instant::now();
    block_on(eventually("unmapped rings", || rings(&survivor) == 0));
    survivor.shut_down();
    format!("{sent} sent, {heard} heard, nothing is left after {:?}", since.elapsed())
}

/// How many rings a process has mapped.
fn rings(process: &Remote) -> usize {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.pid())).unwrap();
    maps.lines().filter(|line| line.contains("memfd:tidings-ring")).count()
}

/// How long a process was on a core so far.
fn on_core(process: &Remote) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    // Behind the name, which may have spaces, the 12th and 13th: a hundred to the second.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

fn idle() -> String {
    let place = Place::new();
    let mut nodes = met(&place, PRIVATE_BUSY);
    // The first moment after a join is not idle: what is held is let go of at its end.
    nodes[0].pass(Duration::from_millis(1500));
    let before = nodes.each_ref().map(on_core);
    nodes[0].pass(WATCHED);
    let after = nodes.each_ref().map(on_core);
    let taken = [0, 1].map(|node| (after[node] - before[node]).as_secs_f64() / WATCHED.as_secs_f64());
    assert!(taken.iter().all(|taken| *taken < TAKEN), "{taken:?} of a core");
    nodes.iter_mut().for_each(Remote::shut_down);
    place.assert_empty();
    format!("{taken:?} of a core")
}
