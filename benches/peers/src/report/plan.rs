//! What a report runs: this program again for each group of rows, so that one which fails takes no other
//! along.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::{
    machine::Machine,
    record::{Failed, LeftOut},
};
use crate::{
    harness::Result,
    measures::{self, MEASURE},
};

/// Sizes of the tables, in bytes.
pub(crate) const SIZES: [usize; 4] = [64, 1 << 10, 64 << 10, 1 << 20];

/// The most receivers of the scale; 3 of them are measured with all peers.
pub(crate) const RECEIVERS: [usize; 4] = [1, 3, 7, 15];

/// Servers that Tidings goes through, each beside its own client.
const BROKERS: &str = "redis,nats";

/// Those whose round trips are made by looking again and again instead of sleeping. They have a run of their own: a
/// process that looks for one peer is awake when another one's message comes.
const LOOKING: &str = "tidings-busy-poll,iceoryx2-poll,shm-ring";

/// Those whose fan-out is measured also to many receivers.
const SCALED: &str = "tidings,libzmq,nng,zenoh,tokio-batched,raw-batched";

/// Runs it all. Returns the rows, which are also in `file` as soon as they are measured.
pub(crate) fn run(quick: bool, file: &Path) -> Result<String> {
    let (rounds, seconds) = if quick { ("1", ["0.02", "0.05"]) } else { ("5", ["0.1", "0.2"]) };
    let mut file = File::create(file)?;
    let machine = Machine::here(format!(
        "{rounds} rounds of {} s for round trips and {} s for the others",
        seconds[0], seconds[1]
    ));
    let mut text = serde_json::to_string(&machine)? + "\n";
    for peer in crate::left_out() {
        let left_out = LeftOut::everywhere(peer, "built without its feature");
        eprintln!("left out: {peer}: {}", left_out.why);
        text += &(serde_json::to_string(&left_out)? + "\n");
    }
    let groups = groups(rounds, seconds);
    file.write_all(text.as_bytes())?;
    let begin = Instant::now();
    for (index, arguments) in groups.iter().enumerate() {
        eprintln!(
            "{:4.0} s  {}/{}  {}",
            begin.elapsed().as_secs_f64(),
            index + 1,
            groups.len(),
            arguments.join(" ")
        );
        let lines = group(arguments)?;
        file.write_all(lines.as_bytes())?;
        text += &lines;
    }
    eprintln!("{:4.0} s", begin.elapsed().as_secs_f64());
    Ok(text)
}

/// The arguments of each group.
fn groups(rounds: &str, [short, long]: [&str; 2]) -> Vec<Vec<String>> {
    let mut groups = Vec::new();
    let mut add = |arguments: &[&str]| groups.push(arguments.iter().map(|word| (*word).to_owned()).collect());
    for size in SIZES.map(|size| size.to_string()) {
        for who in ["--except", "--peer"] {
            add(&[
                "latency",
                "--size",
                &size,
                who,
                LOOKING,
                "--rounds",
                rounds,
                "--seconds",
                short,
                "--json",
            ]);
        }
        add(&["throughput", "--size", &size, "--rounds", rounds, "--seconds", long, "--json"]);
        let three = ["fanout", "--receivers", "3", "--transport", "ipc,tcp", "--size", &size];
        add(&[&three[..], &["--rounds", rounds, "--seconds", long, "--json"]].concat());
    }
    for size in ["64", "65536"] {
        let through =
            ["--transport", BROKERS, "--size", size, "--rounds", rounds, "--seconds", long, "--json"];
        for bench in [&["latency"][..], &["throughput"], &["fanout", "--receivers", "3"]] {
            add(&[bench, &through].concat());
        }
    }
    for receivers in RECEIVERS.into_iter().filter(|receivers| *receivers != 3).map(|it| it.to_string()) {
        let many =
            ["fanout", "--receivers", &receivers, "--transport", "ipc", "--size", "64", "--peer", SCALED];
        add(&[&many[..], &["--rounds", rounds, "--seconds", long, "--json"]].concat());
    }
    for name in measures::names() {
        add(&[MEASURE, name, rounds]);
    }
    groups
}

/// Runs one group. What it prints is in the rows also when it fails, and that it did.
fn group(arguments: &[String]) -> Result<String> {
    let mut child = Command::new(env::current_exe()?).args(arguments).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no standard output")?;
    let mut lines = String::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.starts_with('{') {
            lines += &line;
            lines.push('\n');
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let failed = Failed { failed: format!("`{}`: {status}", arguments.join(" ")) };
        lines += &serde_json::to_string(&failed)?;
        lines.push('\n');
    }
    Ok(lines)
}
