//! Nodes that reach each other over ZeroMQ.

use std::time::Duration;

use tidings::{Bytes, DropReason, Error, Router, Secret, Topology, transport::Zmq};
use tidings_testkit::{Cluster, DEADLINE, PrivateDir, cases, deadline, eventually, next, run};

use super::{blocking, socket};
use crate::setups;

#[test]
fn r1_a_burst_to_three_peers_is_not_lost() {
    run("zmq burst", || async { cases::delivery::burst(&setups::zmq(Topology::Star), 3, 10_000, 64).await });
}

#[test]
fn r2_large_messages_to_three_peers_are_not_lost() {
    run("zmq large", || async {
        cases::delivery::burst(&setups::zmq(Topology::Star), 3, 200, 1 << 20).await
    });
}

#[test]
fn a_reader_that_takes_nothing_beyond_every_queue_loses_nothing() {
    const SIZE: usize = 256 << 10;
    run("zmq slow reader", || async {
        let setup = setups::zmq(Topology::Mesh);
        let cluster = Cluster::of(&setup, 2).await;
        let mut heard = cluster[1].subscribe::<Bytes>("x").unwrap();
        cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        let payload = |number: u32| {
            let mut payload = vec![0; SIZE];
            payload[..4].copy_from_slice(&number.to_le_bytes());
            Bytes::from(payload)
        };
        // More than the window of the reader and that of the link hold, so that the queue is full of the rest.
        let mut sent = 0;
        eventually("full queue", || {
            loop {
                match cluster[0].emit("x", payload(sent)).try_now() {
                    Ok(()) => sent += 1,
                    Err(Error::Full { .. }) => return sent as usize * SIZE > 16 << 20,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        for number in 0..sent {
            assert_eq!(next(&mut heard).await.payload[..4], number.to_le_bytes());
        }
        assert_eq!(cluster[0].stats().dropped.total() + cluster[1].stats().dropped.total(), 0);
    });
}

/// A process may end then: what its thread still had would be lost, and the others would wait for an answer.
#[test]
fn a_shutdown_is_over_when_the_last_packet_has_left() {
    run("zmq shutdown", || async {
        let setup = setups::zmq(Topology::Mesh);
        let cluster = Cluster::of(&setup, 2).await;
        for node in cluster.iter() {
            let address = node.addresses()[0].to_string().replace("zmq+tcp://", "");
            deadline("shutdown", node.shutdown(Duration::from_secs(5))).await;
            // Its thread has given back the port, which it does last.
            std::net::TcpListener::bind(address).unwrap();
        }
    });
}

#[test]
fn what_is_no_packet_is_counted_and_the_node_works_on() {
    run("zmq garbage", || async {
        let setup = setups::zmq(Topology::Mesh);
        let cluster = Cluster::of(&setup, 2).await;
        let address = cluster[0].addresses()[0].clone();
        let endpoint = address.to_string().replace("zmq+", "");
        let stranger = blocking(move || {
            let stranger = socket(zmq::DEALER, &endpoint);
            stranger.send("hello", 0).unwrap();
            stranger.send("", 0).unwrap();
            stranger.send_multipart(["more", "than", "one"], 0).unwrap();
            // It opens a link, and then sends a packet with a number that is none, and bytes before a handshake.
            let head = |kind: u8, number: u64| [&[1, kind][..], &number.to_le_bytes()].concat();
            stranger.send(head(0, 0), 0).unwrap();
            assert_eq!(stranger.recv_bytes(0).unwrap(), head(1, 0));
            stranger.send([&head(2, 7)[..], b"bytes"].concat(), 0).unwrap();
            assert_eq!(stranger.recv_bytes(0).unwrap()[..2], [1, 4], "it is told that the link is closed");
            // More than a packet may have: ZeroMQ cuts the connection.
            stranger.send(vec![1; 1 << 20], 0).unwrap();
            stranger
        })
        .await;
        eventually("count", || cluster[0].stats().dropped.by(DropReason::Foreign) >= 4).await;
        drop(stranger);
        let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
        cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        cluster[0].emit("x", &1u64).await.unwrap();
        assert_eq!(next(&mut heard).await.payload, 1);
        assert_eq!(cluster[0].peers().len(), 1);
    });
}

#[test]
fn r6_a_port_in_use_is_an_error_and_one_that_a_node_has_left_is_not() {
    run("zmq r6", || async {
        let open = |zmq: Zmq| Router::builder().transport(zmq).open();
        let first = deadline("node", open(Zmq::bind("tcp://127.0.0.1:0"))).await.unwrap();
        let taken = first.addresses()[0].clone();
        assert_eq!(taken.scheme(), "zmq+tcp");
        let error = deadline("answer", open(Zmq::bind(&taken))).await.unwrap_err();
        assert!(
            matches!(&error, Error::AddressInUse { address } if *address == taken.to_string()),
            "{error:?}"
        );
        deadline("shutdown", first.shutdown(Duration::from_secs(1))).await;
        let second = deadline("node", open(Zmq::bind(&taken))).await.unwrap();
        assert_eq!(second.addresses(), [taken]);
    });
}

#[test]
fn nodes_meet_at_unix_sockets_too_and_leave_no_file_behind() {
    run("zmq ipc", || async {
        let directory = PrivateDir::new();
        let zmq = |name: &str| Zmq::bind(format!("ipc://{}", directory.join(name).display()));
        let a = deadline("a", Router::builder().node_id(0).transport(zmq("a")).open()).await.unwrap();
        let error = deadline("b", Router::builder().node_id(1).transport(zmq("a")).open()).await.unwrap_err();
        assert!(matches!(error, Error::AddressInUse { .. }), "{error:?}");
        let b = Router::builder().node_id(1).transport(zmq("b")).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        let mut heard = a.subscribe::<u64>("x").unwrap();
        b.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        b.emit("x", &1u64).await.unwrap();
        assert_eq!(next(&mut heard).await.payload, 1);
        deadline("shutdown", b.shutdown(Duration::from_secs(1))).await;
        deadline("shutdown", a.shutdown(Duration::from_secs(1))).await;
        eventually("no file", || std::fs::read_dir(directory.path()).unwrap().count() == 0).await;
        let missing = Zmq::bind(format!("ipc://{}", directory.join("none/x").display()));
        let error = deadline("answer", Router::builder().transport(missing).open()).await.unwrap_err();
        assert!(matches!(error, Error::Listen { .. }), "{error:?}");
    });
}

#[test]
fn r16_listening_beyond_this_machine_needs_a_secret_and_guests_need_keys() {
    run("zmq r16", || async {
        let secret = || Secret::from_bytes([1; 32]);
        let open = || Router::builder().transport(Zmq::bind("tcp://0.0.0.0:0"));
        let error = deadline("answer", open().open()).await.unwrap_err();
        assert!(matches!(error, Error::SecretRequired { .. }), "{error:?}");
        deadline("node", open().secret(secret()).open()).await.unwrap();
        let guests = || Router::builder().transport(Zmq::bind("tcp://127.0.0.1:0").guests("tcp://0.0.0.0:0"));
        let error = deadline("answer", guests().secret(secret()).open()).await.unwrap_err();
        assert!(matches!(error, Error::SecretRequired { .. }), "a guest need not hold it: {error:?}");
        deadline("node", guests().insecure_no_auth().open()).await.unwrap();
    });
}

#[test]
fn who_does_not_hold_the_keys_does_not_get_in() {
    use tidings::transport::Curve;
    if zmq::has("curve") != Some(true) {
        let key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
        let zmq = Zmq::bind("tcp://127.0.0.1:0").curve(Curve::new(key, key).unwrap());
        let error = Router::builder().transport(zmq).open().wait().unwrap_err();
        assert!(error.to_string().contains("without CURVE"), "{error}");
        return;
    }
    run("zmq curve", || async {
        let guest = zmq::CurveKeyPair::new().unwrap();
        let keys = Curve::generate().unwrap().admit(&zmq::z85_encode(&guest.public_key).unwrap()).unwrap();
        let zmq = |keys: &Curve| Zmq::bind("tcp://127.0.0.1:0").curve(keys.clone());
        let with_guests = zmq(&keys).guests("tcp://127.0.0.1:0");
        let a = Router::builder().node_id(0).transport(with_guests.clone());
        let a = deadline("a", a.open()).await.unwrap();
        let b = Router::builder().node_id(1).transport(zmq(&keys)).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        let mut heard = a.subscribe::<u64>("x").unwrap();
        b.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        b.emit("x", &1u64).await.unwrap();
        assert_eq!(next(&mut heard).await.payload, 1);
        // A guest with a pair of its own that was admitted.
        let server = zmq::z85_decode(&keys.public_key()).unwrap();
        let ears = zmq::Context::new().socket(zmq::SUB).unwrap();
        ears.set_curve_serverkey(&server).unwrap();
        ears.set_curve_publickey(&guest.public_key).unwrap();
        ears.set_curve_secretkey(&guest.secret_key).unwrap();
        ears.connect(&with_guests.doors().unwrap().hear).unwrap();
        ears.set_subscribe(b"y").unwrap();
        b.wait_for_listeners("y", 1).timeout(DEADLINE).await.unwrap();
        b.emit("y", &2u64).await.unwrap();
        assert_eq!(blocking(move || ears.recv_multipart(0).unwrap()).await[0], b"y");
        let others = Curve::generate().unwrap();
        let without = Zmq::bind("tcp://127.0.0.1:0");
        // Knows the nodes' public key, as guests do, and holds a pair of its own.
        for stranger in [zmq(&others), without] {
            let stranger = Router::builder().node_id(2).transport(stranger).attach_to(a.addresses());
            let stranger = stranger.connect_timeout(Duration::from_millis(500)).open();
            let error = deadline("answer", stranger).await.unwrap_err();
            assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        }
        assert_eq!(a.peers().len(), 1);
    });
}
