//! The project's own commands, as `cargo xtask <command>`.

mod check_deps;
mod ci;
mod command;
mod examples;
mod foreign_types;
mod guarantees;
mod loom;
mod metadata;
mod miri;
mod python;
mod test;

use std::process::ExitCode;

/// What a command returns; the message says what to do about it.
type Result<T = ()> = std::result::Result<T, String>;

const USAGE: &str = "\
cargo xtask test [ARGS]   install what the tests need, then test everything (ARGS go to `cargo test`)
cargo xtask check-deps    check who depends on whom, the features, the README and the public signatures
cargo xtask loom          try every order of what two processes do to the memory that they share
cargo xtask miri          the same under Miri, which the nightly toolchain has (no part of CI)
cargo xtask guarantees F  make the README's table of promises of what `cargo test` printed to the file F
cargo xtask examples      run every example and check what it prints
cargo xtask ci            what CI does after the tests: format, clippy, docs, check-deps, loom, examples";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let result = match command.as_str() {
        "test" => test::run(&rest),
        "check-deps" => check_deps::run(),
        "loom" => loom::run(),
        "miri" => miri::run(),
        "guarantees" => guarantees::run(&rest),
        "examples" => examples::run(),
        "ci" => ci::run(),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
