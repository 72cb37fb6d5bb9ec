//! The command lines of seeds 000 and 001, as they stand there.

use rustix::process::Signal;

use crate::{
    network::Servers,
    support::{Place, Running},
};

/// Seed 000, 使用 ditask 可以在单机上启动多个进程: two processes, and what one emits the other one prints.
#[test]
fn seed_000_starts_two_processes_that_hear_each_other() {
    let Some(server) = Servers::new(1) else { return };
    let place = Place::new().behind(&server.on(0));
    let outcome = place.types("ditask --package my_module --main my_module.main --parallel-workers 2");
    outcome.prints(&["Get msg: Hi"]);
    place.assert_nothing_left();
}

/// Seed 001: the same program, started by ditask with a single worker.
#[test]
fn seed_001_starts_the_main_of_a_package() {
    let Some(server) = Servers::new(1) else { return };
    let place = Place::new().behind(&server.on(0));
    for line in [
        "$ ditask --package my_module --main my_module.main",
        // What the notes say of --package and --main.
        "$ ditask --package path/to/my/package --main my_module.main",
        "$ ditask --package my_module --main my_module::main",
        "$ ditask --package my_module",
    ] {
        place.types(line).prints(&["Get msg: Hi"]);
    }
    place.assert_nothing_left();
}

/// The three commands of seed 001, on three servers. `main` is one that stays.
const SERVERS: [&str; 3] = [
    "$ ditask --package path/to/my/package --main my_module.serves --parallel-workers 1 --protocol tcp --ports 50515  --node-ids 0",
    "$ ditask --package my_module --main my_module.serves --parallel-workers 1 --protocol tcp --ports 50515  --node-ids 1 --attach-to 192.168.0.1:50515",
    "$ ditask --package my_module --main my_module.serves --parallel-workers 1 --protocol tcp --ports 50515  --node-ids 2 --attach-to 192.168.0.1:50515",
];

/// The first node and the other two talk in both directions.
fn both_ways(all: &mut [Running]) {
    // Lines are read in their order, and the joins come in any.
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let line = all[0].line("node 0 heard ");
        heard.push(line.split(' ').nth(3).unwrap_or_default().to_owned());
    }
    heard.sort();
    assert_eq!(heard, ["1", "2"]);
    for (index, node) in all.iter_mut().enumerate().skip(1) {
        node.line(&format!("node {index} heard 0 from node 0"));
    }
}

#[test]
fn seed_001_connects_three_servers_both_ways() {
    let Some(servers) = Servers::new(3) else { return };
    let places: Vec<Place> = (0..3).map(|index| Place::new().behind(&servers.on(index))).collect();
    let mut first = places[0].start(places[0].typed(SERVERS[0]));
    let printed = first.line("TIDINGS_SECRET=");
    let secret = printed.split("TIDINGS_SECRET=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let mut all = vec![first];
    for (line, place) in SERVERS.iter().zip(&places).skip(1) {
        let without = place.types(line);
        without.fails(64, &["TIDINGS_SECRET", "--secret-file", "--insecure", "the first one printed"]);
        let mut command = place.typed(line);
        command.env("TIDINGS_SECRET", secret);
        all.push(place.start(command));
    }
    both_ways(&mut all);
    for node in all {
        assert_eq!(node.end_by(Signal::TERM).code, 143);
    }
    places.iter().for_each(Place::assert_nothing_left);
}

#[test]
fn the_command_that_the_first_server_prints_joins_it_as_it_stands_there() {
    let Some(servers) = Servers::new(3) else { return };
    let places: Vec<Place> = (0..3).map(|index| Place::new().behind(&servers.on(index))).collect();
    let mut first = places[0].start(places[0].typed(SERVERS[0]));
    let printed = first.line("TIDINGS_SECRET=");
    let mut all = vec![first];
    for (index, place) in places.iter().enumerate().skip(1) {
        let line = printed.replace("--node-ids 1", &format!("--node-ids {index}"));
        let (ditask, folder) =
            (env!("CARGO_BIN_EXE_ditask"), std::path::Path::new(env!("CARGO_BIN_EXE_ditask")));
        assert!(line.contains(" ditask "), "{line} does not start {ditask}");
        let mut command = std::process::Command::new("ip");
        command.args(&servers.on(index)[1..]).args(["sh", "-c", line.trim()]);
        place.place(&mut command);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", folder.parent().unwrap().display()));
        all.push(place.start(command));
    }
    both_ways(&mut all);
    // The shell may stand between; the first one is ended as a server is.
    drop(all);
}

#[test]
fn servers_start_in_any_order() {
    let Some(servers) = Servers::new(3) else { return };
    let places: Vec<Place> = (0..3).map(|index| Place::new().behind(&servers.on(index))).collect();
    let start = |index: usize| {
        let mut command = places[index].typed(SERVERS[index]);
        command.env("TIDINGS_SECRET", "one secret for all three servers");
        places[index].start(command)
    };
    // The others try again until the first one is there.
    let (second, third) = (start(1), start(2));
    let mut all = vec![start(0), second, third];
    both_ways(&mut all);
}

/// Pods start in any order, and their names come to stand for something only then.
#[test]
fn a_name_that_does_not_resolve_yet_is_tried_again() {
    let Some(servers) = Servers::new(2) else { return };
    let names = servers.names_on(1);
    let places: Vec<Place> = (0..2).map(|index| Place::new().behind(&servers.on(index))).collect();
    let start = |index: usize, arguments: &str| {
        let line =
            format!("ditask --package my_module --main my_module.serves --node-ids {index} {arguments}");
        let mut command = places[index].typed(&line);
        command.env("TIDINGS_SECRET", "one secret for both of the servers");
        places[index].start(command)
    };
    let mut second = start(1, "--attach-to first.cluster:50515");
    second.line("Finished");
    let mut first = start(0, "");
    first.line("node 0 is process ");
    names.say("192.168.0.1 first.cluster");
    second.line("node 1 heard 0 from node 0");
    first.line("node 0 heard 1 from node 1");
}
