//! Nodes with a journal in memory.

mod shelf;

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use self::shelf::Shelf;
use super::{Durable, Start};
use crate::{
    DropReason, Error, Event, Limits, ListenOptions, NodeId, Router, RouterBuilder, Subscription, Timeout,
    runtime,
};

/// How long a step may take.
const DEADLINE: Duration = Duration::from_secs(20);

fn run(test: impl Future<Output = ()>) {
    let within = runtime::block_on(Timeout::new(DEADLINE, Box::pin(test)));
    within.expect("the test is over in time");
}

fn node(id: u32, shelf: &Shelf, durable: Durable) -> RouterBuilder {
    <dyn Router>::builder().node_id(id).transport(shelf.transport(durable))
}

async fn opened(id: u32, shelf: &Shelf) -> Arc<dyn Router> {
    node(id, shelf, Durable::new("x*")).open().await.unwrap()
}

async fn emit(emitter: &Arc<dyn Router>, numbers: std::ops::Range<u64>) {
    for number in numbers {
        emitter.emit("x", &number).await.unwrap();
    }
}

async fn numbers(subscription: &mut Subscription<u64>, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(subscription.next().await.expect("the subscription goes on").payload);
    }
    numbers
}

#[test]
fn who_comes_later_hears_what_was_emitted_before() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        emit(&emitter, 0..100).await;
        emitter.shutdown(DEADLINE).await;
        let late = opened(1, &shelf).await;
        let mut heard = late.subscribe::<u64>("x").unwrap();
        assert_eq!(numbers(&mut heard, 100).await, (0..100).collect::<Vec<_>>());
        assert_eq!((late.stats().received, emitter.stats().journaled), (100, 100));
    });
}

#[test]
fn a_node_that_restarts_goes_on_where_its_listeners_were() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        emit(&emitter, 0..10).await;
        let first = opened(1, &shelf).await;
        let mut heard = first.subscribe::<u64>("x").unwrap();
        assert_eq!(numbers(&mut heard, 4).await, [0, 1, 2, 3]);
        // The fourth is not done with: nobody has come for the next one.
        first.shutdown(DEADLINE).await;
        let second = opened(1, &shelf).await;
        let mut heard = second.subscribe::<u64>("x").unwrap();
        assert_eq!(numbers(&mut heard, 3).await, [3, 4, 5]);
        // What is dropped is done with.
        drop(heard);
        second.shutdown(DEADLINE).await;
        let third = opened(1, &shelf).await;
        assert_eq!(numbers(&mut third.subscribe("x").unwrap(), 1).await, [6]);
    });
}

#[test]
fn what_a_listener_leaves_behind_the_next_one_hears() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        emit(&emitter, 0..10).await;
        let listener = opened(1, &shelf).await;
        for number in 0..3u64 {
            let mut once = listener.listen("x", ListenOptions::once()).unwrap();
            assert_eq!(once.next().await.unwrap().decode::<u64>().unwrap(), number);
        }
        for number in 3..6 {
            assert_eq!(numbers(&mut listener.subscribe("x").unwrap(), 1).await, [number]);
        }
    });
}

#[test]
fn nothing_is_passed_over_while_a_node_begins_to_listen() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        emitter.emit("x.1", &1u64).await.unwrap();
        emitter.emit("x.2", &2u64).await.unwrap();
        emitter.emit("x.1", &3u64).await.unwrap();
        let patient = node(1, &shelf, Durable::new("x*")).hold(DEADLINE).open().await.unwrap();
        let mut one = patient.subscribe::<u64>("x.1").unwrap();
        assert_eq!(numbers(&mut one, 1).await, [1]);
        let mut two = patient.subscribe::<u64>("x.2").unwrap();
        assert_eq!((numbers(&mut two, 1).await, numbers(&mut one, 1).await), (vec![2], vec![3]));
        // Who has no time passes over what nobody wants.
        let hasty = node(2, &shelf, Durable::new("x*")).hold(Duration::ZERO).open().await.unwrap();
        assert_eq!(numbers(&mut hasty.subscribe("x.1").unwrap(), 2).await, [1, 3]);
    });
}

