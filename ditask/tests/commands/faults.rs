//! What goes wrong when all words are right: one error with the fix in it, a status that says so, nothing left.

use std::{fs, io::Write, net::TcpListener, process::Command};

use rustix::process::Signal;

use crate::{
    package,
    support::{Outcome, Place, Running, signal},
};

/// `ditask` with the built program, on loopback.
fn launch(place: &Place, arguments: &str, program: &str) -> Command {
    let mut command = place.typed(&format!("ditask --address 127.0.0.1 {arguments}"));
    command.arg("--").arg(package::built());
    command.args(program.split_whitespace());
    command
}

fn outcome(arguments: &str) -> Outcome {
    let place = Place::new();
    let outcome = place.run(launch(&place, arguments, ""));
    place.assert_nothing_left();
    outcome
}

/// The process of a node, by what its main says.
fn process_of(line: &str) -> i32 {
    let word = line.split("is process ").nth(1).and_then(|rest| rest.split(' ').next());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no process in `{line}`"))
}

/// Where node 0 listens, by what its main says.
fn listening(running: &mut Running) -> String {
    let line = running.line("node 0 listens on tcp://");
    line.split("tcp://").nth(1).expect("it is in the line").to_owned()
}

fn serving(place: &Place, arguments: &str) -> (Running, i32) {
    let mut running = place.start(launch(place, &format!("--main serves {arguments}"), ""));
    let process = process_of(&running.line("node 0 is process "));
    (running, process)
}

#[test]
fn a_port_that_is_taken_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    outcome(&format!("--ports {port}")).fails(1, &[&format!("127.0.0.1:{port} is in use"), "--ports"]);
}

#[test]
fn an_unknown_function_lists_those_there_are() {
    let listed = ["`my_module::fails`", "`my_module::main`", "`my_module::serves`", "my_module.nothing"];
    outcome("--ports 0 --parallel-workers 2 --main my_module.nothing").fails(64, &listed);
}

#[test]
fn a_main_that_fails_fails_the_run() {
    outcome("--ports 0 --main my_module::fails").fails(1, &["node 0", "the cheese failed: it is out"]);
}

#[test]
fn a_main_that_panics_fails_the_run_and_ends_the_others() {
    outcome("--ports 0 --parallel-workers 3 --main panics").fails(101, &["node 0", "out of cheese"]);
}

#[test]
fn a_worker_that_is_killed_fails_the_run_and_ends_the_others() {
    let place = Place::new();
    let (running, process) = serving(&place, "--ports 0 --parallel-workers 3");
    signal(process, Signal::KILL);
    running.end().fails(137, &["node 0", "SIGKILL"]);
    place.assert_nothing_left();
}

#[test]
fn a_worker_that_is_killed_is_started_again_if_that_was_asked_for() {
    let place = Place::new();
    let (mut running, process) = serving(&place, "--ports 0 --parallel-workers 2 --auto-recover 1");
    running.line("node 0 sees node 1");
    signal(process, Signal::KILL);
    let again = process_of(&running.line("node 0 is process "));
    assert_ne!(process, again);
    running.line("node 0 sees node 1");
    assert_eq!(running.end_by(Signal::TERM).code, 143);
    place.assert_nothing_left();
}

#[test]
fn a_signal_ends_all_workers_in_order() {
    for (by, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let place = Place::new();
        let (running, _) = serving(&place, "--ports 0 --parallel-workers 2");
        let outcome = running.end_by(by);
        assert_eq!(outcome.code, code, "{outcome:?}");
        place.assert_nothing_left();
    }
}

#[test]
fn workers_end_when_ditask_is_killed() {
    let place = Place::new();
    let (running, _) = serving(&place, "--ports 0 --parallel-workers 2");
    assert_eq!(running.end_by(Signal::KILL).code, 137);
    place.assert_nothing_left();
}

#[test]
fn a_server_that_is_not_there_is_named_when_time_is_up() {
    // Held and never accepted from: nobody else can get this port.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let arguments = format!("--ports 0 --node-ids 1 --connect-timeout 0.5 --attach-to 127.0.0.1:{port}");
    outcome(&arguments).fails(1, &[&format!("127.0.0.1:{port}"), "--connect-timeout"]);
}

#[test]
fn a_name_that_never_resolves_is_named_when_time_is_up() {
    let arguments = "--ports 0 --node-ids 1 --connect-timeout 0.5 --attach-to pod-0.invalid:50515";
    outcome(arguments).fails(1, &["pod-0.invalid:50515", "--connect-timeout"]);
}

#[test]
fn a_node_id_that_is_taken_is_named_with_its_flag() {
    let place = Place::new();
    let (mut first, _) = serving(&place, "--ports 0");
    let address = listening(&mut first);
    let second = place.run(launch(&place, &format!("--ports 0 --attach-to {address}"), ""));
    second.fails(1, &["node id 0", "--node-ids"]);
    first.end_by(Signal::TERM);
    place.assert_nothing_left();
}

