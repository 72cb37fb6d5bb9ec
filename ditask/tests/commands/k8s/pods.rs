//! A rendered job, run: each pod's command in a network, a tree of processes and under a host name of its own, with
//! the environment that its manifest says, and names that stand for addresses as the Service would have it.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use k8s_openapi::api::{batch::v1::Job, core::v1::EnvVar};
use rustix::process::Signal;

use super::{Manifests, render};
use crate::{
    network::{Names, Servers},
    package,
    support::{Outcome, Place, Running, signal},
};

/// What ends a wait for what a process is to do next.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where Kubernetes keeps a pod's index.
const INDEX: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";

/// What a pod runs.
struct Pod {
    /// The name by which the others find it.
    name: String,
    command: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// The pods of a job, by rank: what Kubernetes makes of its manifests.
fn pods(manifests: &Manifests) -> Vec<Pod> {
    let of_job = |job: &Job| {
        let spec = job.spec.clone().unwrap();
        let template = spec.template.spec.unwrap();
        let container = template.containers[0].clone();
        let job = job.metadata.name.clone().unwrap();
        let subdomain = template.subdomain.unwrap();
        let pods = (0..spec.completions.unwrap()).map(move |index| {
            let host = format!("{job}-{index}");
            let own = [("HOSTNAME", host.clone()), ("JOB_COMPLETION_INDEX", index.to_string())];
            let said =
                container.env.iter().flatten().map(|one| (one.name.clone(), value(one, index, manifests)));
            Pod {
                name: format!("{host}.{subdomain}"),
                command: container.command.clone().unwrap(),
                variables: own
                    .map(|(name, value)| (name.to_owned(), value))
                    .into_iter()
                    .chain(said)
                    .collect(),
            }
        });
        pods.collect::<Vec<_>>()
    };
    manifests.jobs.iter().flat_map(of_job).collect()
}

/// The value of a variable in the pod of this index.
fn value(variable: &EnvVar, index: i32, manifests: &Manifests) -> String {
    let Some(from) = &variable.value_from else { return variable.value.clone().unwrap_or_default() };
    if let Some(field) = &from.field_ref {
        assert_eq!(field.field_path, INDEX);
        return index.to_string();
    }
    let reference = from.secret_key_ref.as_ref().unwrap();
    let mut secrets = manifests.secrets.iter();
    let secret = secrets.find(|secret| secret.metadata.name.as_deref() == Some(&reference.name)).unwrap();
    secret.string_data.as_ref().unwrap()[&reference.key].clone()
}

/// A cluster with this job on it.
struct Cluster {
    place: Place,
    servers: Servers,
    /// What each server knows of names.
    names: Vec<Names>,
    pods: Vec<Pod>,
    /// The server of each pod, by rank: each pod has an address that no pod had before.
    at: Vec<usize>,
    next: usize,
}

impl Cluster {
    /// A cluster that can give so many pods an address, and no pod yet.
    fn new(arguments: &str, addresses: usize) -> Option<Self> {
        let servers = Servers::new(addresses)?;
        let place = Place::new();
        let line =
            format!("--name test --image i --main calls {arguments} -- {}", package::built().display());
        let pods = pods(&Manifests::read(&render(&place, &line)));
        let names = (0..addresses).map(|index| servers.names_on(index)).collect();
        let at = vec![usize::MAX; pods.len()];
        Some(Self { place, servers, names, pods, at, next: 0 })
    }

    /// Starts a pod where there was none before; nobody knows of it yet.
    fn start(&mut self, rank: usize) -> Live {
        let pod = &self.pods[rank];
        let mut command = Command::new("ip");
        command.args(&self.servers.on(self.next)[1..]);
        // The first process of its tree: when it ends, so do all others, as in a container.
        command.args(["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]);
        command.args(["echo $HOSTNAME > /proc/sys/kernel/hostname; exec \"$@\"", "sh"]).args(&pod.command);
        command.env_clear();
        self.place.place(&mut command);
        let folder = Path::new(env!("CARGO_BIN_EXE_ditask")).parent().unwrap().display().to_string();
        command.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()));
        command.envs(&pod.variables);
        self.at[rank] = self.next;
        self.next += 1;
        Live { running: self.place.start(command), said: Vec::new() }
    }

    /// Has all servers know where the pods are that there are, as the Service tells them.
    fn publish(&self) {
        for names in &self.names {
            names.forget();
            for (pod, at) in self.pods.iter().zip(&self.at).filter(|(_, at)| **at != usize::MAX) {
                names.say(&format!("{} {}", Servers::address(*at), pod.name));
            }
        }
    }

