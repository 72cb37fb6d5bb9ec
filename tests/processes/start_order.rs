//! Three processes that are told to attach to each other, started in every order.

use tidings::Topology;
use tidings_testkit::tokio;

use crate::{
    harness::Case,
    node::block_on,
    place::{Over, Place},
    programs::JOB,
    remote::Remote,
    settings::Settings,
};

const ORDERS: [[u32; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for over in Over::ALL {
        for topology in [Topology::Star, Topology::Mesh] {
            let name = format!(
                "{}::the_first_message_after_open_arrives_in_every_start_order_of_a_{topology}",
                over.name()
            );
            cases.push(Case::always(name, move || {
                ORDERS.iter().for_each(|order| first_messages_arrive(over, topology, order));
                String::new()
            }));
        }
    }
    cases
}

/// Ports that nobody else gets while this is held, and that a node can listen on.
struct Ports(Vec<tokio::net::TcpSocket>);

impl Ports {
    fn reserve(count: usize) -> Self {
        let reserve = |_| {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket
        };
        Self((0..count).map(reserve).collect())
    }
}

/// Whom the node of this id is told to attach to: the hub, or everyone below it.
fn attached(topology: Topology, id: u32) -> std::ops::Range<usize> {
    topology.dials(id as usize)
}

fn first_messages_arrive(over: Over, topology: Topology, order: &[u32; 3]) {
    let place = Place::new();
    let ports = block_on(async { Ports::reserve(3) });
    let addresses: Vec<String> = match over {
        Over::Ipc => {
            (0..3).map(|id| format!("ipc://{}", place.join(&format!("{id}.sock")).display())).collect()
        }
        Over::Tcp | Over::Zmq => {
            let scheme = if over == Over::Zmq { "zmq+tcp" } else { "tcp" };
            ports.0.iter().map(|port| format!("{scheme}://{}", port.local_addr().unwrap())).collect()
        }
    };
    let mut started: Vec<(u32, Remote)> = Vec::new();
    for &id in order {
        let mut settings = Settings::new(id, &addresses[id as usize]);
        settings.topology = topology;
        let settings = settings.attach_to(&addresses[attached(topology, id)]);
        // Whoever was told to attach to a node had it connected before it said its first word.
        let expected = (0..3).filter(|other| attached(topology, *other).contains(&(id as usize))).count();
        let (variable, value) = settings.variable();
        let mut node = place.start("first message", &[(variable, value), (JOB, expected.to_string())]);
        node.line("opening");
        started.push((id, node));
    }
    for (id, node) in &mut started {
        let (_, heard) = node.line("heard ");
        let senders: Vec<u32> =
            (0..3).filter(|other| attached(topology, *other).contains(&(*id as usize))).collect();
        assert_eq!(heard, format!("{senders:?}"), "node {id}, started in the order {order:?}");
    }
    for (_, node) in &mut started {
        node.tell("end");
    }
    for (_, node) in &mut started {
        assert_eq!(node.end(), 0);
    }
    place.assert_empty();
}
