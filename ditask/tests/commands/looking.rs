//! The commands that look at what runs.

use rustix::process::Signal;
use tidings_testkit::{NatsServer, RedisServer};

use crate::{
    package,
    support::{Place, Running},
};

/// Three nodes of this shape on loopback, and where node 0 listens.
fn cluster(place: &Place, topology: &str) -> (Running, String) {
    let line = format!(
        "ditask --main serves --address 127.0.0.1 --ports 0 --parallel-workers 3 --labels worker --topology {topology}"
    );
    let mut command = place.typed(&line);
    command.arg("--").arg(package::built());
    let mut running = place.start(command);
    let line = running.line("node 0 listens on tcp://");
    let address = line.split("tcp://").nth(1).unwrap().to_owned();
    (running, address)
}

#[test]
fn peers_lists_every_node_of_every_shape_and_nobody_counts_who_looks() {
    for topology in ["mesh", "star"] {
        let place = Place::new();
        let (running, address) = cluster(&place, topology);
        let table = place.types(&format!("ditask peers --at {address}"));
        assert_eq!(table.code, 0, "{table:?}");
        let nodes: Vec<&str> =
            table.out.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(nodes, ["0", "1", "2"], "{table:?}");
        let json = place.types(&format!("ditask peers --json --at {address}"));
        let values: Vec<serde_json::Value> =
            json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(values.len(), 3);
        assert!(values.iter().all(|value| value["labels"][0] == "worker"), "{json:?}");
        let outcome = running.end_by(Signal::TERM);
        // Who looked on was told of to nobody.
        for line in outcome.out.lines().filter(|line| line.contains(" sees node ")) {
            assert!(["0", "1", "2"].contains(&line.rsplit(' ').next().unwrap()), "{line}");
        }
    }
}

