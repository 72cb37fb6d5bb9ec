//! The example package: the same code in one process, in several, and on several servers learns the same.

use std::{path::Path, process::Command};

use crate::{
    platforms::free_ports,
    support::{Place, Running},
};

/// What is printed when it has learned, however it was started.
const SOLVED: &str =
    "solved: the way is 22 steps, the shortest there is; the untrained table found it from 0 places";

/// A command line that is typed in the repository.
fn typed(place: &Place, line: &str) -> Command {
    let mut command = place.typed(line);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    command
}

#[test]
fn it_is_solved_in_one_process_in_four_and_on_three_servers() {
    let place = Place::new();
    let package = "ditask --package examples/gridworld --address 127.0.0.1";
    place
        .run(typed(&place, &format!("{package} --ports 0")))
        .prints(&[SOLVED, "node 0: learner, evaluator, collector"]);
    let four = place.run(typed(&place, &format!("{package} --ports 0 --parallel-workers 4")));
    four.prints(&[SOLVED, "node 0: learner", "node 1: evaluator", "node 2: collector", "node 3: collector"]);

    let port = free_ports(1);
    let attach = format!("--ports 0 --attach-to 127.0.0.1:{port}");
    let mut servers: Vec<Running> = [
        format!("--labels learner --ports {port}"),
        format!("--labels evaluator --node-ids 1 {attach}"),
        format!("--labels collector --node-ids 2 {attach}"),
    ]
    .iter()
    .map(|arguments| place.start(typed(&place, &format!("{package} {arguments}"))))
    .collect();
    servers[1].line(SOLVED);
    for server in servers {
        assert_eq!(server.end().code, 0);
    }
    place.assert_nothing_left();
}
