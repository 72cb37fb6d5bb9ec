//! Strangers who say what no node says: the node lets go of them and goes on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidings::{Change, Error, LeaveReason, Limits, NodeId, Router, RouterBuilder, Secret, Topology};
use tidings_testkit::{
    DEADLINE, Fixture, Raw, Setup, address_space, deadline, eventually, frame, hello, next, node, tokio,
};

use crate::setups::over_sockets;

over_sockets! { Mesh:
    a_header_that_says_4_gib_is_refused_before_anything_is_allocated,
    what_is_no_handshake_is_refused,
    another_version_is_told_so,
    one_byte_at_a_time_runs_into_the_handshake_timeout,
    silence_runs_into_the_handshake_timeout,
    more_half_open_connections_than_handshakes_do_not_lock_nodes_out,
    a_stranger_without_the_secret_is_turned_away,
    a_peer_that_breaks_the_protocol_is_cut_off,
    a_peer_that_claims_a_huge_message_is_cut_off,
    a_handshake_in_small_pieces_is_let_in,
    somebody_who_is_no_node_is_named,
}

fn hurried(builder: RouterBuilder) -> RouterBuilder {
    builder.handshake_timeout(Duration::from_millis(300))
}

async fn target(setup: &Setup) -> Arc<Router> {
    deadline("node", hurried(node(setup, 0)).open()).await.unwrap()
}

/// Asserts that a new node still gets in and exchanges messages.
async fn goes_on(setup: &Setup, target: &Arc<Router>) {
    let guest = node(setup, 7).attach_to(target.addresses());
    let guest = deadline("guest", guest.open()).await.unwrap();
    let mut at_target = target.subscribe::<u64>("there").unwrap();
    let mut at_guest = guest.subscribe::<u64>("back").unwrap();
    guest.wait_for_listeners("there", 1).timeout(DEADLINE).await.unwrap();
    target.wait_for_listeners("back", 1).timeout(DEADLINE).await.unwrap();
    guest.emit("there", &1u64).await.unwrap();
    assert_eq!(next(&mut at_target).await.payload, 1);
    target.emit("back", &2u64).await.unwrap();
    assert_eq!(next(&mut at_guest).await.payload, 2);
    deadline("shutdown", guest.shutdown(Duration::from_secs(1))).await;
}

async fn connect(target: &Arc<Router>) -> Raw {
    Raw::connect(&target.addresses()[0]).await.unwrap()
}

/// A stranger that is connected sends these bytes; returns how long the node kept the link.
async fn kept(target: &Arc<Router>, bytes: &[u8]) -> Duration {
    let mut raw = connect(target).await;
    let start = Instant::now();
    // The node may have closed the link before all of it is written.
    raw.send(bytes).await.unwrap_or_default();
    raw.until_closed().await;
    start.elapsed()
}

async fn a_header_that_says_4_gib_is_refused_before_anything_is_allocated(setup: &Setup) {
    let target = deadline("node", node(setup, 0).open()).await.unwrap();
    let before = address_space();
    for kind in [0x01, 0x02, 0x10, 0xff] {
        for length in [u32::MAX, u32::MAX / 2, 1 << 30, 40_000] {
            let took = kept(&target, &[&length.to_le_bytes()[..], &[kind]].concat()).await;
            // Not by the handshake's timeout, which is 5 s here.
            assert!(took < Duration::from_secs(3), "{length} of kind {kind} was kept for {took:?}");
        }
    }
    if let (Some(before), Some(after)) = (before, address_space()) {
        // Sixteen times up to 4 GiB were asked for; other tests of this process need some too.
        assert!(after - before < 2 << 30, "{} MiB were allocated", (after - before) >> 20);
    }
    goes_on(setup, &target).await;
}

async fn what_is_no_handshake_is_refused(setup: &Setup) {
    let target = target(setup).await;
    let mut wrong_magic = frame(&hello(5, setup.cluster(), Topology::Mesh));
    wrong_magic[5] ^= 0xff;
    let mut cut_short = frame(&hello(5, setup.cluster(), Topology::Mesh));
    cut_short.truncate(40);
    cut_short[..4].copy_from_slice(&36u32.to_le_bytes());
    let noise: Vec<u8> =
        (0..100_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let inputs: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        &noise,
        &[0; 64],
        &[0xff; 4096],
        &wrong_magic,
        &cut_short,
    ];
    for input in inputs {
        let took = kept(&target, input).await;
        assert!(took < Duration::from_secs(2), "{:?}.. was kept for {took:?}", &input[..8]);
    }
    let mut empty = connect(&target).await;
    empty.finish().await.unwrap();
    empty.until_closed().await;
    assert!(target.peers().is_empty());
    goes_on(setup, &target).await;
}