#[test]
fn where_to_begin_is_said() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        emit(&emitter, 0..5).await;
        let durable = Durable::new("x").start(Start::All);
        let all = node(1, &shelf, durable.clone()).open().await.unwrap();
        let mut heard = all.subscribe::<u64>("x").unwrap();
        assert_eq!(numbers(&mut heard, 3).await, [0, 1, 2]);
        drop(heard);
        let position = durable.position().unwrap().to_string().parse().unwrap();
        let behind = node(2, &shelf, Durable::new("x").start(Start::After(position))).open().await.unwrap();
        assert_eq!(numbers(&mut behind.subscribe("x").unwrap(), 2).await, [3, 4]);
        shelf.settle(5).await;
        let new = node(3, &shelf, Durable::new("x").start(Start::New)).open().await.unwrap();
        emitter.emit("x", &5u64).await.unwrap();
        assert_eq!(numbers(&mut new.subscribe("x").unwrap(), 1).await, [5]);
        let wrong = Start::After("nowhere".parse().unwrap());
        let error = node(4, &shelf, Durable::new("x").start(wrong)).open().await.unwrap_err();
        assert!(matches!(&error, Error::Setting { setting, .. } if setting == "start"), "{error}");
    });
}

#[test]
fn a_durable_serves_one_node_at_a_time() {
    run(async {
        let shelf = Shelf::default();
        let durable = Durable::new("x");
        let one = node(0, &shelf, durable.clone()).open().await.unwrap();
        let error = node(1, &shelf, durable.clone()).open().await.unwrap_err();
        assert!(matches!(&error, Error::Setting { setting, .. } if setting == "durable"), "{error}");
        one.shutdown(DEADLINE).await;
        node(1, &shelf, durable).open().await.unwrap();
    });
}

#[test]
fn a_scope_is_kept_also_in_a_later_life() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        let mut own = emitter.subscribe::<u64>("x").unwrap();
        emitter.emit("x", &1u64).await.unwrap();
        emitter.emit("x", &2u64).only_remote().await.unwrap();
        emitter.emit("x", &3u64).only_local().await.unwrap();
        emitter.emit("x", &4u64).to(NodeId(1)).await.unwrap();
        emitter.emit("x", &5u64).to(NodeId(0)).await.unwrap();
        emitter.emit("x", &6u64).await.unwrap();
        assert_eq!(numbers(&mut own, 4).await, [1, 3, 5, 6]);
        emitter.shutdown(DEADLINE).await;
        assert!(own.next().await.is_none(), "its own entries were read again");
        for (id, expected) in [(0, vec![1, 6]), (1, vec![1, 2, 4, 6]), (2, vec![1, 2, 6])] {
            let later = node(id, &shelf, Durable::new("x").start(Start::All)).open().await.unwrap();
            let mut heard = later.subscribe::<u64>("x").unwrap();
            assert_eq!(numbers(&mut heard, expected.len()).await, expected, "at node {id}");
        }
    });
}

#[test]
fn what_comes_twice_is_heard_once() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        let listener = opened(1, &shelf).await;
        let mut heard = listener.subscribe::<u64>("x").unwrap();
        for number in 0..500u64 {
            if number % 50 == 25 {
                shelf.forget_to_answer();
            }
            emitter.emit("x", &number).await.unwrap();
        }
        assert_eq!(numbers(&mut heard, 500).await, (0..500).collect::<Vec<_>>());
        emitter.shutdown(DEADLINE).await;
        assert!(shelf.len() > 500, "nothing came twice");
        assert!(heard.try_next().is_none());
    });
}

#[test]
fn without_a_server_an_emit_waits_then_fails_then_goes_on() {
    run(async {
        let shelf = Shelf::default();
        let durable = Durable::new("x");
        let builder = node(0, &shelf, durable.clone()).queue_messages(4).max_wait(Duration::from_millis(50));
        let emitter = builder.open().await.unwrap();
        shelf.set_up(false);
        emit(&emitter, 0..4).await;
        for _ in 0..2 {
            match emitter.emit("x", &4u64).await {
                Err(Error::Full { queue, .. }) => assert!(queue.contains("memory://shelf"), "{queue}"),
                result => panic!("{result:?}"),
            }
        }
        match durable.flush().await {
            Err(Error::Journal { server, source }) => {
                assert_eq!((&*server, &*source.to_string()), ("memory://shelf", "it is down"));
            }
            result => panic!("{result:?}"),
        }
        assert_eq!(emitter.stats().unjournaled, 4);
        shelf.set_up(true);
        while durable.flush().await.is_err() {}
        emitter.emit("x", &4u64).await.unwrap();
        durable.flush().await.unwrap();
        assert_eq!((shelf.len(), emitter.stats().journaled, emitter.stats().dropped.total()), (5, 5, 0));
    });
}

#[test]
fn a_shutdown_writes_what_is_queued_or_counts_it() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        shelf.set_up(false);
        emit(&emitter, 0..10).await;
        let mut closing = emitter.shutdown(DEADLINE).into_future();
        assert!(closing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        shelf.set_up(true);
        let report = closing.await;
        assert_eq!((report.flushed, report.discarded, shelf.len()), (10, 0, 10));

        let other = opened(1, &shelf).await;
        shelf.set_up(false);
        other.emit("x", &1u64).await.unwrap();
        let report = other.shutdown(Duration::from_millis(50)).await;
        assert_eq!((report.flushed, report.discarded), (0, 1));
        assert_eq!(other.stats().dropped.by(DropReason::Shutdown), 1);
    });
}

