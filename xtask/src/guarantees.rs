//! The table of promises in the README, made of what the conformance suite saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::Result;

/// A promise, the case that shows it, and the groups of cases, or the single cases, that hold it to that.
struct Promise(&'static str, &'static str, &'static [&'static str]);

/// In the order of the design.
const PROMISES: [Promise; 12] = [
    Promise(
        "**Identity.** Nodes of different clusters never hear each other",
        "clusters_never_hear_each_other",
        &["identity"],
    ),
    Promise(
        "**Scope.** An event reaches every listener in every node, or whom its scope says, and never its sender again",
        "an_event_reaches_every_listener_in_every_node_once",
        &["scope"],
    ),
    Promise(
        "**Topology.** In a mesh, in a star and through a broker everyone reaches everyone; alone, only what is attached to",
        "every_node_hears_every_other_one_exactly_once",
        &["topology"],
    ),
    Promise(
        "**Interest.** An event is sent only where somebody listens for it",
        "an_event_that_nobody_listens_for_is_not_sent",
        &["interest"],
    ),
    Promise(
        "**Ready.** When `open` returns, the peers are connected and the first message is not lost",
        "the_first_message_after_open_is_heard",
        &["ready"],
    ),
    Promise(
        "**Order.** First in, first out per publisher and listener",
        "publishers_at_the_same_time_are_each_heard_in_order",
        &["order"],
    ),
    Promise(
        "**Delivery.** Nothing is dropped while a link lives and its reader reads; no loss is silent",
        "a_burst_to_three_peers_arrives_whole",
        &["delivery", "cancel", "runtimes"],
    ),
    Promise(
        "**Peers come and go,** and you are told; listening is restored by itself",
        "joins_and_leaves_are_told_with_their_reason",
        &["membership"],
    ),
    Promise(
        "**Shutdown** is over by its deadline and says what was not delivered",
        "full_queues_do_not_hold_it_up",
        &["shutdown"],
    ),
    Promise(
        "**Failures are errors,** at the caller, naming the setting",
        "an_address_where_nobody_listens_is_unreachable",
        &["errors"],
    ),
    Promise(
        "**Safe by default.** Who does not hold the secret does not get in",
        "a_node_with_another_secret_is_refused",
        &["errors::a_node_with_another_secret_is_refused", "errors::a_secret_on_one_side_only_is_refused"],
    ),
    Promise(
        "**Everything is bounded,** in bytes and in messages",
        "what_waits_stays_within_its_bounds",
        &["pressure"],
    ),
];

/// The transports, in the order of their columns.
const TRANSPORTS: [&str; 6] = ["memory", "ipc", "tcp", "redis", "nats", "zmq"];

const README: &str = "README.md";
const BEGIN: &str = "<!-- made of the suite's results by `cargo xtask guarantees` -->\n";
const END: &str = "<!-- end of what is made -->\n";

/// Reads what `cargo test` printed to a file, and writes the table, or checks that it is what stands there.
pub(crate) fn run(arguments: &[String]) -> Result {
    let (check, path) = match arguments {
        [path] => (false, path),
        [flag, path] if flag == "--check" => (true, path),
        _ => {
            return Err(
                "cargo xtask guarantees [--check] FILE, a file with what `cargo test` printed".to_owned()
            );
        }
    };
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let (log, readme) = (read(path)?, read(README)?);
    let made = table(&log)?;
    let missing = || format!("{README} has no place for the table, between `{BEGIN}` and `{END}`");
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (old, after) = rest.split_once(END).ok_or_else(missing)?;
    match check {
        true if old == made => Ok(()),
        true => Err(format!("the table of promises in {README} is not what the suite saw, which is\n{made}")),
        false => fs::write(README, [before, BEGIN, &made, END, after].concat())
            .map_err(|error| format!("{README}: {error}")),
    }
}

/// The table, of lines like `test conformance::tcp::mesh::scope::to_names_one_node ... ok`.
fn table(log: &str) -> Result<String> {
    // By transport and case, whether it held in every topology.
    let mut held: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for line in log.lines() {
        let Some((name, outcome)) =
            line.strip_prefix("test conformance::").and_then(|rest| rest.split_once(" ... "))
        else {
            continue;
        };
        let mut parts = name.splitn(3, "::");
        let (Some(transport), Some(_), Some(case)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        *held.entry((transport, case)).or_insert(true) &= outcome == "ok";
    }
    let seen: BTreeSet<_> = held.keys().map(|(transport, _)| *transport).collect();
    let columns: Vec<_> = TRANSPORTS.into_iter().filter(|transport| seen.contains(transport)).collect();
    if columns.is_empty() {
        return Err("no result of the conformance suite is in the file".to_owned());
    }
    let mut table = format!("| | promise | shown by | {} |\n", columns.join(" | "));
    table += &format!("| --- | --- | --- |{}\n", " --- |".repeat(columns.len()));
    for (number, Promise(promise, shown_by, cases)) in (1..).zip(PROMISES) {
        table += &format!("| {number} | {promise} | `{shown_by}` |");
        for transport in &columns {
            let counts = |case: &str| {
                cases.iter().any(|counted| case == *counted || case.split("::").next() == Some(counted))
            };
            let results: Vec<_> = held
                .iter()
                .filter(|((of, case), _)| of == transport && counts(case))
                .map(|(_, held)| *held)
                .collect();
            let count = results.iter().filter(|held| **held).count();
            table += &match results.len() {
                all if all == count && all > 0 => format!(" yes ({all}) |"),
                all => format!(" {count} of {all} |"),
            };
        }
        table += "\n";
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
test conformance::tcp::mesh::scope::one ... ok
test conformance::tcp::star::scope::one ... ok
test conformance::tcp::mesh::scope::two ... ok
test conformance::memory::mesh::scope::one ... ok
test conformance::memory::star::scope::one ... FAILED
test other::test ... ok
";

    #[test]
    fn a_promise_is_kept_when_all_its_cases_hold_in_all_topologies() {
        let table = table(LOG).unwrap();
        let line = table.lines().find(|line| line.starts_with("| 2 |")).unwrap();
        assert!(line.ends_with("| 0 of 1 | yes (2) |"), "{line}");
        assert!(table.starts_with("| | promise | shown by | memory | tcp |\n"), "{table}");
    }

    #[test]
    fn a_file_without_results_is_an_error() {
        assert!(table("test other::test ... ok").is_err());
    }
}
