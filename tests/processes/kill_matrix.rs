//! One node of three processes dies, or stops for a while, in every way and at every moment: the others go
//! on.

use std::{
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    harness::Case,
    place::{Over, Place},
    programs::{LAUNCH, TARGET},
    remote::{PATIENCE, Remote},
    settings::Settings,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Terminated,
    Interrupted,
    Killed,
    Stopped,
    Panics,
    Exits,
    LosesItsLauncher,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Idle,
    Sending,
    Handshake,
}

/// How long after a death the survivors may take to tell it.
const NOTICED: Duration = Duration::from_secs(1);

/// No orphan lives longer than this after its launcher.
const ORPHAN: Duration = Duration::from_secs(1);

/// How many messages go each way between survivors that "go on".
const ON: u64 = 1000;

pub(crate) fn cases() -> Vec<Case> {
    let ways = [
        (Way::Terminated, "is_terminated"),
        (Way::Interrupted, "is_interrupted"),
        (Way::Killed, "is_killed"),
        (Way::Stopped, "is_stopped_for_a_while"),
        (Way::Panics, "panics"),
        (Way::Exits, "exits"),
        (Way::LosesItsLauncher, "loses_its_launcher"),
    ];
    let moments = [
        (Moment::Idle, "while_idle"),
        (Moment::Sending, "in_the_middle_of_sending"),
        (Moment::Handshake, "in_the_middle_of_a_handshake"),
    ];
    let mut cases = Vec::new();
    for over in Over::ALL {
        for (way, how) in ways {
            for (moment, when) in moments {
                // Half a hello, and a listener that says nothing, are bytes as they are.
                if over == Over::Zmq && (moment == Moment::Handshake || way == Way::LosesItsLauncher) {
                    continue;
                }
                let name = format!("{}::the_others_go_on_when_a_node_{how}_{when}", over.name());
                cases.push(Case::always(name, move || the_others_go_on(over, way, moment)));
            }
        }
    }
    cases
}

fn the_others_go_on(over: Over, way: Way, moment: Moment) -> String {
    let place = Place::new();
    let mut survivors = Survivors::start(&place, over);
    let figures = match (way, moment) {
        (Way::LosesItsLauncher, _) => loses_its_launcher(&place, over, moment, &mut survivors),
        (_, Moment::Handshake) => stranger(&place, way, &mut survivors),
        _ => member(&place, over, way, moment, &mut survivors),
    };
    survivors.meet_another(&place, over);
    survivors.nodes.iter_mut().for_each(Remote::shut_down);
    place.assert_empty();
    figures
}

/// Nodes 0 and 1, to which nothing is done.
struct Survivors {
    nodes: [Remote; 2],
    entrance: String,
    floods: bool,
}

impl Survivors {
    fn start(place: &Place, over: Over) -> Self {
        let mut first = place.node(&Settings::new(0, over.anywhere()).quick());
        let (_, entrance) = first.line("open ");
        let mut second = place.node(&Settings::new(1, over.anywhere()).quick().attach_to([&entrance]));
        second.line("open ");
        let mut survivors = Self { nodes: [first, second], entrance, floods: false };
        survivors.meet(1);
        survivors
    }

    /// Waits until each knows so many others that listen.
    fn meet(&mut self, others: usize) {
        for node in &mut self.nodes {
            node.ask(&format!("meet {others}"), "met");
        }
    }

    fn flood(&mut self) {
        for (id, node) in self.nodes.iter_mut().enumerate() {
            node.ask(&format!("mix {id}"), "flooding");
        }
        self.floods = true;
    }

    /// Waits until both have told that this node left. Returns the reasons, and how long after `since` it
    /// took.
    fn see_leave(&mut self, id: u32, since: Instant) -> (Vec<String>, Duration) {
        let told = self.nodes.each_mut().map(|node| node.line(&format!("left {id} ")));
        let last = told.iter().map(|(at, _)| at.saturating_duration_since(since)).max();
        (told.map(|(_, reason)| reason).to_vec(), last.unwrap())
    }

    fn see_join(&mut self, id: u32) {
        for node in &mut self.nodes {
            node.line(&format!("joined {id}"));
        }
    }

    /// Has each send to the other, and asserts that nothing is lost, doubled or reordered between them,
    /// from their first message on.
    fn go_on(&mut self) {
        let published: Vec<u64> = if self.floods {
            for id in 0..2 {
                let before = self.nodes[id].ask(&format!("heard {}", 1 - id), "heard")[0];
                self.nodes[id].ask(&format!("await {} {}", 1 - id, before + ON), "heard");
            }
            self.nodes.each_mut().map(|node| node.ask("halt", "published")[0]).to_vec()
        } else {
            let publish =
                |(id, node): (usize, &mut Remote)| node.ask(&format!("publish {id} {ON}"), "published")[0];
            self.nodes.iter_mut().enumerate().map(publish).collect()
        };
        self.floods = false;
        for (id, node) in self.nodes.iter_mut().enumerate() {
            assert_whole(node, 1 - id as u64, published[1 - id]);
        }
    }

