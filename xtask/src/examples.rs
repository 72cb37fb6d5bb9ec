use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Result,
    command::{cargo, output, root},
    metadata, python,
};

/// Each example with its arguments, and how a line that it prints begins.
const EXPECTED: [(&str, &[&str], &str); 12] = [
    ("collector_learner", &[], "learner: trained on 20 batches"),
    ("greeting", &[], "Get msg: Hi"),
    ("greeting", &["--transport", "tcp"], "Get msg: Hi"),
    ("greeting", &["--transport", "redis"], "Get msg: Hi"),
    ("greeting", &["--transport", "nats"], "Get msg: Hi"),
    ("greeting", &["--transport", "zmq"], "Get msg: Hi"),
    ("middleware", &[], "Get msg: Hi 9 times"),
    ("ping_pong", &[], "median round trip: "),
    ("scope", &[], "everywhere: node 0 and node 1"),
    ("terminals", &[], "node 1 says: Hi from the other terminal"),
    ("topology", &[], "star: node 2 reaches node 0 directly, node 1 by way of node 0"),
    ("zmq_guest", &[], "node 0 brings: Python heard 'Hi' of node 1"),
];

/// How long an example may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Builds every example, runs each, and checks what it prints.
pub(crate) fn run() -> Result {
    let programs = build()?;
    let python = python::interpreter()?;
    if let Some(name) = programs.keys().find(|name| !EXPECTED.iter().any(|(known, ..)| known == name)) {
        return Err(format!("EXPECTED in xtask/src/examples.rs does not say what the example {name} prints"));
    }
    for (name, arguments, expected) in EXPECTED {
        let program = programs.get(name).ok_or_else(|| format!("there is no example {name}"))?;
        let started = Instant::now();
        let printed = run_one(name, program, arguments, &python)?;
        let line = printed.lines().find(|line| line.starts_with(expected)).ok_or_else(|| {
            format!("the example {name} printed no line that begins with `{expected}`, but:\n{printed}")
        })?;
        let how = [&[name], arguments].concat().join(" ");
        println!("example {how}: `{line}` ({:.1} s)", started.elapsed().as_secs_f32());
    }
    Ok(())
}

/// Builds the examples just as the tests do, and returns where they are.
fn build() -> Result<BTreeMap<String, PathBuf>> {
    let format = "--message-format=json-render-diagnostics";
    let messages = output(&mut cargo(["build", "--workspace", "--all-features", "--examples", format]))?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs: BTreeMap<_, _> = messages
        .filter(|message| message["target"]["kind"][0] == "example")
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect();
    let declared = metadata::packages()?.into_iter().flat_map(|package| package.examples);
    match declared.into_iter().find(|name| !programs.contains_key(name)) {
        Some(missing) => Err(format!("the example {missing} was not built")),
        None => Ok(programs),
    }
}

/// Runs an example to its end and returns what it printed.
fn run_one(name: &str, program: &Path, arguments: &[&str], python: &Path) -> Result<String> {
    let failed = |error: std::io::Error| format!("the example {name}: {error}");
    // A file, not a pipe: nobody has to read it while the example runs.
    let path = program.with_extension("out");
    let file = File::create(&path).map_err(failed)?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).env("PYTHON", python).stdin(Stdio::null()).stdout(file);
    let mut child = command.spawn().map_err(failed)?;
    let deadline = Instant::now() + TIME_LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().and_then(|()| child.wait()).map_err(failed)?;
            return Err(format!("the example {name} was not done after {TIME_LIMIT:?}"));
        }
        thread::sleep(Duration::from_millis(20));
    };
    let printed = std::fs::read_to_string(&path).map_err(failed)?;
    match status.success() {
        true => Ok(printed),
        false => Err(format!("the example {name} failed with {status}, after printing:\n{printed}")),
    }
}
