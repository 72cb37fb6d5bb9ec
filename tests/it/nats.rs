//! What nodes make of a NATS server that fails, refuses, or has other users.

use std::{
    fs,
    time::{Duration, Instant},
};

use tidings::{Bytes, DropReason, Error, Router, RouterBuilder, Topology, transport::Nats};
use tidings_testkit::{
    Checker, Cluster, DEADLINE, Fixture, NatsClient, NatsServer, Numbered, Setup, Stopwatch, deadline,
    eventually, next, node, run, tokio,
};

/// The example of the documentation of NATS, and what it signs for.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// Less than the second for which a node that does not answer is waited for.
const AT_ONCE: Duration = Duration::from_millis(900);

fn setup(server: &NatsServer) -> Setup {
    let url = server.url();
    Setup::new(Topology::Mesh, move |_directory, _number| Nats::connect(&url))
}

fn opens(nats: Nats) -> RouterBuilder {
    Router::builder().transport(nats).connect_timeout(DEADLINE)
}

async fn refused(nats: Nats) -> Error {
    deadline("answer", opens(nats).open()).await.expect_err("it is refused")
}

/// Publishes `count` messages of `size` bytes to two others, does something after a third of them has arrived, and checks that
/// all of them arrive once and in order.
async fn flood(
    server: &mut NatsServer,
    (count, size): (u64, usize),
    mut amid: impl AsyncFnMut(&mut NatsServer, &Cluster),
) {
    let setup = setup(server);
    // What is emitted while the links are broken has room, and a peer that takes nothing for a moment is waited for.
    let patient = |builder: RouterBuilder| builder.queue_bytes(64 << 20).max_wait(DEADLINE);
    let cluster = Cluster::with(&setup, 3, patient).await;
    let mut heard: Vec<_> = (1..3).map(|id| cluster[id].subscribe::<Bytes>("flood").unwrap()).collect();
    cluster[0].wait_for_listeners("flood", 2).timeout(DEADLINE).await.unwrap();
    let sender = cluster[0].clone();
    let publishing = tokio::spawn(async move {
        for number in 0..count {
            let payload = Numbered { publisher: 0, number }.payload(size);
            deadline("emit", sender.emit("flood", payload)).await.unwrap();
        }
    });
    let mut checker = Checker::default();
    for number in 0..count {
        if number == count / 3 {
            amid(server, &cluster).await;
        }
        for (listener, heard) in (1..).zip(&mut heard) {
            checker.saw(listener, Numbered::read(&next(heard).await.payload));
        }
    }
    deadline("end of publishing", publishing).await.unwrap();
    for listener in 1..3 {
        checker.assert_whole(0, listener, count);
    }
    checker.assert_in_order();
    assert_eq!(cluster.dropped(), 0);
}

/// Messages of 1 KiB, and large ones, which are published once for both.
const SMALL: (u64, usize) = (30_000, 1024);
const LARGE: (u64, usize) = (900, 64 << 10);

/// Waits until everyone knows that the server is of no use.
async fn noticed(cluster: &Cluster) {
    eventually("lost links", || cluster.iter().all(|node| node.peers().is_empty())).await;
}

#[test]
fn a_server_that_is_killed_and_restarted_amid_a_flood_costs_no_message() {
    run("killed server", || async {
        for what in [SMALL, LARGE] {
            flood(&mut NatsServer::start(), what, async |server, _| server.restart()).await;
        }
    });
}

#[test]
fn a_server_that_is_gone_for_a_while_costs_no_message() {
    run("server away", || async {
        let away = async |server: &mut NatsServer, cluster: &Cluster| {
            server.kill();
            noticed(cluster).await;
            server.restart();
        };
        flood(&mut NatsServer::start(), SMALL, away).await;
    });
}

#[test]
fn a_server_that_is_stopped_for_a_while_costs_no_message() {
    run("stopped server", || async {
        let stopped = async |server: &mut NatsServer, cluster: &Cluster| {
            server.process().pause();
            noticed(cluster).await;
            server.process().resume();
        };
        flood(&mut NatsServer::start(), SMALL, stopped).await;
    });
}

