//! A password that stands in an address is told nobody.

use std::fmt::Debug;

use tidings::{
    Address, Error, Parallel, Router,
    transport::{Ipc, Nats, Redis, Tcp, Zmq, listening_on},
};
use tidings_testkit::{deadline, run};

/// Addresses with a password, of brokers and of what has no use for one; some are none at all.
const SECRETIVE: [&str; 10] = [
    "redis://alice:hunter2@host",
    "rediss://:hunter2@host:1/0?protocol=resp2",
    "redis+unix:///run/redis.sock?user=alice&pass=hunter2",
    "nats://hunter2@host",
    "nats://alice:hunter2@a,nats://alice:hunter2@b",
    "tcp://alice:hunter2@host:1",
    "alice:hunter2@host:1",
    "zmq+tcp://alice:hunter2@host:1",
    "pigeon://alice:hunter2@host",
    "alice:hunter2@host",
];

#[track_caller]
fn keeps_it(said: impl Debug) {
    for text in [format!("{said:?}"), format!("{said:#?}")] {
        assert!(!text.contains("hunter2") && !text.contains("alice"), "{text}");
    }
}

#[test]
fn no_address_and_no_configuration_tells_its_password() {
    for text in SECRETIVE {
        if let Ok(address) = text.parse::<Address>() {
            keeps_it(&address);
            keeps_it(address.to_string());
            assert!(address.as_str().ends_with(text), "all of it is there for who asks for it");
            keeps_it(listening_on(&address));
        }
        keeps_it(Redis::connect(text));
        keeps_it(Nats::connect(text));
        keeps_it(Tcp::bind(text));
        keeps_it(Zmq::bind(text).guests(text));
        keeps_it(Router::builder().attach_to([text]));
        keeps_it(Parallel::runner(1).attach_to([text]));
    }
}

#[test]
fn no_error_of_an_address_tells_its_password() {
    run("passwords", || async {
        for text in SECRETIVE {
            let told = |error: Error| keeps_it((error.to_string(), error));
            let attaching = Router::builder().transport(Ipc::new()).attach_to([text]).open();
            told(deadline("answer", attaching).await.unwrap_err());
            // None of these is tried: it is no address of the other broker.
            if !text.starts_with("redis") {
                told(
                    deadline("answer", Router::builder().transport(Redis::connect(text)).open())
                        .await
                        .unwrap_err(),
                );
            }
            if text.contains("://") && !text.starts_with("nats") {
                told(
                    deadline("answer", Router::builder().transport(Nats::connect(text)).open())
                        .await
                        .unwrap_err(),
                );
            }
            told(deadline("answer", Router::builder().transport(Tcp::bind(text)).open()).await.unwrap_err());
            told(deadline("answer", Router::builder().transport(Zmq::bind(text)).open()).await.unwrap_err());
        }
    });
}