    /// Another node 2 joins, is heard by all, hears all, and leaves.
    fn meet_another(&mut self, place: &Place, over: Over) {
        let settings = Settings::new(2, over.anywhere()).quick().attach_to([&self.entrance]);
        let mut another = place.node(&settings);
        another.line("open ");
        another.ask("meet 2", "met");
        self.see_join(2);
        self.meet(2);
        another.ask("publish 102 10", "published");
        for (id, node) in self.nodes.iter_mut().enumerate() {
            node.ask(&format!("publish {} 10", 100 + id), "published");
            assert_whole(node, 102, 10);
            assert_whole(&mut another, 100 + id as u64, 10);
        }
        let since = Instant::now();
        another.shut_down();
        let (reasons, _) = self.see_leave(2, since);
        assert_eq!(reasons, ["Goodbye", "Goodbye"]);
    }
}

/// Waits until `node` has all the messages of `publisher`, and asserts that it has each once and in order.
fn assert_whole(node: &mut Remote, publisher: u64, published: u64) {
    node.ask(&format!("await {publisher} {published}"), "heard");
    let tally = node.ask(&format!("tally {publisher} {published}"), "tally");
    assert_eq!(
        tally,
        [published, 0, 0, 0],
        "received, lost, duplicated, reordered, of publisher {publisher}"
    );
}

/// Does it to the process, and asserts that it ends so, unless it was stopped.
fn strike(process: &mut Remote, way: Way) -> Instant {
    let since = Instant::now();
    let code = match way {
        Way::Terminated => Some(("TERM", 143)),
        Way::Interrupted => Some(("INT", 130)),
        Way::Killed | Way::LosesItsLauncher => Some(("KILL", 137)),
        Way::Stopped | Way::Panics | Way::Exits => None,
    };
    match (way, code) {
        (_, Some((signal, code))) => {
            process.signal(signal);
            assert_eq!(process.end(), code);
        }
        (Way::Panics, _) => {
            process.tell("panic");
            assert_eq!(process.end(), 101);
        }
        (Way::Exits, _) => {
            process.tell("exit 1");
            assert_eq!(process.end(), 1);
        }
        _ => process.signal("STOP"),
    }
    since
}

/// It happens to a member, node 2.
fn member(place: &Place, over: Over, way: Way, moment: Moment, survivors: &mut Survivors) -> String {
    let mut victim = place.node(&Settings::new(2, over.anywhere()).quick().attach_to([&survivors.entrance]));
    victim.line("open ");
    victim.ask("meet 2", "met");
    survivors.see_join(2);
    survivors.meet(2);
    if moment == Moment::Sending {
        victim.ask("mix 2", "flooding");
        survivors.flood();
    }
    let since = strike(&mut victim, way);
    let (reasons, took) = survivors.see_leave(2, since);
    if way == Way::Stopped {
        let figures = comes_back(&mut victim, moment, survivors);
        return format!("left as {} after {took:?}, {figures}", reasons.join(" and "));
    }
    // One that panics may still say goodbye while its stack unwinds.
    let is_known = |reason: &String| reason == "LinkLost" || way == Way::Panics && reason == "Goodbye";
    assert!(reasons.iter().all(is_known), "{reasons:?}");
    assert!(took < NOTICED, "{took:?}");
    survivors.go_on();
    assert_in_order(survivors, 2);
    format!("left as {} after {took:?}", reasons.join(" and "))
}

/// Asserts that what the survivors have of this publisher came in order and once, however much it is.
fn assert_in_order(survivors: &mut Survivors, publisher: u64) {
    for node in &mut survivors.nodes {
        let tally = node.ask(&format!("tally {publisher} 0"), "tally");
        assert_eq!(tally[2..], [0, 0], "(duplicated, reordered) of publisher {publisher}");
    }
}

/// A member that was stopped, and has left, goes on: it joins again by itself. What was sent to it
/// meanwhile is there, or is reported to it as lost, to the last message.
fn comes_back(victim: &mut Remote, moment: Moment, survivors: &mut Survivors) -> String {
    if moment == Moment::Idle {
        survivors.go_on();
    }
    victim.signal("CONT");
    survivors.see_join(2);
    survivors.meet(2);
    victim.ask("meet 2", "met");
    if moment == Moment::Idle {
        // The survivors sent while it was away, and for less time than it may be.
        (0..2).for_each(|publisher| assert_whole(victim, publisher, ON));
        victim.shut_down();
        survivors.see_leave(2, Instant::now());
        return format!("came back, had all {} messages", 2 * ON);
    }
    survivors.go_on();
    victim.ask("halt", "published");
    let mut lost = 0;
    for id in 0..2 {
        lost += assert_accounted(&mut survivors.nodes[id], id as u64, victim, 2);
        assert_accounted(victim, 2, &mut survivors.nodes[id], id as u64);
        let tally = victim.ask(&format!("tally {id} 0"), "tally");
        assert_eq!(tally[2..], [0, 0], "(duplicated, reordered) of publisher {id}");
    }
    assert_in_order(survivors, 2);
    victim.shut_down();
    survivors.see_leave(2, Instant::now());
    format!("came back, {lost} messages reported as lost to it")
}

