//! Nodes that meet at a NATS server are killed or stopped.

use std::time::{Duration, Instant};

use tidings_testkit::NatsServer;

use crate::{cut_off, harness::Case, place::Place, remote::Remote, settings::Settings};

/// How long after a death the others may take to tell it: until they say something to it, which the heartbeat (2 s)
/// does, and the server answers. It is less than the time after which a silent link is dead (8 s).
const NOTICED: Duration = Duration::from_secs(4);

/// How long a node that is stopped may hold up one that opens: a second in which it could say that it is there, and one
/// and a half in which it could take a link of which others have told; and what it takes to start a process.
const OPEN: Duration = Duration::from_secs(4);

/// How many messages go from one node to another.
const COUNT: u64 = 1000;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::always("nats::a_node_that_is_killed_while_idle_is_noticed", || killed(false)),
        Case::always("nats::a_node_that_is_killed_amid_a_flood_is_noticed", || killed(true)),
        Case::always("nats::a_node_that_is_stopped_holds_nobody_up", stopped),
        Case::always("nats::a_slow_consumer_that_the_server_cuts_off_loses_nothing", slow),
    ]
}

fn started(place: &Place, server: &NatsServer, id: u32) -> Remote {
    let mut node = place.node(&Settings::new(id, server.url()));
    node.line("open ");
    node
}

/// Waits until each knows all others, and that they listen.
fn meet<const COUNT: usize>(nodes: [&mut Remote; COUNT]) {
    for node in nodes {
        node.ask(&format!("meet {}", COUNT - 1), "met");
    }
}

/// Has one send to the other, of which it knows that it listens.
fn go_on(from: &mut Remote, to: &mut Remote) {
    from.ask(&format!("publish 100 {COUNT}"), "published");
    to.ask(&format!("await 100 {COUNT}"), "heard");
    assert_eq!(to.ask(&format!("tally 100 {COUNT}"), "tally"), [COUNT, 0, 0, 0]);
}

fn killed(amid_a_flood: bool) -> String {
    let (place, server) = (Place::new(), NatsServer::start());
    let [mut first, mut second, mut victim] = [0, 1, 2].map(|id| started(&place, &server, id));
    meet([&mut first, &mut second, &mut victim]);
    if amid_a_flood {
        victim.ask("mix 2", "flooding");
        first.ask("mix 0", "flooding");
    }
    let since = Instant::now();
    victim.signal("KILL");
    victim.end();
    let told = [&mut first, &mut second].map(|node| node.line("left 2 "));
    assert!(told.iter().all(|(_, reason)| reason == "LinkLost"), "{told:?}");
    let took = told.map(|(at, _)| at.saturating_duration_since(since)).into_iter().max().unwrap();
    assert!(took < NOTICED, "{took:?}");
    if amid_a_flood {
        first.ask("halt", "published");
    }
    go_on(&mut first, &mut second);
    // Who comes now does not wait for it.
    let before = Instant::now();
    let mut third = started(&place, &server, 3);
    let opened = before.elapsed();
    third.ask("meet 2", "met");
    [first, second, third].iter_mut().for_each(Remote::shut_down);
    format!("noticed after {took:?}, the next one was open after {opened:?}")
}

fn stopped() -> String {
    let (place, server) = (Place::new(), NatsServer::start());
    let [mut first, mut victim] = [0, 1].map(|id| started(&place, &server, id));
    meet([&mut first, &mut victim]);
    victim.signal("STOP");
    let before = Instant::now();
    let mut second = started(&place, &server, 2);
    let opened = before.elapsed();
    assert!(opened < OPEN, "{opened:?}");
    second.ask("meet 1", "met");
    go_on(&mut second, &mut first);
    victim.signal("CONT");
    // It hears of the newcomer when it goes on.
    meet([&mut first, &mut victim, &mut second]);
    [first, victim, second].iter_mut().for_each(Remote::shut_down);
    format!("open after {opened:?}")
}

fn slow() -> String {
    const CUT: &str = "Slow Consumer Detected";
    let server = NatsServer::with_config("write_deadline: \"200ms\"\nmax_pending: 1MB\n");
    let figures = cut_off::cut_off(&server.url(), || server.process().written().contains(CUT));
    let times = server.process().written().matches(CUT).count();
    format!("{figures}; cut off {times} times")
}
