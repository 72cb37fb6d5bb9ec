//! The command that others type to join a launch.

use std::{
    ffi::{OsStr, OsString},
    net::IpAddr,
};

use clap::ValueEnum;
use tidings::Topology;

use crate::{
    arguments::{MqType, Protocol, Run},
    secret::VARIABLE,
    wire::shown,
};

/// What others have to know that the first command line does not say.
pub(crate) struct Invitation<'a> {
    pub(crate) secret: Option<&'a str>,
    /// The cluster's name, if it was drawn for this launch.
    pub(crate) cluster: Option<&'a str>,
    /// Where to attach to; nowhere on a broker.
    pub(crate) address: Option<&'a str>,
    /// The first node id that is free.
    pub(crate) node_id: u32,
}

/// The command to type on another server: this one's, with what is different there.
pub(crate) fn command(run: &Run, invitation: &Invitation<'_>) -> String {
    let mut words = Vec::new();
    if let Some(secret) = invitation.secret {
        words.push(format!("{VARIABLE}={secret}"));
    }
    words.push("ditask".to_owned());
    let mut flag = |name: &str, value: OsString| words.extend([name.to_owned(), quoted(&value)]);
    let text = |text: &str| OsStr::new(text).to_owned();
    if let Some(package) = &run.package {
        flag("--package", package.clone().into_os_string());
    }
    if let Some(main) = &run.main {
        flag("--main", text(main));
    }
    if run.parallel_workers > 1 {
        flag("--parallel-workers", text(&run.parallel_workers.to_string()));
    }
    if let Some(transport) = &run.transport {
        flag("--transport", text(&shown(transport)));
    }
    if run.protocol != Protocol::default() {
        flag("--protocol", text(&name_of(&run.protocol)));
    }
    if run.mq_type != MqType::default() {
        flag("--mq-type", text(&name_of(&run.mq_type)));
    }
    if let Some(host) = &run.redis.host {
        flag("--redis-host", text(host));
    }
    if let Some(port) = run.redis.port {
        flag("--redis-port", text(&port.to_string()));
    }
    if let Some(ports) = run.ports.as_deref().filter(|ports| !ports.is_empty()) {
        flag("--ports", text(ports));
    }
    if run.topology != Topology::default() {
        flag("--topology", text(&run.topology.to_string()));
    }
    // One that stands for every machine's own can be said again; another machine has none of ours.
    if let Some(address) = run.address.as_deref().filter(|address| is_general(address)) {
        flag("--address", text(address));
    }
    if let Some(cluster) = run.cluster.as_deref().or(invitation.cluster) {
        flag("--cluster", text(cluster));
    }
    if run.profile != "release" {
        flag("--profile", text(&run.profile));
    }
    flag("--node-ids", text(&invitation.node_id.to_string()));
    if let Some(address) = invitation.address {
        flag("--attach-to", text(address.strip_prefix("tcp://").unwrap_or(address)));
    }
    if run.insecure {
        words.push("--insecure".to_owned());
    }
    if !run.program.is_empty() {
        words.push("--".to_owned());
        words.extend(run.program.iter().map(|word| quoted(word)));
    }
    words.join(" ")
}

fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn is_general(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified() || address.is_loopback())
}

/// A word as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./:,=@+%".contains(character);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::Arguments;

    fn joins(line: &str) -> String {
        let run = Arguments::try_parse_from(line.split_whitespace()).unwrap().run;
        let address = Some("tcp://192.168.0.1:50515");
        command(&run, &Invitation { secret: None, cluster: None, address, node_id: 1 })
    }

    #[test]
    fn the_command_for_others_is_the_first_one_with_what_is_different_there() {
        let first =
            "ditask --package p --main m.main --parallel-workers 1 --protocol tcp --ports 50515 --node-ids 0";
        assert_eq!(
            joins(first),
            "ditask --package p --main m.main --ports 50515 --node-ids 1 --attach-to 192.168.0.1:50515"
        );
        assert_eq!(
            joins("ditask --topology star --address 10.0.0.1 --insecure -- ./x it's"),
            r"ditask --topology star --node-ids 1 --attach-to 192.168.0.1:50515 --insecure -- ./x 'it'\''s'"
        );
    }
}
