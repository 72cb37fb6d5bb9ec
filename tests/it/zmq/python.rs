//! A program in another language, with a stock ZeroMQ library.

use std::process::{Child, Command, Stdio};

use tidings::{Router, transport::Zmq};
use tidings_testkit::{DEADLINE, deadline, eventually, next, run};

use super::{blocking, node_with_guests};

/// Says what it has heard, and how its numbers are.
const PROGRAM: &str = r#"
import sys, msgpack, zmq
hear, say, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
context = zmq.Context()
ears = context.socket(zmq.SUB)
ears.connect(hear)
ears.subscribe("question")
mouth = context.socket(zmq.XPUB)
mouth.connect(say)
assert mouth.recv() == b"\x01"
for expected in range(count):
    name, header, payload = ears.recv_multipart()
    header = msgpack.unpackb(header)
    assert header["version"] == 1 and header["source"] == 1 and header["number"] == expected, header
    question = msgpack.unpackb(payload)
    answer = {"id": question["id"], "text": question["text"].upper()}
    mouth.send_multipart([b"answer", msgpack.packb({"version": 1, "codec": 1}), msgpack.packb(answer)])
mouth.send_multipart([b"bytes", msgpack.packb({"version": 1, "codec": 0}), b"\x00\xff"])
context.destroy(linger=5000)
"#;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Line {
    id: u64,
    text: String,
}

/// The interpreter that `cargo xtask test` has made, or the system's if it has what is needed.
fn interpreter() -> Option<String> {
    let python = std::env::var("TIDINGS_TEST_PYTHON");
    let is_required = python.is_ok();
    let python = python.unwrap_or_else(|_| "python3".to_owned());
    let mut check = Command::new(&python);
    check.args(["-c", "import msgpack, zmq"]).stderr(Stdio::null());
    let has_all = check.status().is_ok_and(|status| status.success());
    assert!(has_all || !is_required, "{python} has no msgpack or no zmq");
    has_all.then_some(python)
}

/// A process that does not outlive its test.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_python_program_hears_a_node_and_is_heard() {
    const COUNT: u64 = 500;
    let Some(python) = interpreter() else {
        eprintln!("skipped: no Python with msgpack and pyzmq; `cargo xtask test` makes one");
        return;
    };
    run("python", move || async move {
        let zmq = Zmq::bind("tcp://127.0.0.1:0").guests("tcp://127.0.0.1:0");
        let a = node_with_guests(0, &zmq).await;
        let b =
            Router::builder().node_id(1).transport(Zmq::bind("tcp://127.0.0.1:0")).attach_to(a.addresses());
        let b = deadline("b", b.open()).await.unwrap();
        let mut answers = b.subscribe::<Line>("answer").unwrap();
        let mut bytes = b.subscribe::<tidings::Bytes>("bytes").unwrap();
        a.wait_for_listeners("answer", 1).timeout(DEADLINE).await.unwrap();
        a.wait_for_listeners("bytes", 1).timeout(DEADLINE).await.unwrap();
        let doors = zmq.doors().unwrap();
        let mut guest = Command::new(python);
        guest.args(["-c", PROGRAM, &doors.hear, &doors.say, &COUNT.to_string()]);
        let mut guest = Guest(guest.spawn().unwrap());
        b.wait_for_listeners("question", 1).timeout(DEADLINE).await.unwrap();
        for id in 0..COUNT {
            b.emit("question", &Line { id, text: "hi".to_owned() }).await.unwrap();
        }
        for id in 0..COUNT {
            let event = next(&mut answers).await;
            assert_eq!((event.source, event.payload), (0.into(), Line { id, text: "HI".to_owned() }));
        }
        assert_eq!(next(&mut bytes).await.payload[..], [0, 0xff]);
        assert!(blocking(move || guest.0.wait().unwrap().success()).await);
        eventually("nobody", || b.listeners("question") == 0).await;
    });
}