#[test]
fn a_server_that_comes_later_is_found() {
    run("late server", || async {
        let mut server = NatsServer::that_comes_later("");
        let setup = setup(&server);
        // The first try finds nobody, since the server is started when it has been made.
        let opening = async { node(&setup, 0).open().await.unwrap() };
        let (node, ()) =
            deadline("opened node", async { tokio::join!(opening, async { server.restart() }) }).await;
        assert_eq!(node.peers(), []);
    });
}

#[test]
fn a_server_that_does_not_come_is_unreachable() {
    run("no server", || async {
        let server = NatsServer::that_comes_later("");
        let nats = Nats::connect(format!("nats://alice:s3cret@{}", server.address()));
        let timeout = Duration::from_millis(300);
        let stopwatch = Stopwatch::start();
        let error = Router::builder().transport(nats).connect_timeout(timeout).open().await.unwrap_err();
        stopwatch.assert_within(Duration::from_secs(1));
        let Error::Unreachable { address, source: Some(source), .. } = &error else { panic!("{error:?}") };
        assert_eq!(address.to_string(), server.url());
        assert!(source.to_string().contains("refused"), "{source}");
        assert!(!format!("{error:?}{error}").contains("s3cret"), "{error:?}");
    });
}

#[test]
fn a_wrong_password_is_refused_at_once() {
    run("wrong password", || async {
        let server = NatsServer::with_config("authorization { user: alice, password: \"s@cret\" }");
        let address = server.address();
        for nats in [
            Nats::connect(server.url()),
            Nats::connect(format!("nats://alice:wr0ng@{address}")),
            Nats::connect(format!("nats://alice:s%40cret@{address}")).user_and_password("alice", "wr0ng"),
            Nats::connect(server.url()).token("wr0ng"),
            Nats::connect(server.url()).nkey(SEED),
        ] {
            let error = refused(nats).await;
            let text = error.to_string();
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
            assert!(text.contains(&server.url()) && text.contains(".user_and_password(..)"), "{text}");
            assert!(!text.contains("wr0ng") && !text.contains("cret"), "{text}");
        }
        for nats in [
            Nats::connect(format!("nats://alice:s%40cret@{address}")),
            Nats::connect(server.url()).user_and_password("alice", "s@cret"),
        ] {
            deadline("opened node", opens(nats).open()).await.unwrap();
        }
    });
}

#[test]
fn a_token_and_an_nkey_let_a_node_in() {
    run("token and nkey", || async {
        let server = NatsServer::with_config("authorization { token: t0ken }");
        for nats in [
            Nats::connect(format!("nats://t0ken@{}", server.address())),
            Nats::connect(server.url()).token("t0ken"),
        ] {
            deadline("opened node", opens(nats).open()).await.unwrap();
        }
        let server =
            NatsServer::with_config(&format!("authorization {{ users = [ {{ nkey: {PUBLIC} }} ] }}"));
        deadline("opened node", opens(Nats::connect(server.url()).nkey(SEED)).open()).await.unwrap();
        let error = refused(Nats::connect(server.url()).nkey("SUnone")).await;
        assert!(matches!(&error, Error::Setting { setting, .. } if setting == "nkey"), "{error:?}");
        let error = refused(Nats::connect(server.url()).credentials_file("/nowhere.creds")).await;
        assert!(
            matches!(&error, Error::Setting { setting, .. } if setting == "credentials_file"),
            "{error:?}"
        );
    });
}

#[test]
fn a_user_who_may_not_use_our_subjects_is_refused() {
    run("permissions", || async {
        let server = NatsServer::with_config(
            r#"authorization { users = [
                { user: alice, password: a, permissions: { publish: "mine.tidings.>", subscribe: "mine.tidings.>" } },
                { user: bob, password: b, permissions: { publish: "x", subscribe: "x" } },
            ] }"#,
        );
        let nats = |user| Nats::connect(format!("nats://{user}@{}", server.address())).prefix("mine");
        let alice = deadline("opened node", opens(nats("alice:a")).open()).await.unwrap();
        let second = deadline("opened node", opens(nats("alice:a")).node_id(1).open()).await.unwrap();
        assert_eq!((alice.peers().len(), second.peers().len()), (1, 1));
        let error = refused(nats("bob:b")).await;
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains(".prefix(..)"), "{error}");
    });
}