async fn another_version_is_told_so(setup: &Setup) {
    let target = target(setup).await;
    let mut future = frame(&hello(5, setup.cluster(), Topology::Mesh));
    // Length, kind, magic, version.
    future[13..15].copy_from_slice(&999u16.to_le_bytes());
    let mut raw = connect(&target).await;
    raw.send(&future).await.unwrap();
    let answer = deadline("answer", raw.receive()).await.unwrap();
    assert_eq!(answer[4], 0x05, "a refusal");
    raw.until_closed().await;
    goes_on(setup, &target).await;
}

async fn one_byte_at_a_time_runs_into_the_handshake_timeout(setup: &Setup) {
    let target = target(setup).await;
    let start = Instant::now();
    let hello = frame(&hello(5, setup.cluster(), Topology::Mesh));
    let written = connect(&target).await.trickle(&hello, Duration::from_millis(40)).await;
    assert!(written < hello.len(), "all {written} bytes were taken");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    goes_on(setup, &target).await;
}

async fn silence_runs_into_the_handshake_timeout(setup: &Setup) {
    let target = target(setup).await;
    let took = kept(&target, &[]).await;
    assert!((Duration::from_millis(250)..Duration::from_secs(1)).contains(&took), "{took:?}");
    // The same in the middle of a handshake, after an answer.
    let took = kept(&target, &frame(&hello(5, setup.cluster(), Topology::Mesh))).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    goes_on(setup, &target).await;
}

async fn more_half_open_connections_than_handshakes_do_not_lock_nodes_out(setup: &Setup) {
    let mut limits = Limits::default();
    limits.max_handshakes = 8;
    let target = hurried(node(setup, 0).limits(limits));
    let target = deadline("node", target.open()).await.unwrap();
    let mut strangers = Vec::new();
    for _ in 0..64 {
        strangers.push(connect(&target).await);
    }
    goes_on(setup, &target).await;
    for stranger in &mut strangers {
        stranger.until_closed().await;
    }
    assert!(target.peers().is_empty() || target.peers()[0].node_id == NodeId(7));
}

async fn a_stranger_without_the_secret_is_turned_away(setup: &Setup) {
    let builder = hurried(node(setup, 0)).secret(Secret::from_bytes([3; 32]));
    let target = deadline("node", builder.open()).await.unwrap();
    let admitted = Raw::admitted(&target.addresses()[0], 5, setup.cluster(), Topology::Mesh).await;
    assert!(admitted.is_err());
    // Neither does somebody get in who claims to hold one and guesses.
    let mut guessing = connect(&target).await;
    let mut claim = frame(&hello(5, setup.cluster(), Topology::Mesh));
    claim[15] = 1;
    guessing.send(&claim).await.unwrap();
    deadline("challenge", guessing.receive()).await.unwrap();
    let guess = [&34u32.to_le_bytes()[..], &[0x03, 32], &[0x55; 32]].concat();
    guessing.send(&guess).await.unwrap();
    let said = guessing.until_closed().await;
    assert!(said.get(4).is_none_or(|kind| *kind == 0x05), "{said:?}");
    assert!(target.peers().is_empty());
}

