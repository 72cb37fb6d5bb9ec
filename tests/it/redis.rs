//! A Redis server that fails in every way, and what a node makes of it.

use std::{fs, path::PathBuf, time::Duration};

use tidings::{Bytes, DropReason, Error, Router, RouterBuilder, Topology, error_chain, transport::Redis};
use tidings_testkit::{
    Checker, Cluster, DEADLINE, Numbered, PrivateDir, RedisServer, Setup, cases, deadline, eventually, next,
    run, tokio,
};

fn setup(server: &RedisServer) -> Setup {
    let url = server.url();
    Setup::new(Topology::Mesh, move |_directory, _number| Redis::connect(url.clone()))
}

fn node(id: u32, redis: Redis) -> RouterBuilder {
    Router::builder().node_id(id).transport(redis).connect_timeout(DEADLINE)
}

/// Asserts that the first node of a cluster still reaches the last one.
async fn works(cluster: &Cluster) {
    let (first, last) = (&cluster[0], &cluster[cluster.len() - 1]);
    let mut heard = last.subscribe::<u64>("works").unwrap();
    first.wait_for_listeners("works", 1).timeout(DEADLINE).await.unwrap();
    first.emit("works", &1u64).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, 1);
}

/// Emits numbered messages of `size` bytes to each listener while the server is treated badly, and checks that each
/// arrives once, in order.
async fn flood(
    server: &mut RedisServer,
    (listeners, count, size): (u32, u64, usize),
    mut trouble: impl FnMut(&mut RedisServer),
) {
    let patient = |builder: RouterBuilder| builder.max_wait(DEADLINE);
    let cluster = Cluster::with(&setup(server), listeners + 1, patient).await;
    let heard = |id| cluster[id as usize].subscribe::<Bytes>("x").unwrap();
    let mut heard: Vec<_> = (1..=listeners).map(heard).collect();
    cluster[0].wait_for_listeners("x", listeners as usize).timeout(DEADLINE).await.unwrap();
    let emitting = async {
        for number in 0..count {
            if number % (count / 3) == count / 6 {
                trouble(server);
            }
            let payload = Numbered { publisher: 0, number }.payload(size);
            deadline("emit", cluster[0].emit("x", payload).only_remote()).await.unwrap();
        }
    };
    let mut checker = Checker::default();
    let hearing = async {
        for _ in 0..count {
            for (listener, heard) in (1..).zip(&mut heard) {
                checker.saw(listener, Numbered::read(&next(heard).await.payload));
            }
        }
    };
    tokio::join!(emitting, hearing);
    for listener in 1..=listeners {
        checker.assert_whole(0, listener, count);
    }
    checker.assert_in_order();
    assert_eq!(cluster.dropped(), 0);
}

/// Messages of 1 KiB to one listener, and large ones to several, which are published once for all of them.
const SMALL: (u32, u64, usize) = (1, 6_000, 1024);
const LARGE: (u32, u64, usize) = (3, 900, 64 << 10);

#[test]
fn r7_jobs_on_one_server_hear_nothing_of_each_other() {
    run("r7", || async {
        let server = RedisServer::start();
        cases::identity::clusters_never_hear_each_other(&setup(&server)).await;
        // Nor do those whose names run into each other.
        let one = node(0, Redis::connect(server.url()).prefix("a")).cluster("b:c");
        let other = node(1, Redis::connect(server.url()).prefix("a:b")).cluster("c");
        let opened =
            [deadline("node", one.open()).await.unwrap(), deadline("node", other.open()).await.unwrap()];
        assert!(opened.iter().all(|node| node.peers().is_empty()));
    });
}

#[test]
fn r8_a_server_that_is_killed_and_restarted_amid_a_flood_loses_nothing() {
    run("r8 restart", || async {
        flood(&mut RedisServer::start(), SMALL, RedisServer::restart).await;
        flood(&mut RedisServer::start(), LARGE, RedisServer::restart).await;
    });
}

#[test]
fn r8_connections_that_the_server_kills_amid_a_flood_lose_nothing() {
    run("r8 client kill", || async {
        for what in [SMALL, LARGE] {
            flood(&mut RedisServer::start(), what, |server| {
                server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            })
            .await;
        }
    });
}

#[test]
fn r9_an_output_buffer_that_runs_over_loses_nothing() {
    run("r9 output buffer", || async {
        // Less than one packet of a large message: the server cuts the subscriber off again and again.
        let server = RedisServer::with(&["--client-output-buffer-limit", "pubsub 4mb 0 0"]);
        let setup = setup(&server);
        cases::delivery::burst(&setup, 2, 24, 1 << 20).await;
    });
}

