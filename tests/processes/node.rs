//! A node that does what its standard input says, and writes what happens to it.

use std::{
    io::stdin,
    process::ExitCode,
    sync::{
        Arc, Condvar, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tidings::{Bytes, Change, Router};
use tidings_testkit::{
    Checker, Numbered,
    tokio::runtime::{Builder, Runtime},
};

use crate::{
    settings::Settings,
    sharing::{self, Held},
};

/// What all numbered messages are called.
const EVENT: &str = "numbered";

/// The messages of a flood, in bytes: mostly small, and sometimes large.
pub(crate) const MIXED: [usize; 16] = [64 * 1024, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64];

/// The messages of a flood of which one is as the other.
const EVEN: [usize; 1] = [1024];

/// What a node has heard.
#[derive(Default)]
struct Heard {
    checker: Mutex<Checker>,
    more: Condvar,
}

/// A flood that goes on until it is halted; returns how many messages it was.
struct Flood {
    publisher: u32,
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

pub(crate) fn run() -> ExitCode {
    let settings = Settings::of_environment();
    let router = settings.builder().open().wait().unwrap();
    let addresses = router.addresses().iter().map(ToString::to_string).collect::<Vec<_>>();
    block_on(async {});
    println!("open {}", addresses.join(" "));
    tell_changes(&router);
    let heard = listen(&router, settings.id);
    obey(&router, &heard, settings.id)
}

/// Runs a future on this thread. The first call makes the one runtime for all of them, with its descriptors.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
    RUNTIME.block_on(future)
}

/// Commands until the end of the input, which is the end of the test.
fn obey(router: &Arc<Router>, heard: &Heard, id: u32) -> ExitCode {
    let mut flood: Option<Flood> = None;
    let held = Held::default();
    for line in stdin().lines().map_while(Result::ok) {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap_or_default();
        let arguments: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        match (command, arguments.as_slice()) {
            ("meet", [count]) => {
                let count = *count as usize;
                router.wait_for_peers(count).wait().unwrap();
                router.wait_for_listeners(EVENT, count).wait().unwrap();
                println!("met");
            }
            ("publish", [publisher, count]) => {
                (0..*count).for_each(|number| publish(router, *publisher as u32, number, 64));
                println!("published {count}");
            }
            ("flood", [publisher]) => flood = Some(Flood::begin(router, *publisher as u32, &EVEN)),
            ("mix", [publisher]) => flood = Some(Flood::begin(router, *publisher as u32, &MIXED)),
            ("halt", []) => {
                let Flood { publisher, over, thread } = flood.take().unwrap();
                over.store(true, Relaxed);
                println!("published {} by {publisher}", thread.join().unwrap());
            }
            ("heard", [publisher]) => {
                println!("heard {}", heard.checker.lock().unwrap().received(*publisher as u32, id));
            }
            ("await", [publisher, count]) => heard.wait(*publisher as u32, id, *count),
            ("tally", [publisher, published]) => {
                let tally = heard.checker.lock().unwrap().tally(*publisher as u32, id, *published);
                println!("tally {tally}");
            }
            ("stats", [peer]) => tell_stats(router, *peer as u32),
            ("hold", []) => held.begin(router),
            ("held", []) => held.count(),
            ("check", []) => held.check(),
            ("release", []) => held.release(),
            ("share", [number]) => sharing::share(router, *number),
            ("write", []) => sharing::write(router),
            ("slots", []) => sharing::count_slots(router),
            ("panic", []) => panic!("told to"),
            ("exit", [code]) => std::process::exit(*code as i32),
            ("shutdown", []) => {
                router.shutdown(Duration::from_secs(5)).wait();
                break;
            }
            _ => panic!("no command `{line}`"),
        }
    }
    ExitCode::SUCCESS
}

fn publish(router: &Arc<Router>, publisher: u32, number: u64, size: usize) {
    let payload = Numbered { publisher, number }.payload(size);
    router.emit(EVENT, payload).only_remote().wait().unwrap();
}

/// Messages as fast as they are taken.
pub(crate) fn flood_until(router: &Arc<Router>, publisher: u32, sizes: &[usize], over: &AtomicBool) -> u64 {
    let mut number = 0;
    for size in sizes.iter().cycle() {
        if over.load(Relaxed) {
            break;
        }
        publish(router, publisher, number, *size);
        number += 1;
        if number == 100 {
            println!("flooding");
        }
    }
    number
}

impl Flood {
    fn begin(router: &Arc<Router>, publisher: u32, sizes: &'static [usize]) -> Self {
        let (router, over) = (router.clone(), Arc::new(AtomicBool::new(false)));
        let is_over = over.clone();
        let thread = thread::spawn(move || flood_until(&router, publisher, sizes, &is_over));
        Self { publisher, over, thread }
    }
}

impl Heard {
    fn wait(&self, publisher: u32, id: u32, count: u64) {
        let checker = self.checker.lock().unwrap();
        let checker =
            self.more.wait_while(checker, |checker| checker.received(publisher, id) < count).unwrap();
        println!("heard {}", checker.received(publisher, id));
    }
}

fn listen(router: &Arc<Router>, id: u32) -> Arc<Heard> {
    let mut numbered = router.subscribe::<Bytes>(EVENT).unwrap();
    let heard = Arc::new(Heard::default());
    let all = heard.clone();
    thread::spawn(move || {
        while let Some(event) = numbered.next_wait() {
            let message = Numbered::read(&event.payload);
            all.checker.lock().unwrap().saw(id, message);
            all.more.notify_all();
        }
        println!("deaf");
    });
    heard
}

fn tell_changes(router: &Arc<Router>) {
    let mut changes = router.changes();
    thread::spawn(move || {
        block_on(async {
            while let Some(change) = changes.next().await {
                match change {
                    Change::Joined(peer) => println!("joined {}", peer.node_id),
                    Change::Left { peer, reason } => println!("left {} {reason:?}", peer.node_id),
                    Change::Lost { peer, count } => println!("lost {} {count}", peer.node_id),
                    _ => {}
                }
            }
        });
    });
}

/// Sent, received, dropped, reported as lost, queued, and whether it lags.
fn tell_stats(router: &Arc<Router>, peer: u32) {
    let stats = router.stats();
    let of_peer = stats.peers.iter().find(|stats| stats.node_id.0 == peer);
    let stats = of_peer.unwrap_or_else(|| panic!("no peer {peer} in {stats:?}"));
    println!(
        "stats {} {} {} {} {} {}",
        stats.sent,
        stats.received,
        stats.dropped.total(),
        stats.lost,
        stats.queued_messages,
        u32::from(stats.lagging)
    );
}
