//! Processes that a platform starts, each with its own environment, on loopback.

use std::net::TcpListener;

use crate::{
    package,
    support::{Place, Running},
};

/// Free ports behind each other.
pub(crate) fn free_ports(count: u16) -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let others = (1..count).all(|more| {
            port.checked_add(more).is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        });
        if others {
            return port;
        }
    }
}

/// A process of a platform with these variables.
fn start(place: &Place, arguments: &str, variables: &[(&str, String)]) -> Running {
    let mut command = place.typed(&format!("ditask run --main serves {arguments}"));
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.arg("--").arg(package::built());
    place.start(command)
}

/// Every node of `running` hears every other one.
fn all_hear_each_other(running: &mut [Running], nodes: &[Vec<u32>]) {
    let all: Vec<u32> = nodes.concat();
    for (running, own) in running.iter_mut().zip(nodes) {
        let mut missing: Vec<String> = Vec::new();
        for node in own {
            missing.extend(
                all.iter()
                    .filter(|other| *other != node)
                    .map(|other| format!("node {node} heard {other} from node {other}")),
            );
        }
        while !missing.is_empty() {
            let line = running.line(" heard ");
            missing.retain(|wanted| *wanted != line);
        }
    }
}

#[test]
fn tasks_of_slurm_on_one_machine_are_one_cluster() {
    for topology in ["mesh", "star"] {
        let place = Place::new();
        let port = free_ports(6);
        let arguments = format!(
            "--platform slurm --address 127.0.0.1 --topology {topology} --parallel-workers 2 --ports {port}"
        );
        // The last one first: tasks start in any order.
        let mut running: Vec<Running> = (0..3)
            .rev()
            .map(|task: usize| {
                let variables = [
                    ("SLURM_NTASKS", "3".to_owned()),
                    ("SLURM_NTASKS_PER_NODE", "3".to_owned()),
                    ("SLURM_NODELIST", "localhost".to_owned()),
                    ("SLURM_PROCID", task.to_string()),
                    ("SLURMD_NODENAME", "localhost".to_owned()),
                ];
                start(&place, &arguments, &variables)
            })
            .collect();
        running.reverse();
        all_hear_each_other(&mut running, &[vec![0, 1], vec![2, 3], vec![4, 5]]);
        drop(running);
    }
}

#[test]
fn pods_find_each_other_by_name() {
    let place = Place::new();
    let port = free_ports(1);
    // Two addresses of this machine stand for two pods with the same port.
    let mut running: Vec<Running> = [1, 0]
        .into_iter()
        .map(|rank: usize| {
            let variables = [
                ("DI_NODES", "127.0.0.1,127.0.0.2".to_owned()),
                ("DI_RANK", rank.to_string()),
                ("DI_LABELS", "gpu".to_owned()),
            ];
            start(
                &place,
                &format!("--platform k8s --ports {port} --address 127.0.0.{}", rank + 1),
                &variables,
            )
        })
        .collect();
    running.reverse();
    all_hear_each_other(&mut running, &[vec![0], vec![1]]);
}

#[test]
fn a_platform_s_processes_need_a_secret_that_they_share() {
    let place = Place::new();
    let mut command = place.typed("ditask --platform k8s");
    command.env("DI_NODES", "a,b").env("DI_RANK", "0");
    command.arg("--").arg(package::built());
    place.run(command).fails(64, &["ditask keygen", "TIDINGS_SECRET", "--insecure"]);
}

#[test]
fn a_job_on_a_broker_needs_a_name() {
    let place = Place::new();
    let mut command = place.typed("ditask --platform k8s --mq-type redis");
    command.env("DI_NODES", "a,b").env("DI_RANK", "0");
    command.arg("--").arg(package::built());
    place.run(command).fails(64, &["DI_JOB_ID", "--cluster"]);
}
