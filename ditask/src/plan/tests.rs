use super::*;
use crate::platform::Platform;

/// The command line of `arguments`, with a platform's variables around it.
fn plan(arguments: &str, variables: &[(&str, &str)]) -> Result<Plan> {
    use clap::Parser;
    let words = std::iter::once("ditask").chain(arguments.split_whitespace());
    let parsed = crate::arguments::Arguments::try_parse_from(words);
    let run = parsed.map_err(|error| Fault::usage(error.to_string()))?.run;
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let workers = usize::from(run.parallel_workers);
    let port = run.ports.as_deref().and_then(|port| port.parse().ok());
    let ranks =
        run.platform.map(|platform: Platform| platform.ranks(workers, port, &variable)).transpose()?;
    let spec = run.platform_spec.as_deref().map(Spec::read).transpose()?;
    let around = Surroundings { ranks, spec, outward: IpAddr::from([192, 168, 0, 1]) };
    Plan::new(&run, &Wire::of(&run)?, &around)
}

/// Each node as `id listen advertise [attach to] labels`.
fn nodes(arguments: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let plan = plan(arguments, variables).unwrap_or_else(|fault| panic!("{arguments}: {fault}"));
    let node = |seat: &Seat| {
        let advertise = seat.advertise.as_deref().unwrap_or("-");
        format!(
            "{} {} {advertise} [{}] {}",
            seat.node_id,
            seat.listen,
            seat.attach_to.join(","),
            seat.labels.join(",")
        )
    };
    plan.seats.iter().map(node).collect()
}

const PODS: [(&str, &str); 2] = [("DI_NODES", "SH-0,SH-1,SH-2,SH-3,SH-4,SH-5"), ("DI_RANK", "3")];

const TASKS: [(&str, &str); 5] = [
    ("SLURM_NTASKS", "6"),
    ("SLURM_NTASKS_PER_NODE", "3"),
    ("SLURM_NODELIST", "SH-IDC1-10-5-38-[190,215]"),
    ("SLURM_PROCID", "3"),
    ("SLURMD_NODENAME", "SH-IDC1-10-5-38-215"),
];

/// As the reference tests it, without blanks.
const SPEC: &str = r#"{"tasks":[{"labels":"league,collect","node_ids":10},{"labels":"league,collect","node_ids":11},{"labels":"evaluate","node_ids":20,"attach_to":"$node.10,$node.11"},{"labels":"learn","node_ids":31,"attach_to":"$node.10,$node.11,$node.20"},{"labels":"learn","node_ids":32,"attach_to":"$node.10,$node.11,$node.20"},{"labels":"learn","node_ids":33,"attach_to":"$node.10,$node.11,$node.20"}]}"#;

#[test]
fn workers_of_one_machine_count_ids_and_ports_up() {
    assert_eq!(
        nodes("--parallel-workers 2", &[]),
        ["0 tcp://192.168.0.1:50515 - [] ", "1 tcp://192.168.0.1:50516 - [] "]
    );
    assert_eq!(
        nodes("--parallel-workers 2 --ports 7,9 --node-ids 5,3 --labels a,b --labels c --address ::1", &[]),
        ["5 tcp://[::1]:7 - [] a,b,c", "3 tcp://[::1]:9 - [] a,b,c"]
    );
    assert_eq!(nodes("--protocol ipc --parallel-workers 2", &[]), ["0 ipc - [] ", "1 ipc - [] "]);
    assert_eq!(
        nodes("--address= --ports= --node-ids= --attach-to= ", &[]),
        ["0 tcp://192.168.0.1:50515 - [] "]
    );
}

/// Seed 001.
#[test]
fn three_servers_meet_at_the_first_one() {
    let common = "--parallel-workers 1 --protocol tcp --ports 50515";
    assert_eq!(nodes(&format!("{common} --node-ids 0"), &[]), ["0 tcp://192.168.0.1:50515 - [] "]);
    for id in [1, 2] {
        let arguments = format!("{common} --node-ids {id} --attach-to 192.168.0.1:50515");
        let expected = format!("{id} tcp://192.168.0.1:50515 - [tcp://192.168.0.1:50515] ");
        assert_eq!(nodes(&arguments, &[]), [expected]);
        assert!(plan(&arguments, &[]).unwrap().joins);
    }
}

#[test]
fn addresses_are_taken_with_and_without_a_scheme() {
    let node = "0 tcp://192.168.0.1:50515 - [tcp://a:1,tcp://b:2,ipc:///x] ";
    assert_eq!(nodes("--attach-to a:1,tcp://b:2 --attach-to ipc:///x", &[]), [node]);
}

#[test]
fn a_leaf_of_a_star_connects_to_node_0_alone() {
    let here = plan("--topology star --parallel-workers 2 --attach-to x:1", &[]).unwrap();
    assert_eq!((here.seats[0].attach_to.len(), here.seats[1].attach_to.len()), (1, 0));
    let leaves = plan("--topology star --parallel-workers 2 --node-ids 4 --attach-to x:1", &[]).unwrap();
    assert!(leaves.seats.iter().all(|seat| seat.attach_to == ["tcp://x:1"]));
}

#[test]
fn brokers_are_addresses_without_ports() {
    assert_eq!(
        nodes("--mq-type redis --redis-host r --redis-port 7 --node-ids 4", &[]),
        ["4 redis://r:7 - [] "]
    );
    assert_eq!(nodes("--transport nats", &[]), ["0 nats://127.0.0.1:4222 - [] "]);
    assert_eq!(nodes("--transport zmq --address h", &[]), ["0 zmq+tcp://h:50515 - [] "]);
}

