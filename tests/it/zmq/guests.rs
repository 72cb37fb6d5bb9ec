//! Programs that join with nothing but a ZeroMQ library.

use std::time::Duration;

use tidings::{Bytes, DropReason, Router, transport::Zmq};
use tidings_testkit::{
    DEADLINE, deadline, eventually, next, run,
    tokio::{self, sync::mpsc},
};

use super::{blocking, ears, heard, mouth, node_with_guests, said, say};

fn with_guests() -> Zmq {
    Zmq::bind("tcp://127.0.0.1:0").guests("tcp://127.0.0.1:0")
}

#[test]
fn a_guest_is_heard_by_every_node_once_and_in_order() {
    run("guest emits", || async {
        let zmq = with_guests();
        let a = node_with_guests(0, &zmq).await;
        let b =
            Router::builder().node_id(1).transport(Zmq::bind("tcp://127.0.0.1:0")).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        let mut at_a = a.subscribe::<u64>("count").unwrap();
        let mut at_b = b.subscribe::<u64>("count").unwrap();
        a.wait_for_listeners("count", 1).timeout(DEADLINE).await.unwrap();
        blocking(move || {
            let mouth = mouth(&zmq);
            (0..1000u64).for_each(|number| say(&mouth, "count", &number));
        })
        .await;
        for number in 0..1000u64 {
            for heard in [&mut at_a, &mut at_b] {
                let event = next(heard).await;
                assert_eq!((event.source, event.payload), (0.into(), number));
            }
        }
        assert!(at_a.try_next().is_none() && at_b.try_next().is_none());
    });
}

#[test]
fn a_guest_hears_what_it_has_subscribed_to_once_with_numbers() {
    run("guest hears", || async {
        let zmq = with_guests();
        let a = node_with_guests(0, &zmq).await;
        let b =
            Router::builder().node_id(1).transport(Zmq::bind("tcp://127.0.0.1:0")).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        // The second covers the first: each event comes once all the same.
        let first = ears(&zmq, "loss.");
        let second = ears(&zmq, "lo");
        b.wait_for_listeners("loss.train", 1).timeout(DEADLINE).await.unwrap();
        b.wait_for_listeners("log", 1).timeout(DEADLINE).await.unwrap();
        assert_eq!(b.listeners("accuracy"), 0, "nobody is interested");
        for number in 0..100u64 {
            b.emit("loss.train", &number).await.unwrap();
        }
        b.emit("log", Bytes::from_static(b"raw")).await.unwrap();
        blocking(move || {
            for ears in [&first, &second] {
                for number in 0..100u64 {
                    let (event, header, payload) = heard(ears);
                    assert_eq!((&*event, header.source, header.codec), ("loss.train", 1, 1));
                    assert_eq!((header.number, rmp_serde::from_slice(&payload).unwrap()), (number, number));
                }
            }
            let (event, header, payload) = heard(&second);
            assert_eq!((&*event, header.codec, header.number, &payload[..]), ("log", 0, 0, &b"raw"[..]));
        })
        .await;
        // They are gone, and with them the interest.
        eventually("nobody", || b.listeners("loss.train") == 0).await;
    });
}

#[test]
fn guests_that_come_and_go_cost_another_one_no_message_and_double_none() {
    const COUNT: u64 = 5_000;
    run("guests come and go", || async {
        let zmq = with_guests();
        let a = node_with_guests(0, &zmq).await;
        let b =
            Router::builder().node_id(1).transport(Zmq::bind("tcp://127.0.0.1:0")).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        let steady = ears(&zmq, "loss.");
        let fickle = ears(&zmq, "other");
        b.wait_for_listeners("loss.train", 1).timeout(DEADLINE).await.unwrap();
        let hearing = blocking(move || {
            for number in 0..COUNT {
                let (_, _, payload) = heard(&steady);
                assert_eq!(rmp_serde::from_slice::<u64>(&payload).unwrap(), number);
            }
        });
        let (turn, mut turns) = mpsc::channel(1);
        let changing = blocking(move || {
            // What each covers changes who listens for the steady one's events.
            for start in [&b"lo"[..], b"l", b"", b"loss.train", b"los"].into_iter().cycle() {
                fickle.set_subscribe(start).unwrap();
                if turns.blocking_recv().is_none() {
                    break;
                }
                fickle.set_unsubscribe(start).unwrap();
            }
        });
        let emitter = &b;
        let emitting = async move {
            for number in 0..COUNT {
                emitter.emit("loss.train", &number).await.unwrap();
                if number % 20 == 0 {
                    turn.send(()).await.unwrap();
                }
            }
        };
        tokio::join!(hearing, changing, emitting);
    });
}

