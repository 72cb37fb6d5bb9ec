//! The test vectors of `WIRE.md`: what stands there is what we write, and what we read.

use super::{control::*, data::DataHeader, hello::*};
use crate::{Codec, DropReason, Incarnation, LeaveReason, NodeId, Token, Topology};

const WIRE: &str = include_str!("../../WIRE.md");

fn hello(guarded: bool) -> Hello {
    Hello {
        nonce: std::array::from_fn(|index| index as u8),
        guarded,
        cluster: "demo".into(),
        node_id: NodeId(1),
        incarnation: Incarnation(0x0102_0304_0506_0708),
        topology: Topology::Star,
        max_frame: 64 << 20,
        window: 16 << 20,
        address: "tcp://127.0.0.1:50515".into(),
        labels: vec!["gpu".into()],
    }
}

fn handshakes() -> Vec<(&'static str, Handshake)> {
    let reject =
        Reject { reason: RejectReason::Secret, version: 1, topology: Topology::Mesh, text: "no".into() };
    vec![
        ("hello", Handshake::Hello(hello(false))),
        ("welcome", Handshake::Welcome(hello(true), vec![0xAB; PROOF_LEN])),
        ("proof", Handshake::Proof(vec![0xCD; PROOF_LEN])),
        ("proof-without-secret", Handshake::Proof(Vec::new())),
        ("accept", Handshake::Accept),
        ("reject", Handshake::Reject(reject)),
    ]
}

fn controls() -> Vec<(&'static str, Control)> {
    let received = Received { messages: 3, bytes: 300, consumed: 200 };
    let member = Member {
        node_id: NodeId(2),
        incarnation: Incarnation(9),
        address: "ipc:///run/2.sock".into(),
        labels: vec!["cpu".into()],
    };
    let left = vec![(NodeId(3), Incarnation(8), LeaveReason::Goodbye)];
    vec![
        ("resume", Control::Resume(received)),
        ("ack", Control::Ack(received)),
        ("farewell", Control::Farewell(received)),
        ("interest", Control::Interest { reset: true, patterns: vec![("greet*".into(), 2)] }),
        ("members", Control::Members { joined: vec![member], left }),
        ("gap", Control::Gap { source: NodeId(1), count: 5, reason: DropReason::Lagging }),
        ("loss", Control::Loss { source: NodeId(1), count: 5 }),
        ("ping", Control::Ping),
        ("pong", Control::Pong(7)),
        ("goodbye", Control::Goodbye),
    ]
}

/// The bytes that `WIRE.md` gives for a frame.
fn vector(name: &str) -> Vec<u8> {
    let line = WIRE.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    let hex = line.unwrap_or_else(|| panic!("WIRE.md has no vector `{name}`"));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn handshakes_are_written_and_read_as_in_the_document() {
    for (name, handshake) in handshakes() {
        let mut written = Vec::new();
        handshake.encode(&mut written);
        assert_eq!(hex(&written), hex(&vector(name)), "{name}");
        assert_eq!(Handshake::decode(&written), Ok(handshake), "{name}");
    }
}

#[test]
fn control_frames_are_written_and_read_as_in_the_document() {
    for (name, control) in controls() {
        let mut written = Vec::new();
        control.encode(&mut written);
        assert_eq!(hex(&written), hex(&vector(name)), "{name}");
        assert_eq!(Control::decode(&written), Ok(control), "{name}");
    }
}

#[test]
fn a_message_is_written_and_read_as_in_the_document() {
    let header = DataHeader { codec: Codec::MessagePack, name_len: 8, source: NodeId(1), destination: None };
    let mut frame = header.encode(b"greeting\xA2Hi".len()).to_vec();
    frame.extend_from_slice(b"greeting\xA2Hi");
    assert_eq!(hex(&frame), hex(&vector("message")));
    assert_eq!(DataHeader::decode(&frame), Ok((header, "greeting")));
}

#[test]
fn a_message_beside_is_written_and_read_as_in_the_document() {
    let header = DataHeader { codec: Codec::Raw, name_len: 8, source: NodeId(0xFF_FFFF), destination: None };
    let mut token = [0; Token::LEN];
    (token[0], token[9], token[18]) = (3, 0xC0, 1);
    let frame = DataHeader::beside(&header.head("greeting", 0x10000), &Token(token));
    assert_eq!(hex(&frame), hex(&vector("beside")));
    assert_eq!(DataHeader::decode_beside(&frame), Ok((header, "greeting", Token(token))));
    for length in 5..frame.len() {
        assert!(DataHeader::decode_beside(&frame[..length]).is_err(), "cut to {length}");
    }
    assert!(DataHeader::decode_beside(&[&frame[..], &[0]].concat()).is_err(), "with a tail");
}

#[test]
fn no_frame_that_is_cut_short_or_goes_on_is_taken() {
    for (name, _) in controls() {
        let whole = vector(name);
        // Lists of any length end with their frame, so a shorter one can be whole.
        let listing = matches!(name, "interest" | "members");
        for length in 5..whole.len() {
            assert!(Control::decode(&whole[..length]).is_err() || listing, "{name} cut to {length}");
        }
        let longer = [&whole[..], &[1, 2, 3]].concat();
        assert!(Control::decode(&longer).is_err(), "{name} with a tail");
    }
    for (name, _) in handshakes() {
        let whole = vector(name);
        for length in 5..whole.len() {
            assert!(Handshake::decode(&whole[..length]).is_err(), "{name} cut to {length}");
        }
    }
}