#[test]
fn what_pub_emits_is_heard_by_the_nodes_and_by_sub() {
    for topology in ["mesh", "star"] {
        let place = Place::new();
        let (mut running, address) = cluster(&place, topology);
        let mut sub = place.start(place.typed(&format!("ditask sub * -n 1 --json --at {address}")));
        // It is heard of by the node when it is there: a report goes to it.
        let greeted = loop {
            let publish = place.typed(&format!(r#"ditask pub greeting "Hi" --at {address}"#));
            assert_eq!(place.run(publish).code, 0);
            if let Some(line) = sub.seen("greeting") {
                break line;
            }
        };
        running.line("got Hi");
        let value: serde_json::Value = serde_json::from_str(&greeted).unwrap();
        assert_eq!((&value["event"], &value["payload"]), (&"greeting".into(), &"Hi".into()));
        assert_eq!(sub.end().code, 0);
        running.end_by(Signal::TERM);
        place.assert_nothing_left();
    }
}

#[test]
fn a_launch_over_ipc_is_found_without_an_address() {
    let Some(server) = crate::network::Servers::new(1) else { return };
    // A network of its own: nobody has the usual port.
    let place = Place::new().behind(&server.on(0));
    let mut command = place.typed("ditask --main serves --protocol ipc --parallel-workers 2");
    command.arg("--").arg(package::built());
    let mut running = place.start(command);
    running.line("node 0 heard 1 from node 1");
    let outcome = place.types("ditask peers --json");
    assert_eq!((outcome.code, outcome.out.lines().count()), (0, 2), "{outcome:?}");
    running.end_by(Signal::TERM);
    place.types("ditask peers").fails(64, &["--at"]);
    place.assert_nothing_left();
}

#[test]
fn top_shows_every_node_with_its_links_and_rates() {
    let place = Place::new();
    let (running, address) = cluster(&place, "mesh");
    let table = place.types(&format!("ditask top --at {address}"));
    assert_eq!(table.code, 0, "{table:?}");
    let rows: Vec<Vec<&str>> =
        table.out.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{table:?}");
    assert_eq!((rows[0][0], rows[0][1], rows[0][4]), ("0", "worker", "1,2"), "{table:?}");
    let json = place.types(&format!("ditask top --json -n 1 --at {address}"));
    let value: serde_json::Value = serde_json::from_str(json.out.lines().next().unwrap()).unwrap();
    assert_eq!(value["report"]["topology"], "mesh");
    assert!(value["sent_per_second"].is_number(), "{json:?}");
    running.end_by(Signal::TERM);
}

#[test]
fn doctor_says_which_step_fails_and_what_to_do() {
    let place = Place::new();
    let (running, address) = cluster(&place, "mesh");
    let good = place.types(&format!("ditask doctor --at {address}"));
    assert!(good.code == 0 && good.out.contains("3 in a mesh: 0, 1, 2"), "{good:?}");
    for (arguments, said) in [
        (format!("--at {address} --cluster other"), "no  cluster"),
        ("--at nowhere.invalid:1".to_owned(), "no  name"),
        ("--at 127.0.0.1:1".to_owned(), "no  port"),
        ("--at ipc:///nowhere.sock".to_owned(), "no  socket"),
        ("--at 127.0.0.1:x".to_owned(), "no  address"),
    ] {
        let outcome = place.types(&format!("ditask doctor {arguments}"));
        assert!(outcome.code == 1 && outcome.out.contains(said), "{arguments}: {outcome:?}");
    }
    let mut guarded = place.typed(&format!("ditask doctor --at {address}"));
    guarded.env("TIDINGS_SECRET", "a secret that the cluster does not have");
    let outcome = place.run(guarded);
    assert!(outcome.code == 1 && outcome.out.contains("no  secret"), "{outcome:?}");
    running.end_by(Signal::TERM);
}

#[test]
fn doctor_says_that_another_program_has_the_port() {
    let place = Place::new();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let speaks = std::thread::spawn(move || {
        use std::io::Write;
        // The first connection only tries the port.
        for stream in other.incoming().take(2) {
            let _ = stream.unwrap().write_all(b"SSH-2.0-OpenSSH_9.6 and so on, as long as need be\r\n");
        }
    });
    let outcome = place.types(&format!("ditask doctor --at {address}"));
    assert!(outcome.code == 1 && outcome.out.contains("another program"), "{outcome:?}");
    speaks.join().unwrap();
}

#[test]
fn doctor_removes_what_killed_nodes_have_left() {
    let place = Place::new();
    let folder = place.path().join("tmp/tidings");
    std::fs::create_dir(&folder).unwrap();
    let dead = folder.join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let living = folder.join("living.sock");
    let listener = std::os::unix::net::UnixListener::bind(&living).unwrap();
    let scratch = place.path().join("tmp/ditask-killed");
    std::fs::create_dir(&scratch).unwrap();
    let outcome = place.types("ditask doctor --clean");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(!dead.exists() && !scratch.exists() && living.exists(), "{outcome:?}");
    drop(listener);
}

/// What `ditask bench --json` with these arguments has measured, in its order.
fn measured(place: &Place, arguments: &str) -> Vec<String> {
    let outcome = place.types(&format!("ditask bench --json --seconds 0.05 --sizes 64 {arguments}"));
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{outcome:?}");
    let values: Vec<serde_json::Value> =
        outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(values.iter().all(|value| value["messages_per_second"].as_f64() > Some(0.0)), "{outcome:?}");
    place.assert_nothing_left();
    values.iter().map(|value| value["transport"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn bench_measures_every_transport_with_servers_of_its_own() {
    let place = Place::new();
    let plot = place.path().join("plot.svg");
    let names = measured(&place, &format!("--plot {}", plot.display()));
    assert_eq!(names, ["memory", "ipc", "tcp", "redis", "nats", "zmq"]);
    let drawn = std::fs::read_to_string(plot).unwrap();
    assert!(drawn.contains("<svg") && names.iter().all(|name| drawn.contains(name.as_str())), "{drawn}");
}

#[test]
fn bench_measures_with_a_server_that_it_is_told_of() {
    let port = crate::platforms::free_ports(1).to_string();
    let redis = RedisServer::with(&["--port", &port]);
    let nats = NatsServer::with_config("authorization { user: alice, password: hunter2 }");
    let place = Place::new();
    let named = format!(
        "--redis-host 127.0.0.1 --redis-port {port} --transports redis,nats://alice:hunter2@{}",
        nats.address()
    );
    assert_eq!(measured(&place, &named), ["redis", "nats"]);
    let commands = redis.command(&["INFO", "commandstats"]);
    assert!(commands.contains("cmdstat_publish"), "{commands}");
    assert_eq!(measured(&place, &format!("--transports {}", redis.url())), ["redis"]);
}

#[test]
fn bench_that_is_interrupted_leaves_no_server_and_no_folder_behind() {
    for by in [Signal::INT, Signal::TERM] {
        let place = Place::new();
        let running = place.start(place.typed("ditask bench --seconds 60 --sizes 64 --transports nats"));
        // Itself, the shell that guards the server, the server, and the other end.
        place.wait_for_processes(4);
        let outcome = running.end_by(by);
        outcome.fails(128 + by.as_raw(), &["interrupted", "ditask bench"]);
        place.assert_nothing_left();
    }
}

#[test]
fn bench_says_which_server_is_missing_and_measures_the_others() {
    let place = Place::new();
    let without_servers = |arguments: &str| {
        let mut command = place.typed(&format!("ditask bench --json --seconds 0.05 --sizes 64 {arguments}"));
        // Nor is there a shell, which servers are started by.
        command.env("PATH", "/nowhere");
        place.run(command)
    };
    let all = without_servers("");
    assert_eq!((all.code, all.out.lines().count()), (0, 4), "{all:?}");
    for said in
        ["redis is not measured: ", "; --redis-host", "nats is not measured: ", "; --transports nats://"]
    {
        assert!(all.err.contains(said), "`{said}` is not said: {all:?}");
    }
    without_servers("--transports redis").fails(1, &["redis is not measured", "--redis-host"]);
    place.assert_nothing_left();
}

#[test]
fn bench_prints_a_table_and_bars_of_what_it_is_asked_for() {
    let place = Place::new();
    let outcome = place.types("ditask bench --seconds 0.05 --sizes 64 --transports nats,zmq");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let table: Vec<String> = outcome.out.lines().take(3).map(first).collect();
    assert_eq!(table, ["TRANSPORT", "nats", "zmq"], "{outcome:?}");
    assert!(outcome.out.lines().any(|line| line.starts_with("  zmq ") && line.contains('█')), "{outcome:?}");
    place.assert_nothing_left();
}