#[test]
fn a_server_that_pauses_is_waited_for() {
    run("client pause", || async {
        flood(&mut RedisServer::start(), SMALL, |server| {
            server.command(&["CLIENT", "PAUSE", "300"]);
        })
        .await;
    });
}

#[test]
fn a_server_that_is_stopped_for_a_while_loses_nothing() {
    run("stopped server", || async {
        let server = RedisServer::start();
        let cluster = Cluster::of(&setup(&server), 2).await;
        let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
        cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        server.process().pause();
        for number in 0..100u64 {
            cluster[0].emit("x", &number).await.unwrap();
        }
        server.process().resume();
        for number in 0..100 {
            assert_eq!(next(&mut heard).await.payload, number);
        }
    });
}

#[test]
fn a_server_that_comes_later_is_waited_for() {
    run("late server", || async {
        let mut server = RedisServer::start();
        server.kill();
        let opening = node(0, Redis::connect(server.url())).open();
        let (router, ()) = deadline("node", async {
            tokio::join!(async { opening.await.unwrap() }, async { server.restart() })
        })
        .await;
        assert!(router.peers().is_empty());
    });
}

#[test]
fn a_server_that_is_not_there_is_unreachable_and_named() {
    run("no server", || async {
        let url = "redis+unix:///nowhere/redis.sock";
        let limit = Duration::from_millis(100);
        let opening = node(0, Redis::connect(url)).connect_timeout(limit).open();
        match deadline("answer", opening).await.unwrap_err() {
            Error::Unreachable { address, after, source } => {
                assert!(address.to_string().contains("/nowhere/redis.sock"), "{address}");
                assert!(after == limit && source.is_some());
            }
            error => panic!("{error:?}"),
        }
    });
}

/// Opens a node where the server refuses it, and returns the error.
async fn refusal(redis: Redis) -> String {
    let error = deadline("answer", node(0, redis).open()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_wrong_password_is_refused_and_not_told() {
    run("wrong password", || async {
        let server = RedisServer::with(&["--requirepass", "right"]);
        let with = |password: &str| Redis::connect(format!("{}?pass={password}", server.url()));
        let error = refusal(with("hunter2")).await;
        assert!(error.contains("password") && !error.contains("hunter2"), "{error}");
        assert!(refusal(Redis::connect(server.url())).await.contains("NOAUTH"));
        deadline("node", node(0, with("right")).open()).await.unwrap();
    });
}

/// A server that speaks TLS on a port, with a certificate for `localhost` that is at the path returned.
fn encrypted(files: &PrivateDir) -> (RedisServer, PathBuf) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, secret) = (files.join("certificate.pem"), files.join("key.pem"));
    fs::write(&certificate, key.cert.pem()).unwrap();
    fs::write(&secret, key.signing_key.serialize_pem()).unwrap();
    let [certificate_path, secret_path] = [&certificate, &secret].map(|path| path.to_str().unwrap());
    let server = RedisServer::with(&[
        "--bind",
        "127.0.0.1",
        "--tls-port",
        "PORT",
        "--tls-cert-file",
        certificate_path,
        "--tls-key-file",
        secret_path,
        "--tls-ca-cert-file",
        certificate_path,
        "--tls-auth-clients",
        "no",
    ]);
    (server, certificate)
}

#[test]
fn nodes_meet_over_tls_at_a_server_whose_certificate_names_it() {
    run("tls", || async {
        let files = PrivateDir::new();
        let (server, certificate) = encrypted(&files);
        let url = format!("rediss://localhost:{}", server.port());
        let setup = Setup::new(Topology::Mesh, move |_directory, _number| {
            Redis::connect(url.clone()).certificate_authority(&certificate)
        });
        cases::delivery::burst(&setup, 2, 2_000, 64).await;
        cases::delivery::burst(&setup, 2, 4, 1 << 20).await;
    });
}

