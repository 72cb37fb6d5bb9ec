//! Slurm: one ditask for each task of `srun`.

use super::{Rank, Ranks, Variable, counted, nodes::expand, number, present, required};
use crate::fault::{Fault, Result};

/// How many tasks there are.
const TASKS: &str = "SLURM_NTASKS";
/// How many of them run on each machine.
const TASKS_PER_NODE: &str = "SLURM_NTASKS_PER_NODE";
/// All machines.
const NODES: &str = "SLURM_NODELIST";
/// The same, as newer versions call it.
const JOB_NODES: &str = "SLURM_JOB_NODELIST";
/// Which task this is, from 0.
const TASK: &str = "SLURM_PROCID";
/// The machine that this task is on.
const THIS_NODE: &str = "SLURMD_NODENAME";

/// The port of the first node of each machine.
const PORT: u16 = 15151;

pub(super) fn ranks(workers: usize, port: Option<u16>, variable: Variable<'_>) -> Result<Ranks> {
    let list = match present(NODES, variable).or_else(|| present(JOB_NODES, variable)) {
        Some(list) => list,
        None => required("slurm", NODES, variable)?,
    };
    let hosts =
        expand(&list).map_err(|why| Fault::usage(format!("the variable {NODES} is `{list}`: {why}")))?;
    let tasks: usize = number(TASKS, &required("slurm", TASKS, variable)?)?;
    let each: usize = match present(TASKS_PER_NODE, variable) {
        Some(each) => number(TASKS_PER_NODE, &each)?,
        // srun sets it only when --ntasks-per-node was said.
        None if tasks.is_multiple_of(hosts.len()) => tasks / hosts.len(),
        None => required("slurm", TASKS_PER_NODE, variable).and_then(|each| number(TASKS_PER_NODE, &each))?,
    };
    if each == 0 || hosts.len() * each != tasks {
        return Err(Fault::usage(format!(
            "the variable {TASKS} is {tasks}, but {NODES} has {} machines and {TASKS_PER_NODE} is {each}: every \
             machine must have as many tasks",
            hosts.len()
        )));
    }
    let this: usize = number(TASK, &required("slurm", TASK, variable)?)?;
    if this >= tasks {
        return Err(Fault::usage(format!(
            "the variable {TASK} is {this}, but {TASKS} is {tasks}: tasks count from 0"
        )));
    }
    let first_port = usize::from(port.unwrap_or(PORT));
    let mut all = Vec::new();
    for task in 0..tasks {
        all.push(Rank {
            host: hosts[task / each].clone(),
            workers,
            first_id: counted("node id", task * workers, 0)?,
            // Port 0 means any free one, for all of them.
            first_port: if port == Some(0) { 0 } else { counted("port", first_port, task % each * workers)? },
        });
    }
    let here = required("slurm", THIS_NODE, variable)?;
    if all[this].host != here {
        return Err(Fault::usage(format!(
            "task {this} belongs on {}, but the variable {THIS_NODE} says {here}: start it with \
             `srun --distribution=block`",
            all[this].host
        )));
    }
    Ok(Ranks { all, this, labels: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: [(&str, &str); 5] = [
        (TASKS, "6"),
        (TASKS_PER_NODE, "3"),
        (NODES, "SH-IDC1-10-5-38-[190,215]"),
        (TASK, "3"),
        (THIS_NODE, "SH-IDC1-10-5-38-215"),
    ];

    fn of(workers: usize, variables: &[(&str, &str)]) -> Result<Ranks> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        ranks(workers, None, &variable)
    }

    fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
        let others = REFERENCE.into_iter().filter(|(known, _)| *known != name);
        others.chain([(name, value)]).filter(|(_, value)| !value.is_empty()).collect()
    }

    #[test]
    fn tasks_of_one_machine_have_ports_behind_each_other() {
        let ranks = of(1, &REFERENCE).unwrap();
        assert_eq!(ranks.this, 3);
        let seen: Vec<_> =
            ranks.all.iter().map(|rank| (&rank.host[16..], rank.first_id, rank.first_port)).collect();
        let expected = [
            ("190", 0, 15151),
            ("190", 1, 15152),
            ("190", 2, 15153),
            ("215", 3, 15151),
            ("215", 4, 15152),
            ("215", 5, 15153),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn tasks_with_several_nodes_leave_each_other_room() {
        let ranks = of(2, &REFERENCE).unwrap();
        let seen: Vec<_> = ranks.all.iter().map(|rank| (rank.first_id, rank.first_port)).collect();
        assert_eq!(seen, [(0, 15151), (2, 15153), (4, 15155), (6, 15151), (8, 15153), (10, 15155)]);
    }

    #[test]
    fn the_number_of_tasks_on_a_machine_follows_from_the_others() {
        assert_eq!(of(1, &with(TASKS_PER_NODE, "")), of(1, &REFERENCE));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (name, value, named) in [
            (TASKS, "", TASKS),
            (TASKS, "six", TASKS),
            (TASKS, "7", TASKS),
            (TASKS_PER_NODE, "0", TASKS_PER_NODE),
            (NODES, "", NODES),
            (NODES, "SH-[", NODES),
            (TASK, "", TASK),
            (TASK, "6", TASK),
            (TASK, "-1", TASK),
            (TASK, "0", THIS_NODE),
            (THIS_NODE, "", THIS_NODE),
        ] {
            let fault = of(1, &with(name, value)).unwrap_err();
            assert!(fault.to_string().contains(named), "{name}={value}: {fault}");
        }
    }
}