#[test]
fn guests_hear_each_other_and_themselves() {
    run("guest to guest", || async {
        let zmq = with_guests();
        let a = node_with_guests(0, &zmq).await;
        let b =
            Router::builder().node_id(1).transport(Zmq::bind("tcp://127.0.0.1:0")).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        let ears = ears(&zmq, "chat");
        b.wait_for_listeners("chat", 1).timeout(DEADLINE).await.unwrap();
        blocking(move || {
            say(&mouth(&zmq), "chat", &"Hi");
            let (event, header, payload) = heard(&ears);
            assert_eq!((&*event, header.source), ("chat", 0));
            assert_eq!(rmp_serde::from_slice::<String>(&payload).unwrap(), "Hi");
        })
        .await;
    });
}

#[test]
fn what_is_no_message_is_counted_and_guests_go_on() {
    run("guest garbage", || async {
        let zmq = with_guests();
        let a = node_with_guests(0, &zmq).await;
        let mut numbers = a.subscribe::<u64>("x").unwrap();
        blocking(move || {
            let mouth = mouth(&zmq);
            let (header, payload) = said(&7u64);
            for parts in [
                vec![&b"x"[..]],
                vec![b"x", &payload],
                vec![b"x", &header, &payload, b"more"],
                vec![b"x", b"no header", &payload],
                vec![b"x", &header, b""],
                vec![b"x", &header, b"\xdd\xff\xff\xff\xff"],
                vec![b"\xff", &header, &payload],
                vec![b"", &header, &payload],
                vec![b"x*", &header, &payload],
            ] {
                mouth.send_multipart(parts, 0).unwrap();
            }
            say(&mouth, "x", &8u64);
        })
        .await;
        assert_eq!(next(&mut numbers).await.payload, 8);
        eventually("count", || a.stats().dropped.by(DropReason::Foreign) == 9).await;
    });
}

#[test]
fn a_guest_that_does_not_keep_up_misses_messages_by_their_numbers_and_holds_up_nobody() {
    const COUNT: u64 = 20_000;
    run("slow guest", || async {
        let zmq = with_guests().guest_queue(10);
        let a = node_with_guests(0, &zmq).await;
        let b =
            Router::builder().node_id(1).transport(Zmq::bind("tcp://127.0.0.1:0")).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        let mut at_a = a.subscribe::<Bytes>("flood").unwrap();
        let slow = {
            let slow = zmq::Context::new().socket(zmq::SUB).unwrap();
            slow.set_rcvhwm(1).unwrap();
            slow.set_rcvtimeo(2_000).unwrap();
            slow.connect(&zmq.doors().unwrap().hear).unwrap();
            slow.set_subscribe(b"flood").unwrap();
            slow
        };
        b.wait_for_listeners("flood", 2).timeout(DEADLINE).await.unwrap();
        let flood = async {
            for _ in 0..COUNT {
                b.emit("flood", Bytes::from(vec![0; 4096])).await.unwrap();
            }
        };
        let take = async {
            for _ in 0..COUNT {
                next(&mut at_a).await;
            }
        };
        tokio::join!(flood, take);
        blocking(move || {
            let (mut last, mut count) = (None, 0);
            while let Ok(parts) = slow.recv_multipart(0) {
                let header: super::Header = rmp_serde::from_slice(&parts[1]).unwrap();
                assert!(last.is_none_or(|last| header.number > last), "in order");
                (last, count) = (Some(header.number), count + 1);
            }
            let missed = last.map_or(COUNT, |last| last + 1 - count);
            assert!(count > 0 && count < COUNT, "{count} messages, {missed} missed");
        })
        .await;
    });
}

#[test]
fn a_node_without_guests_has_no_door_and_one_that_is_gone_lets_go_of_it() {
    run("doors", || async {
        assert_eq!(Zmq::bind("tcp://127.0.0.1:0").doors(), None);
        let zmq = with_guests();
        let a = node_with_guests(0, &zmq).await;
        let doors = zmq.doors().unwrap();
        deadline("shutdown", a.shutdown(Duration::from_secs(1))).await;
        drop(a);
        let port = doors.hear.strip_prefix("tcp://").unwrap().to_owned();
        eventually("free port", || std::net::TcpListener::bind(&*port).is_ok()).await;
    });
}
