//! What every journal does, whatever the server.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tidings::{
    Bytes, DropReason, Durable, Error, Event, NodeId, Router, RouterBuilder, Start, Subscription, Task,
};
use tidings_testkit::{Checker, DEADLINE, Numbered, deadline, eventually, next, tokio};

use super::{CHILD, Server};

fn node(id: u32, server: &impl Server, durable: Durable) -> RouterBuilder {
    let transport = super::transport(&server.url(), durable);
    Router::builder().node_id(id).shared_transport(transport).connect_timeout(DEADLINE)
}

async fn opened(id: u32, server: &impl Server) -> Arc<Router> {
    opened_with(id, server, Durable::new("x*")).await
}

async fn opened_with(id: u32, server: &impl Server, durable: Durable) -> Arc<Router> {
    deadline("node", node(id, server, durable).open()).await.unwrap()
}

async fn emit(router: &Router, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        deadline("emit", router.emit("x", &number)).await.unwrap();
    }
}

async fn hear(subscription: &mut Subscription<u64>, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        assert_eq!(next(subscription).await.payload, number);
    }
}

async fn leave(router: &Router) {
    let report = deadline("shutdown", router.shutdown(DEADLINE)).await;
    assert_eq!(report.discarded, 0);
}

pub(super) async fn who_comes_later_hears_everything(server: &mut impl Server) {
    let emitter = opened(0, server).await;
    emit(&emitter, 0..3000).await;
    leave(&emitter).await;
    let late = opened(1, server).await;
    hear(&mut late.subscribe("x").unwrap(), 0..3000).await;
    assert_eq!((emitter.stats().journaled, late.stats().dropped.total()), (3000, 0));
}

pub(super) async fn who_waits_hears_at_once(server: &mut impl Server) {
    let (emitter, listener) = (opened(0, server).await, opened(1, server).await);
    let mut heard = listener.subscribe::<u64>("x").unwrap();
    for number in 0..20 {
        emit(&emitter, [number]).await;
        hear(&mut heard, [number]).await;
    }
}

pub(super) async fn a_node_that_restarts_goes_on_where_its_listeners_were(server: &mut impl Server) {
    let emitter = opened(0, server).await;
    emit(&emitter, 0..100).await;
    let first = opened(1, server).await;
    hear(&mut first.subscribe("x").unwrap(), 0..40).await;
    leave(&first).await;
    emit(&emitter, 100..200).await;
    let second = opened(1, server).await;
    hear(&mut second.subscribe("x").unwrap(), 40..150).await;
    leave(&second).await;
    hear(&mut opened(1, server).await.subscribe("x").unwrap(), 150..200).await;
}

pub(super) async fn listeners_that_come_one_after_the_other_miss_nothing(server: &mut impl Server) {
    let (emitter, listener) = (opened(0, server).await, opened(1, server).await);
    emit(&emitter, 0..20).await;
    for number in 0..20 {
        hear(&mut listener.subscribe("x").unwrap(), [number]).await;
    }
}

pub(super) async fn a_node_that_is_killed_misses_nothing(server: &mut impl Server) {
    const COUNT: u64 = 500;
    let emitter = opened(0, server).await;
    emit(&emitter, 0..COUNT).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["durable::a_node_to_be_killed", "--exact", "--nocapture"]);
    let mut child = child.env(CHILD, server.url()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let heard: Vec<u64> =
        lines.filter_map(|line| line.strip_prefix("heard ")?.parse().ok()).take(200).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(heard, (0..200).collect::<Vec<_>>());
    let again = opened(1, server).await;
    let mut heard = again.subscribe::<u64>("x").unwrap();
    let first = next(&mut heard).await.payload;
    assert!(first <= 200, "{first} is the first after 199");
    hear(&mut heard, first + 1..COUNT).await;
}

pub(super) async fn where_to_begin_is_said(server: &mut impl Server) {
    let emitted = Durable::new("x");
    let emitter = opened_with(0, server, emitted.clone()).await;
    emit(&emitter, 0..10).await;
    deadline("flush", emitted.flush()).await.unwrap();
    let replayed = Durable::new("x").start(Start::All);
    let replay = opened_with(1, server, replayed.clone()).await;
    hear(&mut replay.subscribe("x").unwrap(), 0..6).await;
    leave(&replay).await;
    let position = replay_position(server, 6).await;
    let after = Durable::new("x").start(Start::After(position.parse().unwrap()));
    hear(&mut opened_with(2, server, after).await.subscribe("x").unwrap(), 6..10).await;
    let again = opened_with(1, server, Durable::new("x").start(Start::All)).await;
    hear(&mut again.subscribe("x").unwrap(), 0..10).await;
    let new = opened_with(3, server, Durable::new("x").start(Start::New)).await;
    emit(&emitter, [10]).await;
    hear(&mut new.subscribe("x").unwrap(), [10]).await;
    let nowhere = Durable::new("x").start(Start::After("nowhere".parse().unwrap()));
    let error = deadline("answer", node(4, server, nowhere).open()).await.unwrap_err();
    assert!(matches!(&error, Error::Setting { setting, .. } if setting == "start"), "{error}");
}

