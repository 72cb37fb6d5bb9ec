//! Nodes as processes that meet at a Redis server.

use tidings_testkit::{RedisServer, eventually};

use crate::{
    harness::Case,
    idle, jobs,
    node::block_on,
    place::Place,
    remote::{PATIENCE, Remote},
    settings::Settings,
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::always("redis::r7_two_jobs_with_defaults_do_not_hear_each_other", || {
            let server = RedisServer::start();
            jobs::two_jobs("job over redis", &[(jobs::SERVER, server.url())])
        }),
        Case::always("redis::r9_a_stalled_subscriber_that_the_server_cuts_off_loses_nothing", stalled),
        Case::always("redis::r10_an_idle_node_hardly_ever_wakes_up", || {
            let server = RedisServer::start();
            let place = Place::new();
            let nodes = [0, 1].map(|id| place.node(&Settings::new(id, server.url())));
            idle::watch(&place, nodes)
        }),
    ]
}

/// How many mailboxes are subscribed.
fn subscribed(server: &RedisServer) -> usize {
    server.command(&["PUBSUB", "CHANNELS", "*"]).lines().count()
}

fn stalled() -> String {
    let server = RedisServer::with(&["--client-output-buffer-limit", "pubsub 4mb 0 0"]);
    let place = Place::new();
    let node = |id| {
        let mut settings = Settings::new(id, server.url());
        // Silence and lagging are other tests'.
        (settings.dead_after, settings.max_wait) = (PATIENCE, PATIENCE);
        let mut node = place.node(&settings);
        node.line("open");
        node
    };
    let mut nodes = [0, 1].map(node);
    nodes.iter_mut().for_each(|node| drop(node.ask("meet 1", "met")));
    let [publisher, stopped] = &mut nodes;
    publisher.ask("mix 0", "flooding");
    stopped.signal("STOP");
    block_on(eventually("cut", || subscribed(&server) < 2));
    // Both sides notice: the one that publishes to nobody, and the one that is back.
    let (_, reason) = publisher.line("left 1 ");
    assert_eq!(reason, "LinkLost");
    stopped.signal("CONT");
    let (_, reason) = stopped.line("left 0 ");
    assert_eq!(reason, "LinkLost");
    publisher.line("joined 1");
    let published = publisher.ask("halt", "published")[0];
    stopped.ask(&format!("await 0 {published}"), "heard");
    let tally = stopped.ask(&format!("tally 0 {published}"), "tally");
    assert_eq!(tally, [published, 0, 0, 0], "received, lost, duplicated, reordered");
    nodes.iter_mut().for_each(Remote::shut_down);
    place.assert_empty();
    format!("{published} messages, none lost")
}
