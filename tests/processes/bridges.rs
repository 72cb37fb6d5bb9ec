//! Two machines of three workers each: network namespaces with a Redis server in one of them. Workers of one machine speak
//! over sockets of their own, machines over the server.

use std::{process::Command, time::Instant};

use tidings_testkit::{Guarded, PrivateDir};

use crate::{
    harness::Case,
    netns::{self, ADDRESSES, Network},
    place::Place,
    remote::Remote,
    settings::{PRIVATE, Settings},
};

/// How many workers a machine has.
const WORKERS: u32 = 3;

/// The machine that the server is on, and the one that is cut off from it.
const SERVED: usize = 0;
const CUT_OFF: usize = 1;

/// How many messages each node publishes in a round.
const COUNT: u64 = 200;

/// The port of the server, in a namespace where nobody else has it.
const PORT: &str = "6379";

/// Has a directory stand where another one is, for itself and what it starts: machines have the same paths, and files of
/// their own.
const MOVE_IN: &str = r#"mount --bind "$0" "$1" && shift && exec "$@""#;

pub(crate) fn cases() -> Vec<Case> {
    vec![netns::case("bridges::two_machines_that_are_cut_off_and_back_lose_nothing", cut_and_healed)]
}

/// Both machines, with all that runs on them. Fields are dropped in this order.
struct Machines {
    nodes: Vec<Remote>,
    /// How often each node has published.
    rounds: u64,
    _server: Guarded,
    network: Network,
    files: [Place; 2],
    /// Where either machine's files are for its own nodes.
    _path: Place,
    _server_files: PrivateDir,
}

fn machine_of(id: usize) -> usize {
    id / WORKERS as usize
}

impl Machines {
    fn start() -> Self {
        let network = Network::new().unwrap();
        let (files, path, server_files) = ([Place::new(), Place::new()], Place::new(), PrivateDir::new());
        let server = redis(&network, &server_files);
        let mut nodes: Vec<Remote> = Vec::new();
        let mut entrances: [Option<String>; 2] = [None, None];
        for id in 0..2 * WORKERS {
            let machine = machine_of(id as usize);
            let listen = format!("{PRIVATE},redis://{}:{PORT}", ADDRESSES[SERVED]);
            let mut settings = Settings::new(id, listen).quick().attach_to(&entrances[machine]);
            settings.guarded = true;
            let mut node = path.node_by(inside(&network, machine, &files[machine], &path), &settings);
            let (_, addresses) = node.line("open ");
            entrances[machine].get_or_insert(addresses);
            nodes.push(node);
        }
        let mut machines = Self {
            nodes,
            rounds: 0,
            _server: server,
            network,
            files,
            _path: path,
            _server_files: server_files,
        };
        machines.told("joined");
        machines.nodes.iter_mut().for_each(|node| drop(node.ask("meet 5", "met")));
        machines
    }

    /// Each node publishes to all others. Returns the number of the round.
    fn publish(&mut self) -> u64 {
        let round = self.rounds;
        self.rounds += 1;
        for (id, node) in self.nodes.iter_mut().enumerate() {
            node.ask(&format!("publish {} {COUNT}", publisher(round, id)), "published");
        }
        round
    }

    /// Waits until every node has what those published in a round of which it is to hear by now.
    fn hear(&mut self, round: u64, hears: impl Fn(usize, usize) -> bool) {
        for (id, node) in self.nodes.iter_mut().enumerate() {
            for other in (0..2 * WORKERS as usize).filter(|other| *other != id && hears(id, *other)) {
                node.ask(&format!("await {} {COUNT}", publisher(round, other)), "heard");
            }
        }
    }

    /// Waits until every node has told that all of the other machine have left, or have joined again.
    fn told(&mut self, what: &str) {
        for (id, node) in self.nodes.iter_mut().enumerate() {
            let away = (0..2 * WORKERS as usize).filter(|other| machine_of(*other) != machine_of(id));
            away.for_each(|other| drop(node.line(&format!("{what} {other}"))));
        }
    }

    /// Asserts that every node has had every message of every other one once and in order, and none of its own.
    fn assert_whole(&mut self) {
        for (id, node) in self.nodes.iter_mut().enumerate() {
            for round in 0..self.rounds {
                for other in 0..2 * WORKERS as usize {
                    let expected = if other == id { [0, COUNT, 0, 0] } else { [COUNT, 0, 0, 0] };
                    let tally = node.ask(&format!("tally {} {COUNT}", publisher(round, other)), "tally");
                    assert_eq!(
                        tally, expected,
                        "received, lost, duplicated, reordered at node {id} of node {other} in round {round}"
                    );
                }
            }
            assert_eq!(node.now("lost "), None, "node {id}");
        }
    }
}

/// The number by which the messages of a node in a round are known.
fn publisher(round: u64, id: usize) -> u64 {
    100 * round + id as u64
}

fn redis(network: &Network, files: &PrivateDir) -> Guarded {
    let [ip, arguments @ ..] = network.words(SERVED);
    let address = ADDRESSES[SERVED];
    let server = ["redis-server", "--bind", address, "--port", PORT, "--protected-mode", "no", "--save", ""];
    Guarded::start(ip, &[&arguments[..], &server].concat(), files.path(), "eady to accept connections")
        .unwrap()
}

/// The beginning of a command line that runs on a machine, with its files.
fn inside(network: &Network, machine: usize, files: &Place, path: &Place) -> Command {
    let mut command = network.inside(machine);
    command.args(["sh", "-c", MOVE_IN]).arg(files.join("")).arg(path.join(""));
    command.arg(std::env::current_exe().unwrap());
    command
}

fn cut_and_healed() -> String {
    let mut machines = Machines::start();
    let everyone = |_, _| true;
    let neighbours = |one, other| machine_of(one) == machine_of(other);
    let first = machines.publish();
    machines.hear(first, everyone);

    let since = Instant::now();
    machines.network.set(CUT_OFF, "down");
    // Some while the machines still count as connected, some when it is known that they are not. Within a machine all of
    // it arrives: it does not go over the server.
    let before = machines.publish();
    machines.hear(before, neighbours);
    machines.told("left");
    let after = machines.publish();
    machines.hear(after, neighbours);
    machines.network.set(CUT_OFF, "up");
    let away = since.elapsed();

    machines.told("joined");
    let back = since.elapsed() - away;
    for round in [before, after] {
        machines.hear(round, everyone);
    }
    // What would come twice comes before what is published now.
    let last = machines.publish();
    machines.hear(last, everyone);
    machines.assert_whole();
    machines.nodes.iter_mut().for_each(Remote::shut_down);
    machines.files.iter().for_each(Place::assert_empty);
    let messages = machines.rounds * COUNT * u64::from(2 * WORKERS * (2 * WORKERS - 1));
    format!("{messages} messages heard once each; cut off for {away:?}, together again {back:?} later")
}