/// The cases of the reference's own parser tests.
#[test]
fn pods_find_each_other_by_the_reference_s_rules() {
    let spec = format!("--platform k8s --platform-spec {SPEC}");
    assert_eq!(
        nodes(&spec, &PODS),
        ["31 tcp://0.0.0.0:50515 SH-3 [tcp://SH-0:50515,tcp://SH-1:50515,tcp://SH-2:50515] learn"]
    );
    assert_eq!(
        nodes("--platform k8s --topology mesh", &PODS),
        ["3 tcp://0.0.0.0:50515 SH-3 [tcp://SH-0:50515,tcp://SH-1:50515,tcp://SH-2:50515] "]
    );
}

/// The table of six processes in three pods: seed 000's job.
#[test]
fn three_pods_of_two_nodes_are_six() {
    let of = |rank: &str, topology: &str| {
        let variables = [("DI_NODES", "test-0.test,test-1.test,test-2.test"), ("DI_RANK", rank)];
        nodes(&format!("--platform k8s --parallel-workers 2 --topology {topology}"), &variables)
    };
    assert_eq!(
        of("0", "star"),
        ["0 tcp://0.0.0.0:50515 test-0.test [] ", "1 tcp://0.0.0.0:50516 test-0.test [] "]
    );
    let hub = "[tcp://test-0.test:50515]";
    for (rank, first) in [("1", 2), ("2", 4)] {
        let expected = [0, 1].map(|index| {
            format!("{} tcp://0.0.0.0:{} test-{rank}.test {hub} ", first + index, 50515 + index)
        });
        assert_eq!(of(rank, "star"), expected);
    }
    let lower =
        "[tcp://test-0.test:50515,tcp://test-0.test:50516,tcp://test-1.test:50515,tcp://test-1.test:50516]";
    assert_eq!(of("2", "mesh")[1], format!("5 tcp://0.0.0.0:50516 test-2.test {lower} "));
    assert_eq!(of("2", "alone")[0], "4 tcp://0.0.0.0:50515 test-2.test [] ");
}

/// The cases of the reference's own parser tests.
#[test]
fn tasks_of_slurm_find_each_other_by_the_reference_s_rules() {
    let machine = "tcp://SH-IDC1-10-5-38-190";
    assert_eq!(
        nodes(&format!("--platform slurm --platform-spec {SPEC}"), &TASKS),
        [format!(
            "31 tcp://0.0.0.0:15151 SH-IDC1-10-5-38-215 [{machine}:15151,{machine}:15152,{machine}:15153] learn"
        )]
    );
    assert_eq!(
        nodes("--platform slurm --topology mesh", &TASKS),
        [format!(
            "3 tcp://0.0.0.0:15151 SH-IDC1-10-5-38-215 [{machine}:15151,{machine}:15152,{machine}:15153] "
        )]
    );
    assert_eq!(
        nodes("--platform slurm --topology star --parallel-workers 2", &TASKS)[1],
        format!("7 tcp://0.0.0.0:15152 SH-IDC1-10-5-38-215 [{machine}:15151] ")
    );
}

#[test]
fn the_command_line_comes_before_the_platform() {
    assert_eq!(
        nodes(
            "--platform k8s --topology alone --address 10.0.0.3 --node-ids 9 --ports 7 --attach-to $node.1,x:1",
            &PODS
        ),
        ["9 tcp://10.0.0.3:7 - [tcp://SH-1:7,tcp://x:1] "]
    );
}

#[test]
fn what_cannot_be_names_the_flag() {
    let spec = format!("--platform k8s --platform-spec {}", r#"{"tasks":[]}"#);
    for (arguments, named) in [
        ("--ports x", "--ports"),
        ("--ports 1,2", "--ports"),
        ("--node-ids 1,1 --parallel-workers 2", "--node-ids"),
        ("--node-ids 4294967295", "--node-ids"),
        ("--attach-to host", "host:50515"),
        ("--attach-to pigeon://x", "--attach-to"),
        ("--attach-to $node.1", "--platform"),
        ("--attach-to $node.x --platform k8s", "$node.x"),
        ("--attach-to $node.77 --platform k8s", "node 77"),
        ("--topology star --node-ids 1", "--attach-to"),
        ("--topology star --node-ids 1 --attach-to a:1,b:1", "--attach-to"),
        ("--topology ring", "--topology"),
        ("--protocol ipc --platform k8s", "--protocol"),
        ("--transport nats --attach-to a:1", "--attach-to"),
        ("--platform k8s --ports 0", "--ports"),
        (&spec, "--platform-spec"),
        ("--platform-spec {}", "--platform"),
        ("--parallel-workers 0", "--parallel-workers"),
        ("--connect-timeout 0", "--connect-timeout"),
    ] {
        let fault = plan(arguments, &PODS).unwrap_err();
        assert!(fault.to_string().contains(named), "{arguments}: {fault}");
        assert_eq!(fault.code(), 64, "{arguments}");
    }
}

#[test]
fn only_what_other_machines_reach_is_exposed() {
    for (arguments, exposed) in [
        ("", true),
        ("--address 0.0.0.0", true),
        ("--address trainer", true),
        ("--address localhost", false),
        ("--address 127.0.0.2", false),
        ("--address ::1", false),
        ("--protocol ipc", false),
        ("--transport redis", false),
        ("--transport zmq", true),
    ] {
        assert_eq!(plan(arguments, &[]).unwrap().exposed().is_some(), exposed, "{arguments}");
    }
}