    /// Starts all pods, the last one first, and tells their names only then.
    fn start_all(&mut self) -> Vec<Live> {
        let mut running: Vec<Live> = (0..self.pods.len()).rev().map(|rank| self.start(rank)).collect();
        running.reverse();
        self.publish();
        running
    }
}

/// The children of all threads of a process.
fn children(process: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let texts =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    texts
        .flat_map(|text| text.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// The first process of a pod, as who is outside of it counts.
fn first_process(running: &Running) -> i32 {
    let outside = running.process();
    let begin = Instant::now();
    loop {
        // `ip` has become `unshare`, and that has one child.
        if let Some(child) = children(outside).first() {
            return *child;
        }
        assert!(begin.elapsed() < DEADLINE, "the pod has no process");
        thread::yield_now();
    }
}

/// A pod that runs.
struct Live {
    running: Running,
    said: Vec<String>,
}

impl Live {
    /// The line that begins so, once it is there; lines come in any order.
    fn says(&mut self, start: &str) -> String {
        if let Some(line) = self.said.iter().find(|line| line.starts_with(start)) {
            return line.clone();
        }
        loop {
            let line = self.running.line("node ");
            self.said.push(line.clone());
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// In which life this node of it is.
    fn life(&mut self, node: usize) -> String {
        let line = self.says(&format!("node {node} begins life "));
        line.split(' ').nth(4).unwrap().to_owned()
    }

    /// Ends it as Kubernetes does: by a signal to its first process.
    fn end(self, by: Signal) -> Outcome {
        signal(first_process(&self.running), by);
        self.running.end()
    }
}

/// Every node of every pod hears every other one, in the life that it is in. Each pod has so many nodes.
fn all_hear_each_other(pods: &mut [Live], each: usize) {
    let all = pods.len() * each;
    let lives: Vec<String> = (0..all).map(|node| pods[node / each].life(node)).collect();
    for node in 0..all {
        for other in (0..all).filter(|other| *other != node) {
            let line = format!("node {node} hears node {other} of life {}", lives[other]);
            println!("{}", pods[node / each].says(&line));
        }
    }
}

/// A job of three pods with two nodes each, of which two come back elsewhere.
fn runs(topology: &str) {
    let arguments = format!("--workers 3 --parallel-workers 2 --topology {topology} --cpu 6 --memory 10Gi");
    let Some(mut cluster) = Cluster::new(&arguments, 5) else { return };
    let mut pods = cluster.start_all();
    all_hear_each_other(&mut pods, 2);
    // One whose process is killed, and one whose machine is gone: nobody tells the others.
    for (killed, is_unplugged) in [(0, false), (1, true)] {
        if is_unplugged {
            cluster.servers.unplug(cluster.at[killed]);
        }
        // Never two with one rank.
        pods.remove(killed).end(Signal::KILL);
        pods.insert(killed, cluster.start(killed));
        cluster.publish();
        println!("pod {killed} is at {} now", Servers::address(cluster.at[killed]));
        all_hear_each_other(&mut pods, 2);
    }
    for pod in pods {
        assert_eq!(pod.end(Signal::TERM).code, 143);
    }
    cluster.place.assert_nothing_left();
}

#[test]
fn six_nodes_of_three_pods_are_a_star_and_find_a_pod_again_that_was_killed() {
    runs("star");
}

#[test]
fn six_nodes_of_three_pods_are_a_mesh_and_find_a_pod_again_that_was_killed() {
    runs("mesh");
}

#[test]
fn pods_with_gpus_and_without_are_one_cluster() {
    let Some(mut cluster) = Cluster::new("--workers 3 --gpus 2 --topology star --labels big", 3) else {
        return;
    };
    let mut pods = cluster.start_all();
    for (node, labels) in ["gpu,big", "gpu,big", "big"].into_iter().enumerate() {
        let line = pods[node].says(&format!("node {node} begins life "));
        assert!(line.ends_with(&format!(" with labels [{labels}]")), "{line}");
    }
    all_hear_each_other(&mut pods, 1);
}

/// Its pods are ended while they wait for others, as when the job is deleted too early.
#[test]
fn a_pod_that_waits_for_others_ends_in_order() {
    let Some(mut cluster) = Cluster::new("--workers 2 --parallel-workers 2 --topology star", 1) else {
        return;
    };
    let pod = cluster.start(1);
    let first = first_process(&pod.running);
    let begin = Instant::now();
    // Its two nodes.
    let count = || children(first).len();
    while count() < 2 {
        assert!(begin.elapsed() < DEADLINE, "the pod starts no nodes");
        thread::yield_now();
    }
    assert_eq!(pod.end(Signal::TERM).code, 143);
    cluster.place.assert_nothing_left();
}

/// What cannot be is said once and not tried again: the manifests have the job fail on this status.
#[test]
fn a_pod_whose_rank_cannot_be_ends_as_a_wrong_command_line_does() {
    let Some(mut cluster) = Cluster::new("--workers 2", 1) else { return };
    cluster.pods[1].variables.insert("DI_RANK".to_owned(), "2".to_owned());
    cluster.start(1).running.end().fails(64, &["DI_NODES"]);
    cluster.place.assert_nothing_left();
}