#[test]
fn a_secret_that_differs_is_named_with_its_flag() {
    let place = Place::new();
    let secret = |letter: &str| letter.repeat(32);
    let mut command = launch(&place, "--main serves --ports 0", "");
    command.env("TIDINGS_SECRET", secret("a"));
    let mut first = place.start(command);
    first.line("node 0 is process ");
    let address = listening(&mut first);
    for (theirs, said) in [(Some("b"), "differ"), (None, "we have none")] {
        let mut command = launch(&place, &format!("--ports 0 --node-ids 1 --attach-to {address}"), "");
        if let Some(letter) = theirs {
            command.env("TIDINGS_SECRET", secret(letter));
        }
        place.run(command).fails(1, &[said, "--secret-file", "TIDINGS_SECRET"]);
    }
    let short = {
        let mut command = launch(&place, "--ports 0", "");
        command.env("TIDINGS_SECRET", "short");
        place.run(command)
    };
    short.fails(1, &["TIDINGS_SECRET", "ditask keygen"]);
    assert!(!short.err.contains("short"), "the secret is told: {short:?}");
    first.end_by(Signal::TERM);
    place.assert_nothing_left();
}

#[test]
fn a_program_that_never_joins_is_told_so() {
    let place = Place::new();
    for (line, code) in [
        ("ditask --protocol ipc -- true", 1),
        ("ditask --protocol ipc --connect-timeout 0.5 -- sleep 1000", 1),
    ] {
        place.types(line).fails(code, &["it never joined the bus", "#[tidings::main]"]);
        place.assert_nothing_left();
    }
}

#[test]
fn a_transport_that_the_program_was_not_built_with_names_its_feature() {
    let place = Place::new();
    let mut command = place.typed("ditask --transport nats");
    command.arg("--").arg(package::built());
    place.run(command).fails(1, &["cargo feature `nats`"]);
    place.assert_nothing_left();
}

#[test]
fn a_package_that_does_not_build_says_so() {
    let place = Place::new();
    let folder = place.path().join("broken");
    package::make(&folder, "fn main() { nonsense }");
    let outcome = place.run(place.command([
        "--package".as_ref(),
        folder.as_os_str(),
        "--address".as_ref(),
        "127.0.0.1".as_ref(),
    ]));
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let last = outcome.err.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: the package") && last.contains("does not build"), "{outcome:?}");
    assert!(outcome.err.contains("nonsense"), "what cargo says is not shown: {outcome:?}");
    place.assert_nothing_left();
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing() {
    let place = Place::new();
    let folder = place.path().join("slow");
    fs::create_dir_all(folder.join("src")).unwrap();
    // It stands on nothing, so its build begins with what never ends.
    let manifest = "[package]\nname = \"slow\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/main.rs"), "fn main() {}").unwrap();
    // A build script that never ends, and says that it has begun.
    let begun = place.path().join("begun");
    fs::write(
        folder.join("build.rs"),
        format!("fn main() {{ std::fs::write({begun:?}, \"\").unwrap(); loop {{ std::thread::park() }} }}"),
    )
    .unwrap();
    let mut command =
        place.command(["--package".as_ref(), folder.as_os_str(), "--address".as_ref(), "127.0.0.1".as_ref()]);
    // Of its own, so that nobody waits for it.
    command.env("CARGO_TARGET_DIR", place.path().join("target"));
    let running = place.start(command);
    let deadline = std::time::Instant::now() + crate::support::DEADLINE;
    while !begun.exists() {
        assert!(std::time::Instant::now() < deadline, "the build does not begin");
        std::thread::yield_now();
    }
    running.end_by(Signal::TERM).fails(143, &["interrupted"]);
    place.assert_nothing_left();
}

#[test]
fn a_zip_whose_paths_climb_out_is_refused() {
    let place = Place::new();
    let path = place.path().join("climbs.zip");
    zip(&path, &[("Cargo.toml", "[package]"), ("../../escaped", "x")]);
    let outcome = place.run(place.command([
        "--package".as_ref(),
        path.as_os_str(),
        "--address".as_ref(),
        "127.0.0.1".as_ref(),
    ]));
    outcome.fails(64, &["climbs out", "../../escaped"]);
    assert!(!place.path().join("escaped").exists());
    place.assert_nothing_left();
}

#[test]
fn a_zip_of_a_package_is_built_and_run() {
    let place = Place::new();
    let path = place.path().join("my_module.zip");
    let file = |name: &str| fs::read_to_string(package::folder().join("my_module").join(name)).unwrap();
    let (manifest, main, lock) = (file("Cargo.toml"), file("src/main.rs"), file("Cargo.lock"));
    zip(
        &path,
        &[
            ("my_module/Cargo.toml", &manifest),
            ("my_module/Cargo.lock", &lock),
            ("my_module/src/main.rs", &main),
        ],
    );
    let words = ["--main", "my_module.tells", "--address", "127.0.0.1", "--ports", "0"];
    let mut command = place.command(["--package".as_ref(), path.as_os_str()]);
    command.args(words);
    place.run(command).prints(&["node 0 labels [] arguments []"]);
    place.assert_nothing_left();
}

fn zip(path: &std::path::Path, entries: &[(&str, &str)]) {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, content) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
}
