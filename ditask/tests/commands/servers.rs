//! What a program is told and what not, and several ditasks that are one cluster.

use std::fs;

use rustix::process::Signal;
use tidings_testkit::RedisServer;

use crate::{package, support::Place};

#[test]
fn the_program_gets_its_arguments_and_labels_and_no_secret() {
    let place = Place::new();
    let mut command = place.typed(
        "ditask --main tells --address 127.0.0.1 --ports 0 --node-ids 4 --labels learner,gpu --prefix-output",
    );
    command.env("TIDINGS_SECRET", "a secret that nobody is to be told of");
    command.arg("--").arg(package::built()).args(["--ports", "7", "a b"]);
    let outcome = place.run(command);
    outcome.prints(&[r#"[node 4] node 4 labels [learner,gpu] arguments ["--ports", "7", "a b"]"#]);
    assert!(outcome.out.contains("variable TIDINGS_MAIN=tells"), "{outcome:?}");
    let all = format!("{}{}", outcome.out, outcome.err);
    assert!(!all.contains("nobody is to be told"), "the secret is told: {outcome:?}");
    place.assert_nothing_left();
}

#[test]
fn the_startup_interval_is_accepted_and_not_needed() {
    let place = Place::new();
    let mut command =
        place.typed("ditask --main tells --protocol ipc --startup-interval 1 --parallel-workers 2");
    command.arg("--").arg(package::built());
    let outcome = place.run(command);
    outcome.prints(&["node 0 labels [] arguments []", "node 1 labels [] arguments []"]);
    assert!(outcome.err.contains("--startup-interval is not needed"), "{outcome:?}");
}

#[test]
fn a_program_runs_alone_when_nobody_starts_it() {
    let place = Place::new();
    let mut command = std::process::Command::new(package::built());
    place.place(&mut command);
    place.run(command).prints(&["Get msg: Hi"]);
}

#[test]
fn every_shape_connects_every_worker() {
    for (arguments, lines) in [
        ("--topology mesh --protocol ipc", ["node 1 heard 2 from node 2", "node 2 heard 1 from node 1"]),
        ("--topology star --protocol ipc", ["node 1 heard 2 from node 2", "node 2 heard 1 from node 1"]),
        (
            "--topology star --address 127.0.0.1 --ports 0",
            ["node 1 heard 2 from node 2", "node 2 heard 1 from node 1"],
        ),
    ] {
        let place = Place::new();
        let mut command = place.typed(&format!("ditask --main serves --parallel-workers 3 {arguments}"));
        command.arg("--").arg(package::built());
        let mut running = place.start(command);
        let mut missing = lines.to_vec();
        while !missing.is_empty() {
            let line = running.line(" heard ");
            missing.retain(|wanted| *wanted != line);
        }
        assert_eq!(running.end_by(Signal::TERM).code, 143);
        place.assert_nothing_left();
    }
}

#[test]
fn a_secret_in_a_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let file = place.path().join("secret.key");
    fs::write(&file, "x".repeat(64)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = place.typed("ditask --main tells --address 127.0.0.1 --ports 0");
    command.arg("--secret-file").arg(&file).arg("--").arg(package::built());
    place.run(command).fails(1, &["chmod 600", "--secret-file"]);
}

#[test]
fn nodes_meet_at_a_redis_server_and_two_launches_do_not() {
    let port = crate::platforms::free_ports(1).to_string();
    let _server = RedisServer::with(&["--port", &port]);
    let place = Place::new();
    let line = format!("ditask --main serves --mq-type redis --redis-host 127.0.0.1 --redis-port {port}");
    let start = |arguments: &str| {
        let mut command = place.typed(&format!("{line} {arguments}"));
        command.arg("--").arg(package::built());
        place.start(command)
    };
    let mut first = start("--parallel-workers 2");
    let printed = first.line("--cluster ");
    assert!(
        printed.contains(&format!("--redis-port {port}")) && printed.contains("--node-ids 2"),
        "{printed}"
    );
    first.line(" heard ");
    first.line(" heard ");
    // The same ids in another cluster: these two do not meet the first ones.
    let mut other = start("--parallel-workers 2");
    other.line(" heard ");
    let cluster = printed.split("--cluster ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let mut joins = start(&format!("--node-ids 2 --cluster {cluster}"));
    joins.line("node 2 heard ");
    joins.line("node 2 heard ");
    let peers =
        place.types(&format!("ditask peers --json --at redis://127.0.0.1:{port} --cluster {cluster}"));
    assert_eq!((peers.code, peers.out.lines().count()), (0, 3), "{peers:?}");
    for running in [joins, other, first] {
        assert_eq!(running.end_by(Signal::TERM).code, 143);
    }
    place.assert_nothing_left();
}
