//! One of two processes that share memory dies while it writes a slot, or while it holds one: the other one has
//! what it was given, and in the end nothing of it is left.

use std::{fs, time::Instant};

use tidings_testkit::found;

use crate::{
    harness::Case,
    node::block_on,
    place::{Over, Place},
    remote::Remote,
    settings::Settings,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Sender,
    Receiver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Writing,
    Holding,
}

/// How many payloads are held, at least.
const HELD: u64 = 5;

pub(crate) fn cases() -> Vec<Case> {
    let victims = [(Victim::Sender, "sender"), (Victim::Receiver, "receiver")];
    let moments = [(Moment::Writing, "writes"), (Moment::Holding, "holds")];
    let mut cases = Vec::new();
    for (victim, who) in victims {
        for (moment, what) in moments {
            let name =
                format!("ipc::nothing_is_left_of_a_{who}_that_is_killed_while_it_{what}_shared_memory");
            cases.push(Case::always(name, move || killed(victim, moment)));
        }
    }
    cases
}

/// What a process has of the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Possession {
    descriptors: usize,
    /// Memory of others, and pages of returns.
    mappings: usize,
}

impl Possession {
    fn of(process: &Remote) -> Self {
        let pid = process.pid();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let is_shared = |line: &&str| {
            line.contains("memfd:tidings-returns")
                || line.contains("r--s") && line.contains("memfd:tidings-payloads")
        };
        Self {
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            mappings: maps.lines().filter(is_shared).count(),
        }
    }
}

/// What its descriptors stand for, without those that it closes meanwhile.
fn open_files(process: &Remote) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap().flatten();
    files.filter_map(|file| Some(fs::read_link(file.path()).ok()?.display().to_string())).collect()
}

fn killed(victim: Victim, moment: Moment) -> String {
    let place = Place::new();
    let mut sender = place.node(&Settings::new(0, Over::Ipc.anywhere()).quick());
    let (_, entrance) = sender.line("open ");
    let mut receiver = place.node(&Settings::new(1, Over::Ipc.anywhere()).quick().attach_to([&entrance]));
    receiver.line("open ");
    // Their pools are there before anything is counted.
    let all = [&mut sender, &mut receiver].map(|node| node.ask("slots", "slots")[0]);
    let before = [&sender, &receiver].map(Possession::of);
    receiver.ask("hold", "holding");
    for number in 0.. {
        // The first ones come through the socket, and are not held.
        sender.ask(&format!("share {number}"), "shared");
        if receiver.ask("held", "held")[0] >= HELD {
            break;
        }
    }
    if moment == Moment::Writing {
        [&mut sender, &mut receiver][victim as usize].ask("write", "writing");
    }
    let (mut dying, mut survivor) = match victim {
        Victim::Sender => (sender, receiver),
        Victim::Receiver => (receiver, sender),
    };
    dying.signal("KILL");
    assert_eq!(dying.end(), 137);
    survivor.line(&format!("left {} ", victim as usize));
    if victim == Victim::Sender {
        // What was given to it is still there, for as long as it likes.
        assert!(survivor.ask("check", "whole")[0] >= HELD);
        assert!(Possession::of(&survivor).mappings > 0, "it holds the memory of a dead process");
        survivor.ask("release", "released");
    }
    let other = 1 - victim as usize;
    let figures = nothing_is_left(&mut survivor, all[other], &before[other]);
    survivor.shut_down();
    figures
}

/// Waits until the survivor has all of its own memory, and nothing of the other one's.
fn nothing_is_left(survivor: &mut Remote, all: u64, before: &Possession) -> String {
    let since = Instant::now();
    let look = || {
        let slots = survivor.ask("slots", "slots")[0];
        let now = Possession::of(survivor);
        match slots == all && now.mappings == 0 && now.descriptors <= before.descriptors {
            true => Ok(()),
            false => Err(format!(
                "{slots} of {all} slots are free, {now:?}, before it was {before:?}; open: {:?}",
                open_files(survivor)
            )),
        }
    };
    block_on(found("end of what the dead one had", look));
    format!("nothing is left after {:?}", since.elapsed())
}