#[test]
fn a_certificate_of_another_name_or_of_nobody_known_is_refused() {
    run("wrong certificate", || async {
        let files = PrivateDir::new();
        let (server, certificate) = encrypted(&files);
        let at = |host: &str| Redis::connect(format!("rediss://user:hunter2@{host}:{}", server.port()));
        for wrong in [at("127.0.0.1").certificate_authority(&certificate), at("localhost")] {
            let error = refusal(wrong).await;
            assert!(error.contains("certificate") && error.contains(".certificate_authority(..)"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("database"), "{error}");
        }
    });
}

#[test]
fn a_server_without_tls_is_unreachable_over_it_and_the_error_says_what_to_look_at() {
    run("no tls", || async {
        let server = RedisServer::with(&["--bind", "127.0.0.1", "--port", "PORT"]);
        let url = format!("rediss://user:hunter2@127.0.0.1:{}", server.port());
        let limit = Duration::from_millis(300);
        let opening = node(0, Redis::connect(url)).connect_timeout(limit).open();
        let error = deadline("answer", opening).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        let said = error_chain(&error);
        assert!(said.contains(&format!("127.0.0.1:{}", server.port())) && said.contains("TLS"), "{said}");
        assert!(!format!("{error:?}{said}").contains("hunter2"), "{error:?}");
    });
}

#[test]
fn a_user_without_the_right_to_publish_is_refused() {
    run("acl", || async {
        let server = RedisServer::start();
        let allow = |user: &str, rights: &[&str]| {
            let words = [&["ACL", "SETUSER", user, "on", "nopass", "resetchannels"], rights].concat();
            assert_eq!(server.command(&words), "OK");
            Redis::connect(format!("{}?user={user}&pass=any", server.url()))
        };
        let needed = ["+subscribe", "+unsubscribe", "+publish", "+pubsub", "+ping"];
        let right = allow("right", &[&["&tidings:*"], &needed[..]].concat());
        let mute = allow("mute", &[&["&tidings:*"], &needed[..2], &needed[3..]].concat());
        let elsewhere = allow("elsewhere", &[&["&other:*"], &needed[..]].concat());
        assert!(refusal(mute).await.contains("publish"));
        assert!(refusal(elsewhere.clone()).await.contains("channels"));
        deadline("node", node(0, right).open()).await.unwrap();
        deadline("node", node(1, elsewhere.prefix("other")).open()).await.unwrap();
    });
}

#[test]
fn a_database_that_is_not_there_is_refused() {
    run("wrong database", || async {
        let server = RedisServer::start();
        refusal(Redis::connect(format!("{}?db=99", server.url()))).await;
    });
}

#[test]
fn what_other_programs_publish_is_counted_and_the_node_works_on() {
    run("foreign messages", || async {
        let server = RedisServer::start();
        let cluster = Cluster::of(&setup(&server), 2).await;
        let channels = server.command(&["PUBSUB", "CHANNELS", "*"]);
        assert_eq!(channels.lines().count(), 2, "one mailbox for each node: {channels}");
        for channel in channels.lines() {
            server.command(&["PUBLISH", channel, "hello"]);
        }
        for node in cluster.iter() {
            eventually("count", || node.stats().dropped.by(DropReason::Foreign) == 1).await;
        }
        works(&cluster).await;
    });
}

#[test]
fn a_server_without_resp3_serves_as_well() {
    run("resp2", || async {
        let server = RedisServer::start();
        let url = format!("{}?protocol=resp2", server.url());
        let setup = Setup::new(Topology::Mesh, move |_directory, _number| Redis::connect(url.clone()));
        cases::delivery::burst(&setup, 2, 2_000, 64).await;
        cases::delivery::burst(&setup, 2, 600, 64 << 10).await;
        cases::shutdown::what_is_queued_is_flushed(&setup).await;
    });
}

#[test]
fn nothing_is_left_in_the_server() {
    run("nothing left", || async {
        let server = RedisServer::start();
        let cluster = Cluster::of(&setup(&server), 3).await;
        works(&cluster).await;
        let mut heard = [1, 2].map(|id| cluster[id].subscribe::<Bytes>("model").unwrap());
        cluster[0].wait_for_listeners("model", 2).timeout(DEADLINE).await.unwrap();
        while server.command(&["PUBSUB", "CHANNELS", "*:broadcasts.0.*"]).is_empty() {
            cluster[0].emit("model", Bytes::from(vec![1; LARGE.2])).await.unwrap();
            for heard in &mut heard {
                assert_eq!(next(heard).await.payload.len(), LARGE.2);
            }
        }
        drop((cluster, heard));
        eventually("end of subscriptions", || server.command(&["PUBSUB", "CHANNELS", "*"]).is_empty()).await;
        assert_eq!(server.command(&["DBSIZE"]), "0");
        // The one that asks is the last.
        eventually("end of connections", || server.command(&["CLIENT", "LIST"]).lines().count() == 1).await;
    });
}