/// The position behind so many messages, as text.
async fn replay_position(server: &impl Server, count: u64) -> String {
    let durable = Durable::new("x").start(Start::All);
    let replay = opened_with(9, server, durable.clone()).await;
    hear(&mut replay.subscribe("x").unwrap(), 0..count).await;
    durable.position().unwrap().to_string()
}

pub(super) async fn a_server_that_is_killed_amid_a_flood_loses_nothing(server: &mut impl Server) {
    const COUNT: u64 = 6_000;
    let listener = opened(2, server).await;
    let emitters = [opened(0, server).await, opened(1, server).await];
    let mut heard = listener.subscribe::<Bytes>("x").unwrap();
    for number in 0..COUNT {
        if number % 2_000 == 1_000 {
            server.kill();
            server.restart();
        }
        for (publisher, emitter) in (0..).zip(&emitters) {
            let payload = Numbered { publisher, number }.payload(200);
            deadline("emit", emitter.emit("x", payload)).await.unwrap();
        }
    }
    let mut checker = Checker::default();
    for _ in 0..2 * COUNT {
        checker.saw(2, Numbered::read(&next(&mut heard).await.payload));
    }
    checker.assert_whole(0, 2, COUNT);
    checker.assert_whole(1, 2, COUNT);
    checker.assert_in_order();
    assert_eq!(listener.stats().dropped.total(), 0);
}

pub(super) async fn a_server_that_is_stopped_for_a_while_loses_nothing(server: &mut impl Server) {
    let (emitter, listener) = (opened(0, server).await, opened(1, server).await);
    let mut heard = listener.subscribe::<u64>("x").unwrap();
    emit(&emitter, 0..10).await;
    hear(&mut heard, 0..10).await;
    server.process().pause();
    emit(&emitter, 10..100).await;
    server.process().resume();
    hear(&mut heard, 10..100).await;
}

pub(super) async fn a_handler_has_taken_what_it_is_done_with(server: &mut impl Server) {
    let durable = Durable::new("x");
    let (emitter, listener) = (opened(0, server).await, opened_with(1, server, durable.clone()).await);
    let task = Task::builder().router(listener.clone()).build();
    let (heard, mut numbers) = tokio::sync::mpsc::channel(100);
    task.on("x", move |event: Event<u64>| heard.try_send(event.payload));
    emit(&emitter, 0..100).await;
    for number in 0..100 {
        assert_eq!(deadline("number", numbers.recv()).await, Some(number));
    }
    let last = replay_position(server, 100).await;
    eventually("position", || durable.position().is_some_and(|position| position.to_string() == last)).await;
}

pub(super) async fn what_the_bound_drops_is_counted(server: &mut impl Server) {
    const COUNT: u64 = 3_000;
    let bounded = || Durable::new("x").max_messages(200);
    let emitted = bounded();
    let emitter = opened_with(0, server, emitted.clone()).await;
    emit(&emitter, 0..10).await;
    let first = opened_with(1, server, bounded()).await;
    hear(&mut first.subscribe("x").unwrap(), 0..10).await;
    leave(&first).await;
    emit(&emitter, 10..COUNT).await;
    deadline("flush", emitted.flush()).await.unwrap();
    let second = opened_with(1, server, bounded()).await;
    let mut heard = second.subscribe::<u64>("x").unwrap();
    let oldest = next(&mut heard).await.payload;
    assert!((COUNT - 500..=COUNT - 200).contains(&oldest), "{oldest} of {COUNT} is the oldest");
    hear(&mut heard, oldest + 1..COUNT).await;
    assert_eq!(second.stats().dropped.by(DropReason::Trimmed), oldest - 10);
}

pub(super) async fn a_slow_listener_holds_the_reader_back(server: &mut impl Server) {
    let emitter = opened(0, server).await;
    emit(&emitter, 0..500).await;
    leave(&emitter).await;
    let builder = node(1, server, Durable::new("x")).queue_messages(20).max_wait(Duration::from_millis(1));
    let slow = deadline("node", builder.open()).await.unwrap();
    let mut heard = slow.subscribe::<u64>("x").unwrap();
    for number in 0..500 {
        hear(&mut heard, [number]).await;
        // Those that are handed out and not taken, this one among them.
        assert!(slow.stats().received <= number + 1 + 10, "{} were read", slow.stats().received);
    }
    assert_eq!(slow.stats().dropped.total(), 0);
}