/// Waits until what `sender` has sent to `receiver` has arrived or was dropped, and asserts that the
/// receiver was told of all that was dropped. Returns how many these are.
pub(crate) fn assert_accounted(
    sender: &mut Remote,
    sender_id: u64,
    receiver: &mut Remote,
    receiver_id: u64,
) -> u64 {
    let until = Instant::now() + PATIENCE;
    loop {
        let sent = sender.ask(&format!("stats {receiver_id}"), "stats");
        let received = receiver.ask(&format!("stats {sender_id}"), "stats");
        let (dropped, lost) = (sent[2], received[3]);
        if sent[4] == 0 && sent[0] == received[1] + dropped && dropped == lost {
            return dropped;
        }
        assert!(
            Instant::now() < until,
            "{sender_id} to {receiver_id}: sent {} dropped {dropped} queued {}, received {} lost {lost}",
            sent[0],
            sent[4],
            received[1]
        );
    }
}

/// It happens to a process that has said half a hello to both.
fn stranger(place: &Place, way: Way, survivors: &mut Survivors) -> String {
    let mut stranger = place.start("half a hello", &[(TARGET, survivors.entrance.clone())]);
    stranger.line("half");
    strike(&mut stranger, way);
    survivors.go_on();
    if way == Way::Stopped {
        stranger.signal("CONT");
        // The node did not wait for the rest longer than its handshake timeout.
        stranger.tell("closed");
        stranger.line("closed");
        drop(stranger);
    }
    for node in &mut survivors.nodes {
        assert_eq!(node.now("joined 2"), None);
    }
    String::new()
}

/// It happens to the launcher of nodes 2 and 3, which are gone with it.
fn loses_its_launcher(place: &Place, over: Over, moment: Moment, survivors: &mut Survivors) -> String {
    let silent = Silent::listen(over, &place.join("silent"));
    let mut words = vec![
        if moment == Moment::Sending { "floods" } else { "holds" }.to_owned(),
        over.anywhere().to_owned(),
        survivors.entrance.clone(),
    ];
    if moment == Moment::Handshake {
        words.push(silent.address.clone());
    }
    let mut launcher = place.start("launcher", &[(LAUNCH, words.join(" "))]);
    // Itself and two children.
    let own = launcher.pid().to_string();
    let pids: Vec<String> = (0..3).map(|_| launcher.line("process ").1).filter(|pid| *pid != own).collect();
    assert_eq!(pids.len(), 2);
    survivors.see_join(2);
    survivors.see_join(3);
    match moment {
        Moment::Idle => (2..4).for_each(|id| drop(launcher.line(&format!("main {id}")))),
        Moment::Sending => {
            survivors.meet(3);
            launcher.line("flooding");
            survivors.flood();
        }
        Moment::Handshake => silent.wait_for_dial(),
    }
    drop(silent);
    let since = strike(&mut launcher, Way::Killed);
    let (_, second) = survivors.see_leave(2, since);
    let (_, third) = survivors.see_leave(3, since);
    let took = second.max(third);
    assert!(took < ORPHAN, "{took:?}");
    let is_gone = |pid: &String| !lives(pid);
    while !pids.iter().all(is_gone) {
        assert!(since.elapsed() < ORPHAN, "{pids:?} outlive their launcher");
        std::thread::yield_now();
    }
    survivors.go_on();
    (2..4).for_each(|publisher| assert_in_order(survivors, publisher));
    format!("no orphan after {took:?}")
}

/// Whether there is such a process that is more than an entry in a table.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A socket where connections are taken, and nothing is ever said.
struct Silent {
    address: String,
    dialled: std::sync::mpsc::Receiver<()>,
    path: std::path::PathBuf,
}

impl Silent {
    fn listen(over: Over, path: &Path) -> Self {
        let (dial, dialled) = std::sync::mpsc::sync_channel(16);
        let address = match over {
            Over::Ipc => {
                let listener = UnixListener::bind(path).unwrap();
                std::thread::spawn(move || {
                    let held: Vec<_> = listener.incoming().take_while(|_| dial.send(()).is_ok()).collect();
                    drop(held);
                });
                format!("ipc://{}", path.display())
            }
            Over::Tcp | Over::Zmq => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = format!("tcp://{}", listener.local_addr().unwrap());
                std::thread::spawn(move || {
                    let held: Vec<_> = listener.incoming().take_while(|_| dial.send(()).is_ok()).collect();
                    drop(held);
                });
                address
            }
        };
        Self { address, dialled, path: path.to_owned() }
    }

    fn wait_for_dial(&self) {
        self.dialled.recv_timeout(PATIENCE).unwrap();
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
