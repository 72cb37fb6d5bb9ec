//! What a node costs that has nothing to do.

use std::{fs, time::Duration};

use crate::{
    harness::Case,
    place::{Over, Place},
    settings::Settings,
};

/// How long it is looked at.
const MEASURED: Duration = Duration::from_secs(5);

/// What it may take: 0.1 % of a core.
const ALLOWED: Duration = Duration::from_millis(5);

/// A tick of the clock in which the kernel counts processor time.
const TICK: Duration = Duration::from_millis(10);

pub(crate) fn cases() -> Vec<Case> {
    let case = |over: Over| {
        let name = format!("{}::an_idle_node_takes_at_most_a_thousandth_of_a_core", over.name());
        Case::always(name, move || idle(over))
    };
    Over::BOTH.map(case).into()
}

/// The ticks that a process has had, in user and in kernel mode.
fn ticks(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    // utime and stime are fields 14 and 15 of proc(5), the third is the first of these.
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u32>().unwrap()).sum()
}

/// The same in nanoseconds, where the kernel counts these.
fn precise(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut sum = Duration::ZERO;
    for thread in threads {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        sum += Duration::from_nanos(text.split(' ').next()?.parse().ok()?);
    }
    Some(sum)
}

fn idle(over: Over) -> String {
    let place = Place::new();
    let mut first = place.node(&Settings::new(0, over.anywhere()));
    let (_, entrance) = first.line("open ");
    let mut second = place.node(&Settings::new(1, over.anywhere()).attach_to([entrance]));
    second.line("open ");
    for node in [&mut first, &mut second] {
        node.ask("meet 1", "met");
    }
    // The first moment after a join is not idle: what is held is let go of at its end.
    first.pass(Duration::from_millis(1500));
    let pids = [first.pid(), second.pid()];
    let (before, precisely_before) = (pids.map(ticks), pids.map(precise));
    first.pass(MEASURED);
    let (after, precisely_after) = (pids.map(ticks), pids.map(precise));
    let mut figures = Vec::new();
    for node in 0..2 {
        let counted = TICK * (after[node] - before[node]);
        let measured = match (precisely_before[node], precisely_after[node]) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => counted,
        };
        let percent = 100.0 * measured.as_secs_f64() / MEASURED.as_secs_f64();
        figures.push(format!("{percent:.4} % of a core"));
        // A tick more than allowed may be one that only its end fell into.
        assert!(counted <= ALLOWED.max(TICK), "{counted:?} of {MEASURED:?}");
        assert!(measured <= ALLOWED.max(counted), "{measured:?} of {MEASURED:?}");
    }
    [first, second].iter_mut().for_each(crate::remote::Remote::shut_down);
    place.assert_empty();
    figures.join(" and ")
}
