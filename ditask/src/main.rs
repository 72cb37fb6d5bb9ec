//! `ditask` starts a program's main in many processes: on one machine, on servers, on Slurm, on Kubernetes. It
//! also looks at what runs, and finds out why a node cannot connect.
//!
//! It knows nothing that the library does not: it turns a command line into a plan ([`plan`]), hands that to
//! [`tidings::parallel`], which starts the processes, and says what went wrong in the words of the command line
//! ([`fault`]).
//!
//! # Invariants
//!
//! * **One fault, one message.** Everything that fails becomes a [`fault::Fault`], and is said once, at the end.
//! * **No secret is told.** None stands in the arguments or the environment of a child; `secret.rs` is the only
//!   file that reads one.
//! * **Nothing stays behind.** What is unpacked or built for one run is in a directory that goes with it.

mod arguments;
mod bench;
mod cargo;
mod doctor;
mod fault;
mod finish;
mod join;
mod json;
mod k8s;
mod keygen;
mod launch;
mod manual;
mod observer;
mod package;
mod peers;
mod plan;
mod platform;
mod progress;
mod publish;
mod secret;
mod subscribe;
mod table;
mod top;
mod unpack;
mod wire;

use std::process::ExitCode;

use arguments::Command;

fn main() -> ExitCode {
    let arguments = match arguments::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let result = match arguments.command {
        None => launch::run(arguments.run),
        Some(Command::Run(run)) => launch::run(*run),
        Some(Command::K8s(k8s)) => k8s::run(k8s),
        Some(Command::Sub(sub)) => subscribe::run(&sub),
        Some(Command::Pub(publish)) => publish::run(&publish),
        Some(Command::Peers(peers)) => peers::run(&peers),
        Some(Command::Top(top)) => top::run(&top),
        Some(Command::Doctor(doctor)) => doctor::run(&doctor),
        Some(Command::Keygen(keygen)) => keygen::run(&keygen),
        Some(Command::Bench(bench)) => bench::run(&bench),
        Some(Command::Completions(completions)) => manual::completions(&completions),
        Some(Command::Man) => manual::man(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.say(),
    }
}
