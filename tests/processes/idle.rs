//! What a node does that has nothing to do.

use std::{collections::HashMap, fs, path::PathBuf, time::Duration};

use crate::{
    harness::Case,
    place::{Over, Place},
    remote::Remote,
    settings::Settings,
};

/// How long it is looked at.
const MEASURED: Duration = Duration::from_secs(5);

/// How often its threads may wake up in that time: with 50 us for each, which is plenty, that is 0.1 % of a core.
///
/// Counted instead of timed, since the time that a thread was on a core includes what the machine took from it
/// meanwhile.
const ALLOWED: u64 = 100;

pub(crate) fn cases() -> Vec<Case> {
    let case = |over: Over| {
        let name = format!("{}::an_idle_node_hardly_ever_wakes_up", over.name());
        Case::always(name, move || idle(over))
    };
    Over::ALL.map(case).into()
}

/// How often each thread of a process has been put on a core so far, without those that end meanwhile.
fn wake_ups(pid: u32) -> HashMap<PathBuf, u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let of_thread = |status: String| -> u64 {
        let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        counts.map(|(_, count)| count.trim().parse::<u64>().unwrap()).sum()
    };
    let counted = |thread: PathBuf| {
        let status = fs::read_to_string(thread.join("status")).ok()?;
        Some((thread, of_thread(status)))
    };
    threads.filter_map(|thread| counted(thread.path())).collect()
}

/// How many of them there were from one look to another.
fn between(before: &HashMap<PathBuf, u64>, after: &HashMap<PathBuf, u64>) -> u64 {
    after.iter().map(|(thread, count)| count - before.get(thread).unwrap_or(&0)).sum()
}

fn idle(over: Over) -> String {
    let place = Place::new();
    let mut first = place.node(&Settings::new(0, over.anywhere()));
    let (_, entrance) = first.line("open ");
    let second = place.node(&Settings::new(1, over.anywhere()).attach_to([entrance]));
    watch(&place, [first, second])
}

/// Counts how often two nodes wake up that have nothing to say to each other, and shuts them down.
pub(crate) fn watch(place: &Place, [mut first, mut second]: [Remote; 2]) -> String {
    for node in [&mut first, &mut second] {
        node.ask("meet 1", "met");
    }
    // The first moment after a join is not idle: what is held is let go of at its end.
    first.pass(Duration::from_millis(1500));
    let pids = [first.pid(), second.pid()];
    let before = pids.map(wake_ups);
    first.pass(MEASURED);
    let after = pids.map(wake_ups);
    let counts = [0, 1].map(|node| between(&before[node], &after[node]));
    assert!(counts.iter().all(|count| (1..=ALLOWED).contains(count)), "{counts:?} wake-ups in {MEASURED:?}");
    [first, second].iter_mut().for_each(Remote::shut_down);
    place.assert_empty();
    format!("{counts:?} wake-ups in {MEASURED:?}")
}