#[test]
fn what_is_no_url_and_no_prefix_is_an_error() {
    run("bad settings", || async {
        let error = refused(Nats::connect("nats://alice:s3cret@127.0.0.1:x")).await;
        assert!(matches!(error, Error::InvalidAddress { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        let error = refused(Nats::connect("nats://127.0.0.1").prefix("a.*")).await;
        assert!(matches!(&error, Error::Setting { setting, .. } if setting == "prefix"), "{error:?}");
    });
}

#[test]
fn a_certificate_of_another_name_is_refused() {
    run("tls", || async {
        let mut server = NatsServer::that_comes_later(
            r#"tls { cert_file: "$DIR/certificate.pem", key_file: "$DIR/key.pem" }"#,
        );
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = server.directory().join("certificate.pem");
        fs::write(&certificate, key.cert.pem()).unwrap();
        fs::write(server.directory().join("key.pem"), key.signing_key.serialize_pem()).unwrap();
        server.restart();
        let named = server.address().replace("127.0.0.1", "localhost");
        let trusting = |url: String| Nats::connect(url).root_certificates(&certificate);
        let first = deadline("opened node", opens(trusting(format!("tls://{named}"))).open()).await.unwrap();
        // The server demands it in any case.
        let second = opens(trusting(format!("nats://{named}"))).node_id(1).open();
        let second = deadline("opened node", second).await.unwrap();
        assert_eq!((first.peers().len(), second.peers().len()), (1, 1));
        for wrong in
            [trusting(format!("tls://{}", server.address())), Nats::connect(format!("tls://{named}"))]
        {
            let error = refused(wrong).await;
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
            assert!(error.to_string().contains(".root_certificates(..)"), "{error}");
        }
    });
}

#[test]
fn what_other_programs_publish_is_counted_and_the_node_works_on() {
    run("foreign messages", || async {
        let server = NatsServer::start();
        let setup = setup(&server);
        let cluster = Cluster::of(&setup, 2).await;
        let mut stranger = NatsClient::connect(&server.address()).await;
        let base = format!("tidings.{}", setup.cluster());
        for node in cluster.iter() {
            let mailbox = format!("node.{}.{:016x}", node.node_id().0, node.incarnation().0);
            stranger.publish(&format!("{base}.{mailbox}"), b"hello").await;
            stranger.publish(&format!("{base}.{mailbox}"), b"").await;
            stranger.publish(&format!("{base}.reply.{mailbox}.here"), b"tidings1 knock").await;
            stranger.publish(&format!("{base}.reply.{mailbox}.x"), b"").await;
        }
        stranger.publish(&format!("{base}.lobby"), b"\xff").await;
        for node in cluster.iter() {
            eventually("count", || node.stats().dropped.by(DropReason::Foreign) == 5).await;
        }
        // Somebody who is not there.
        stranger.publish(&format!("{base}.lobby"), b"tidings1 ask node.9.0000000000000001").await;
        let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
        cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        cluster[0].emit("x", &1u64).await.unwrap();
        assert_eq!(next(&mut heard).await.payload, 1);
    });
}

#[test]
fn clusters_and_prefixes_on_one_server_never_hear_each_other() {
    run("clusters", || async {
        let server = NatsServer::start();
        let mut nodes = Vec::new();
        let names = ["a", "a.b", "a b", "a%20b", "*", ">", "é"];
        for (prefix, name) in names.map(|name| ("tidings", name)).into_iter().chain([("tidings.a", "b")]) {
            let nats = Nats::connect(server.url()).prefix(prefix);
            // They all have the same id.
            nodes.push(deadline("opened node", opens(nats).cluster(name).open()).await.unwrap());
        }
        let mut heard: Vec<_> = nodes.iter().map(|node| node.subscribe::<u64>("*").unwrap()).collect();
        let second = opens(Nats::connect(server.url())).cluster("a b").node_id(1).open();
        let second = deadline("opened node", second).await.unwrap();
        second.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        second.emit("x", &1u64).await.unwrap();
        assert_eq!(next(&mut heard[2]).await.payload, 1);
        for (name, (node, heard)) in names.iter().zip(nodes.iter().zip(&mut heard)) {
            assert_eq!(node.peers().len(), usize::from(*name == "a b"), "{name}");
            assert!(heard.try_next().is_none(), "{name}");
        }
    });
}

#[test]
fn nodes_that_start_at_the_same_time_find_each_other() {
    run("start together", || async {
        let server = NatsServer::start();
        for _ in 0..10 {
            let setup = setup(&server);
            let opening: Vec<_> =
                (0..6).map(|id| tokio::spawn(node(&setup, id).open().into_future())).collect();
            let mut nodes = Vec::new();
            for node in opening {
                nodes.push(deadline("opened node", node).await.unwrap().unwrap());
            }
            for node in &nodes {
                node.wait_for_peers(5).timeout(DEADLINE).await.unwrap();
            }
        }
    });
}

#[test]
fn a_lonely_node_waits_for_nobody_and_a_node_that_is_stopped_holds_nobody_up() {
    run("open takes no time", || async {
        let server = NatsServer::start();
        let stopwatch = Stopwatch::start();
        let _lonely = deadline("opened node", node(&setup(&server), 0).open()).await.unwrap();
        stopwatch.assert_within(AT_ONCE);
        // Another cluster.
        let setup = setup(&server);
        // One that has subscribed everything, and does not answer.
        let mut stopped = NatsClient::connect(&server.address()).await;
        let base = format!("tidings.{}", setup.cluster());
        stopped.subscribe(&format!("{base}.lobby")).await;
        stopped.subscribe(&format!("{base}.node.9.0000000000000001")).await;
        let stopwatch = Stopwatch::start();
        let first = deadline("opened node", node(&setup, 1).open()).await.unwrap();
        stopwatch.assert_within(Duration::from_millis(2_000));
        let stopwatch = Stopwatch::start();
        let second = deadline("opened node", node(&setup, 2).open()).await.unwrap();
        stopwatch.assert_within(AT_ONCE);
        assert_eq!((first.peers().len(), second.peers().len()), (1, 1));
    });
}

#[test]
fn an_idle_connection_costs_nothing() {
    run("idle", || async {
        let server = NatsServer::start();
        let mut listener = NatsClient::connect(&server.address()).await;
        let setup = setup(&server);
        let _lonely = deadline("opened node", node(&setup, 0).open()).await.unwrap();
        listener.subscribe(">").await;
        let heard = listener.next_within(Duration::from_secs(3)).await;
        assert_eq!(heard, None, "an idle node publishes nothing");
        let _second = deadline("opened node", node(&setup, 1).open()).await.unwrap();
        while listener.next_within(Duration::from_millis(200)).await.is_some() {}
        // Two nodes ask for each other's heartbeat, and answer.
        let end = Instant::now() + Duration::from_secs(4);
        let mut count = 0;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            count += usize::from(listener.next_within(left).await.is_some());
        }
        assert!(count <= 12, "{count} messages");
    });
}

#[test]
fn nodes_that_are_gone_leave_no_connection_behind() {
    run("connections", || async {
        let server = NatsServer::with_config("debug: true");
        let setup = setup(&server);
        for _ in 0..3 {
            let cluster = Cluster::of(&setup, 2).await;
            for node in cluster.iter() {
                deadline("shutdown", node.shutdown(Duration::from_secs(1))).await;
            }
        }
        let count = |what: &str| server.process().written().matches(what).count();
        eventually("closed connections", || count("Client connection closed") == 6).await;
        assert_eq!(count("Client connection created"), 6);
    });
}
