//! The faults of the systems that Tidings succeeds, each as a test that it does not have them; the numbers
//! are those of `REFERENCE.md`. Those of the task and of the launcher stand with their crates.

use std::time::{Duration, Instant};

use tidings::{
    Bytes, DropReason, Error, Router, Secret, Topology,
    transport::{Ipc, Tcp},
};
use tidings_testkit::{
    Cluster, DEADLINE, Fixture, PrivateDir, Raw, Setup, cases, deadline, eventually, next, node, run,
};

use crate::setups::over_sockets;

over_sockets! { Star:
    r1_a_burst_to_one_peer_is_not_lost,
    r1_a_burst_to_three_peers_is_not_lost,
    r2_large_messages_to_one_peer_are_not_lost,
    r2_large_messages_to_three_peers_are_not_lost,
    r12_an_event_name_with_colons_is_not_cut_short,
    r13_a_closed_receiver_ends_and_stays_quiet,
    r16_what_a_stranger_sends_reaches_no_handler,
    r17_a_leaf_of_a_star_hears_another_leaf,
}

async fn r1_a_burst_to_one_peer_is_not_lost(setup: &Setup) {
    cases::delivery::burst(setup, 1, 10_000, 64).await;
}

async fn r1_a_burst_to_three_peers_is_not_lost(setup: &Setup) {
    cases::delivery::burst(setup, 3, 10_000, 64).await;
}

async fn r2_large_messages_to_one_peer_are_not_lost(setup: &Setup) {
    cases::delivery::burst(setup, 1, 200, 1 << 20).await;
}

async fn r2_large_messages_to_three_peers_are_not_lost(setup: &Setup) {
    cases::delivery::burst(setup, 3, 200, 1 << 20).await;
}

#[test]
fn r6_a_tcp_port_in_use_is_an_error_of_open() {
    run("r6 tcp", || async {
        let first = Router::builder().node_id(0).transport(Tcp::bind("127.0.0.1:0"));
        let first = deadline("node", first.open()).await.unwrap();
        let taken = first.addresses()[0].clone();
        let second = Router::builder().node_id(1).transport(Tcp::bind(taken.target()));
        let error = deadline("answer", second.open()).await.unwrap_err();
        assert!(
            matches!(&error, Error::AddressInUse { address } if address.contains(taken.target())),
            "{error:?}"
        );
    });
}

#[test]
fn r6_a_socket_file_in_use_is_an_error_of_open() {
    run("r6 ipc", || async {
        let directory = PrivateDir::new();
        let path = directory.join("taken.sock");
        let first = Router::builder().node_id(0).transport(Ipc::bind(&path));
        let first = deadline("node", first.open()).await.unwrap();
        let second = Router::builder().node_id(1).transport(Ipc::bind(&path));
        let error = deadline("answer", second.open()).await.unwrap_err();
        assert!(matches!(error, Error::AddressInUse { .. }), "{error:?}");
        // The first one is none the worse, and leaves no file behind.
        let third = Router::builder().node_id(2).transport(Ipc::bind(directory.join("third.sock")));
        let third = deadline("node", third.attach_to(first.addresses()).open()).await.unwrap();
        deadline("shutdown", third.shutdown(Duration::from_secs(1))).await;
        deadline("shutdown", first.shutdown(Duration::from_secs(1))).await;
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    });
}

async fn r12_an_event_name_with_colons_is_not_cut_short(setup: &Setup) {
    let cluster = Cluster::of(setup, 2).await;
    let mut whole = cluster[1].subscribe::<u64>("a::b::c").unwrap();
    let mut cut = cluster[1].subscribe::<u64>("a").unwrap();
    cluster[0].wait_for_listeners("a::b::c", 1).timeout(DEADLINE).await.unwrap();
    cluster[0].emit("a::b::c", &1u64).await.unwrap();
    let event = next(&mut whole).await;
    assert_eq!((&*event.name, event.payload), ("a::b::c", 1));
    assert!(cut.try_next().is_none());
}

async fn r13_a_closed_receiver_ends_and_stays_quiet(setup: &Setup) {
    let cluster = Cluster::of(setup, 2).await;
    let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
    cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    deadline("shutdown", cluster[1].shutdown(Duration::from_secs(1))).await;
    let start = Instant::now();
    for _ in 0..1000 {
        assert!(deadline("end of the stream", heard.next()).await.is_none());
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    eventually("farewell", || cluster[0].peers().is_empty()).await;
    let before = cluster[1].stats();
    for value in 0..100u64 {
        cluster[0].emit("x", &value).await.unwrap();
    }
    assert_eq!(cluster[1].stats(), before, "nothing goes on in it");
}

async fn r16_what_a_stranger_sends_reaches_no_handler(setup: &Setup) {
    let node = node(setup, 0).secret(Secret::from_bytes([1; 32]));
    let node = deadline("node", node.open()).await.unwrap();
    let mut heard = node.subscribe::<Bytes>("*").unwrap();
    // What a client without the secret may say: anything. A message frame before the handshake, for one.
    let mut stranger = Raw::connect(&node.addresses()[0]).await.unwrap();
    let frame = [&30u32.to_le_bytes()[..], &[0x10], &[0; 29]].concat();
    stranger.send(&frame).await.unwrap();
    stranger.until_closed().await;
    assert!(heard.try_next().is_none());
    assert_eq!((node.stats().received, node.peers().len()), (0, 0));
}

#[test]
fn r16_a_payload_of_another_type_is_data_and_is_counted() {
    run("r16", || async {
        let setup = crate::setups::ipc(Topology::Mesh);
        let cluster = Cluster::of(&setup, 2).await;
        let mut heard = cluster[1].subscribe::<(u32, String)>("x").unwrap();
        cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        // A pickle that would run `os.system`, and MessagePack that claims 4 Gi entries.
        for bytes in
            [&b"cos\nsystem\n(S'true'\ntR."[..], &b"\xdd\xff\xff\xff\xff"[..], &b"\xc6\xff\xff\xff\xff"[..]]
        {
            cluster[0].emit("x", Bytes::copy_from_slice(bytes)).await.unwrap();
        }
        cluster[0].emit("x", &(1u32, "fits")).await.unwrap();
        assert_eq!(next(&mut heard).await.payload, (1, "fits".to_owned()));
        assert_eq!(cluster[1].stats().dropped.by(DropReason::Decode), 3);
    });
}

#[test]
fn r16_listening_beyond_this_machine_needs_a_secret() {
    run("r16", || async {
        let open = || Router::builder().transport(Tcp::bind("0.0.0.0:0"));
        let error = deadline("answer", open().open()).await.unwrap_err();
        assert!(matches!(error, Error::SecretRequired { .. }), "{error:?}");
        assert!(error.to_string().contains(".insecure_no_auth()"), "{error}");
        deadline("node", open().secret(Secret::from_bytes([1; 32])).open()).await.unwrap();
        deadline("node", open().insecure_no_auth().open()).await.unwrap();
    });
}

async fn r17_a_leaf_of_a_star_hears_another_leaf(setup: &Setup) {
    assert_eq!(setup.topology(), Topology::Star);
    let cluster = Cluster::of(setup, 3).await;
    let mut heard = cluster[2].subscribe::<String>("greeting").unwrap();
    cluster[1].wait_for_listeners("greeting", 1).timeout(DEADLINE).await.unwrap();
    cluster[1].emit("greeting", "Hi").await.unwrap();
    assert_eq!(next(&mut heard).await.payload, "Hi");
    assert!(heard.try_next().is_none());
}