pub(super) async fn without_a_server_an_emit_waits_then_fails_then_goes_on(server: &mut impl Server) {
    let durable = Durable::new("x");
    let builder = node(0, server, durable.clone()).queue_messages(10).max_wait(Duration::from_millis(100));
    let emitter = deadline("node", builder.open()).await.unwrap();
    emit(&emitter, 0..5).await;
    deadline("flush", durable.flush()).await.unwrap();
    server.kill();
    emit(&emitter, 5..15).await;
    for _ in 0..2 {
        match deadline("error", emitter.emit("x", &15u64)).await {
            Err(Error::Full { queue, .. }) => assert!(queue.contains(&server.name()), "{queue}"),
            result => panic!("{result:?}"),
        }
    }
    match deadline("error", durable.flush()).await {
        Err(Error::Journal { server: named, .. }) => assert!(named.contains(&server.name()), "{named}"),
        result => panic!("{result:?}"),
    }
    server.restart();
    let goes_on = async { while durable.flush().await.is_err() {} };
    deadline("flush", goes_on).await;
    emit(&emitter, 15..20).await;
    let late = opened(1, server).await;
    hear(&mut late.subscribe("x").unwrap(), 0..20).await;
    assert_eq!(emitter.stats().dropped.total(), 0);
}

pub(super) async fn a_shutdown_writes_what_is_queued_or_counts_it(server: &mut impl Server) {
    let emitter = opened(0, server).await;
    emit(&emitter, 0..2000).await;
    leave(&emitter).await;
    assert_eq!(emitter.stats().journaled, 2000);
    let late = opened(1, server).await;
    hear(&mut late.subscribe("x").unwrap(), 0..2000).await;
    server.kill();
    emit(&late, 0..3).await;
    let report = deadline("shutdown", late.shutdown(Duration::from_millis(200))).await;
    assert_eq!((report.discarded, late.stats().dropped.by(DropReason::Shutdown)), (3, 3));
}

pub(super) async fn scopes_are_kept(server: &mut impl Server) {
    let nodes = [opened(0, server).await, opened(1, server).await, opened(2, server).await];
    let [one, two, three] = &nodes;
    let mut heard: Vec<_> = nodes.iter().map(|node| node.subscribe::<u64>("*").unwrap()).collect();
    for node in &nodes {
        node.wait_for_listeners("y", 2).timeout(DEADLINE).await.unwrap();
    }
    one.emit("x", &1u64).only_local().await.unwrap();
    one.emit("x", &2u64).to(NodeId(1)).await.unwrap();
    one.emit("x", &3u64).only_remote().await.unwrap();
    one.emit("x", &4u64).await.unwrap();
    hear(&mut heard[0], [1, 4]).await;
    hear(&mut heard[1], [2, 3, 4]).await;
    hear(&mut heard[2], [3, 4]).await;
    assert_eq!((one.stats().journaled, one.stats().sent), (3, 0));
    // What is not named there goes over links as ever.
    two.emit("y", &5u64).await.unwrap();
    three.emit("y", &6u64).to(NodeId(0)).await.unwrap();
    hear(&mut heard[2], [5]).await;
    let mut last = [next(&mut heard[0]).await.payload, next(&mut heard[0]).await.payload];
    last.sort_unstable();
    assert_eq!((last, two.stats().journaled, two.stats().sent), ([5, 6], 0, 2));
}

pub(super) async fn what_other_programs_write_is_counted(server: &mut impl Server) {
    let durable = Durable::new("x");
    let emitter = opened_with(0, server, durable.clone()).await;
    emit(&emitter, [1]).await;
    deadline("flush", durable.flush()).await.unwrap();
    server.write_foreign().await;
    emit(&emitter, [2]).await;
    let listener = opened(1, server).await;
    hear(&mut listener.subscribe("x").unwrap(), [1, 2]).await;
    assert_eq!(listener.stats().dropped.by(DropReason::Foreign), 1);
}

pub(super) async fn clusters_have_journals_of_their_own(server: &mut impl Server) {
    let emitter = opened(0, server).await;
    emit(&emitter, [1]).await;
    leave(&emitter).await;
    let other = node(1, server, Durable::new("x")).cluster("other: *");
    let other = deadline("node", other.open()).await.unwrap();
    let mut heard = other.subscribe::<u64>("x").unwrap();
    emit(&other, [2]).await;
    hear(&mut heard, [2]).await;
    leave(&other).await;
    assert_eq!(other.stats().received, 0);
}

pub(super) async fn large_messages_come_through(server: &mut impl Server) {
    let emitter = opened(0, server).await;
    let payload = |number| Numbered { publisher: 0, number }.payload(900_000);
    for number in 0..20 {
        deadline("emit", emitter.emit("x", payload(number))).await.unwrap();
    }
    let listener = opened(1, server).await;
    let mut heard = listener.subscribe::<Bytes>("x").unwrap();
    for number in 0..20 {
        assert_eq!(next(&mut heard).await.payload, payload(number));
    }
}