#[test]
fn a_node_that_is_dropped_writes_what_is_queued() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        shelf.set_up(false);
        emit(&emitter, 0..10).await;
        drop(emitter);
        shelf.set_up(true);
        shelf.settle(10).await;
    });
}

#[test]
fn a_slow_listener_holds_the_reader_back_and_is_not_evicted() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        emit(&emitter, 0..1000).await;
        let limits = Limits { queue_messages: 20, max_wait: Duration::from_millis(1), ..Limits::default() };
        let slow = node(1, &shelf, Durable::new("x")).limits(limits).open().await.unwrap();
        let mut heard = slow.subscribe::<u64>("x").unwrap();
        assert_eq!(numbers(&mut heard, 1).await, [0]);
        shelf.settle(1000).await;
        assert!(slow.stats().received <= 11, "{} were read", slow.stats().received);
        assert_eq!(numbers(&mut heard, 999).await, (1..1000).collect::<Vec<_>>());
        assert_eq!(slow.stats().dropped.total(), 0);
    });
}

#[test]
fn what_is_foreign_or_gone_is_counted() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        emitter.emit("x", &1u64).await.unwrap();
        shelf.settle(1).await;
        shelf.write("what is this?");
        emitter.emit("x", &2u64).await.unwrap();
        let listener = opened(1, &shelf).await;
        let mut heard = listener.subscribe::<u64>("x").unwrap();
        assert_eq!(numbers(&mut heard, 2).await, [1, 2]);
        drop(heard);
        assert_eq!(listener.stats().dropped.by(DropReason::Foreign), 1);
        emit(&emitter, 3..13).await;
        shelf.settle(13).await;
        shelf.trim(4);
        // The first of them hears nothing, and leaves the gap to the next one.
        let mut first = listener.subscribe::<u64>("x").unwrap();
        while listener.stats().dropped.by(DropReason::Trimmed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(first.try_next().is_none_or(|event| event.payload == 9));
        drop(first);
        let mut heard = listener.subscribe::<u64>("x").unwrap();
        let rest = numbers(&mut heard, 3).await;
        assert!(rest == [9, 10, 11] || rest == [10, 11, 12], "{rest:?}");
        assert_eq!(listener.stats().dropped.by(DropReason::Trimmed), 6);
    });
}

#[test]
fn what_is_too_large_for_the_server_is_an_error_that_names_its_setting() {
    run(async {
        let shelf = Shelf::default();
        let emitter = opened(0, &shelf).await;
        match emitter.emit("x", bytes::Bytes::from(vec![0; shelf::LIMIT])).await {
            Err(Error::EntryTooLarge { limit, setting, .. }) => {
                assert_eq!((limit, setting), (shelf::LIMIT, "shelf_limit"));
            }
            result => panic!("{result:?}"),
        }
        emitter.emit("y", bytes::Bytes::from(vec![0; shelf::LIMIT])).await.unwrap();
    });
}

#[test]
fn other_events_go_over_links() {
    run(async {
        let shelf = Shelf::default();
        let one = opened(0, &shelf).await;
        let builder = node(1, &shelf, Durable::new("x*")).attach_to(one.addresses());
        let other = builder.open().await.unwrap();
        let mut heard = other.subscribe::<u64>("*").unwrap();
        one.wait_for_listeners("y", 1).await.unwrap();
        one.emit("y", &1u64).await.unwrap();
        one.emit("x", &2u64).await.unwrap();
        let mut events: Vec<Event<u64>> = Vec::new();
        for _ in 0..2 {
            events.push(heard.next().await.unwrap());
        }
        let mut names: Vec<_> = events.iter().map(|event| (&*event.name, event.payload)).collect();
        names.sort_unstable();
        assert_eq!((names, shelf.len()), (vec![("x", 2), ("y", 1)], 1));
        assert!(heard.try_next().is_none());
    });
}

#[test]
fn a_server_that_refuses_or_is_not_there_is_an_error_of_open() {
    run(async {
        let shelf = Shelf::default();
        shelf.set_up(false);
        let limit = Duration::from_millis(50);
        let error = node(0, &shelf, Durable::new("x")).connect_timeout(limit).open().await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { after, .. } if *after == limit), "{error}");
        let error = node(0, &shelf, Durable::new("x").max_messages(0)).open().await.unwrap_err();
        assert!(matches!(&error, Error::Setting { setting, .. } if setting == "max_messages"), "{error}");
    });
}
