//! Nodes as processes that meet at a Redis server.

use tidings_testkit::RedisServer;

use crate::{cut_off, harness::Case, idle, jobs, place::Place, settings::Settings};

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
    cut_off::cut_off(&server.url(), || subscribed(&server) < 2)
}
