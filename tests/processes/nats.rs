//! Nodes that meet at a NATS server are killed or stopped.

use std::time::{Duration, Instant};

use tidings_testkit::{NatsServer, eventually};

use crate::{
    harness::Case,
    node::block_on,
    place::Place,
    remote::{PATIENCE, Remote},
    settings::Settings,
};

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

/// As with Redis (`redis::r9`): the server cuts off who takes nothing of what it has for it.
fn slow() -> String {
    const CUT: &str = "Slow Consumer Detected";
    let (place, server) =
        (Place::new(), NatsServer::with_config("write_deadline: \"200ms\"\nmax_pending: 1MB\n"));
    let node = |id| {
        let mut settings = Settings::new(id, server.url());
        // Silence and lagging are other tests'.
        (settings.dead_after, settings.max_wait) = (PATIENCE, PATIENCE);
        let mut node = place.node(&settings);
        node.line("open ");
        node
    };
    let mut nodes = [0, 1].map(node);
    let [publisher, victim] = &mut nodes;
    meet([publisher, victim]);
    [&mut *publisher, &mut *victim].into_iter().zip(["joined 1", "joined 0"]).for_each(|(node, joined)| {
        node.line(joined);
    });
    publisher.ask("mix 0", "flooding");
    victim.signal("STOP");
    block_on(eventually("slow consumer", || server.process().written().contains(CUT)));
    // Both sides notice: the one that publishes to nobody, and the one that is back.
    let (_, reason) = publisher.line("left 1 ");
    assert_eq!(reason, "LinkLost");
    victim.signal("CONT");
    let (_, reason) = victim.line("left 0 ");
    assert_eq!(reason, "LinkLost");
    publisher.line("joined 1");
    victim.line("joined 0");
    let published = publisher.ask("halt", "published")[0];
    victim.ask(&format!("await 0 {published}"), "heard");
    let tally = victim.ask(&format!("tally 0 {published}"), "tally");
    assert_eq!(tally, [published, 0, 0, 0], "received, lost, duplicated, reordered");
    nodes.iter_mut().for_each(Remote::shut_down);
    place.assert_empty();
    let cut = server.process().written().matches(CUT).count();
    format!("{published} messages, none lost; cut off {cut} times")
}