async fn a_peer_that_breaks_the_protocol_is_cut_off(setup: &Setup) {
    let target = target(setup).await;
    let honest = node(setup, 1).attach_to(target.addresses());
    let honest = deadline("node", honest.open()).await.unwrap();
    let mut heard = honest.subscribe::<u64>("x").unwrap();
    target.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let resume = [&25u32.to_le_bytes()[..], &[0x20], &[0; 24]].concat();
    let header =
        [&37u32.to_le_bytes()[..], &[0x12, 0, 1, 0], &10u32.to_le_bytes(), &[0xff; 4], b"x"].concat();
    let broken: [(&str, Vec<u8>); 6] = [
        ("a payload beside the link that is not there", [&header[..], &[0; 24]].concat()),
        ("a frame of a kind that does not exist", vec![1, 0, 0, 0, 0x7f]),
        ("a frame without a kind", vec![0, 0, 0, 0]),
        ("a message that is too short to be one", [&4u32.to_le_bytes()[..], &[0x10, 1, 2, 3]].concat()),
        (
            "a list of members without members",
            [&5u32.to_le_bytes()[..], &[0x22], &u32::MAX.to_le_bytes()].concat(),
        ),
        ("a handshake again", frame(&hello(5, setup.cluster(), Topology::Mesh))),
    ];
    for (id, (what, bytes)) in (10u32..).zip(broken) {
        let mut changes = target.changes();
        let address = &target.addresses()[0];
        let mut raw = Raw::admitted(address, id, setup.cluster(), Topology::Mesh).await.unwrap();
        raw.send(&resume).await.unwrap();
        raw.send(&bytes).await.unwrap();
        raw.until_closed().await;
        let reason = loop {
            match deadline("leave", changes.next()).await {
                Some(Change::Left { peer, reason }) if peer.node_id == NodeId(id) => break reason,
                Some(_) => {}
                None => panic!("the node has ended"),
            }
        };
        assert_eq!(reason, LeaveReason::Protocol, "after {what}");
    }
    target.emit("x", &1u64).await.unwrap();
    assert_eq!(next(&mut heard).await.payload, 1);
    goes_on(setup, &target).await;
}

async fn a_peer_that_claims_a_huge_message_is_cut_off(setup: &Setup) {
    let target = deadline("node", hurried(node(setup, 0)).max_frame(1 << 20).open()).await.unwrap();
    let before = address_space();
    for id in 10..20 {
        let address = &target.addresses()[0];
        let mut raw = Raw::admitted(address, id, setup.cluster(), Topology::Mesh).await.unwrap();
        raw.send(&[&25u32.to_le_bytes()[..], &[0x20], &[0; 24]].concat()).await.unwrap();
        raw.send(&[&u32::MAX.to_le_bytes()[..], &[0x10]].concat()).await.unwrap();
        raw.until_closed().await;
    }
    if let (Some(before), Some(after)) = (before, address_space()) {
        assert!(after - before < 2 << 30, "{} MiB were allocated", (after - before) >> 20);
    }
    eventually("farewells", || target.peers().is_empty()).await;
    goes_on(setup, &target).await;
}

async fn a_handshake_in_small_pieces_is_let_in(setup: &Setup) {
    let target = deadline("node", node(setup, 0).open()).await.unwrap();
    let mut raw = connect(&target).await;
    for piece in frame(&hello(5, setup.cluster(), Topology::Mesh)).chunks(3) {
        raw.send(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let welcome = deadline("welcome", raw.receive()).await.unwrap();
    assert_eq!(welcome[4], 0x02);
    raw.send(&[2, 0, 0, 0, 0x03, 0]).await.unwrap();
    let accept = deadline("answer", raw.receive()).await.unwrap();
    assert_eq!(accept[4], 0x04);
    eventually("peer", || target.peers().iter().any(|peer| peer.node_id == NodeId(5))).await;
}

/// A node that attaches to something else than a node is told what it is not.
async fn somebody_who_is_no_node_is_named(setup: &Setup) {
    let address = match setup.transport().scheme() {
        "tcp" => {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("tcp://{}", listener.local_addr().unwrap());
            tokio::spawn(async move {
                while let Ok((link, _)) = listener.accept().await {
                    tokio::spawn(talk(link));
                }
            });
            address
        }
        _ => {
            let path = setup.directory().join("web.sock");
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            tokio::spawn(async move {
                while let Ok((link, _)) = listener.accept().await {
                    tokio::spawn(talk(link));
                }
            });
            format!("ipc://{}", path.display())
        }
    };
    let opened = deadline("answer", node(setup, 1).attach_to([address]).open()).await;
    assert!(matches!(opened, Err(Error::NotTidings { .. })), "{opened:?}");
}

/// What a web server says to a node.
async fn talk(mut link: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut request = [0; 4096];
    let answered = async {
        let _some_of_it = link.read(&mut request).await?;
        link.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await?;
        link.shutdown().await
    };
    answered.await.unwrap_or_default();
}
