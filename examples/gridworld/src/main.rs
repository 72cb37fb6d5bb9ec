//! Learns the way through a maze: collectors try, a learner learns from what they saw, an evaluator says when it is
//! solved. The same code runs in one process, in several, and on several machines:
//!
//! ```console
//! $ cargo run -p gridworld
//! $ ditask --package examples/gridworld --parallel-workers 4
//! $ ditask --package examples/gridworld --labels learner
//! ```

mod maze;
mod table;

use std::sync::{Arc, Mutex, PoisonError};

use tidings::{Error, prelude::*};

use maze::{Maze, Trip};
use table::Table;

/// So many tries are learned from before the others get the new table.
const TRIES: u64 = 10;

/// Who gives up: a learner that learns nothing has a fault.
const MOST_TRIES: u64 = 2_000_000;

#[tidings::main]
async fn main(router: Arc<Router>) -> tidings::Result<()> {
    let roles = roles(&router);
    println!("node {}: {}", router.node_id(), roles.join(", "));
    let task = Task::builder().router(router);
    let mut task = roles.iter().fold(task, |task, role| task.role(*role)).build();
    let maze = Arc::new(Maze::new());
    if task.has_role("learner") {
        learn(&task);
    }
    if task.has_role("evaluator") {
        evaluate(&task, maze.clone());
    }
    if task.has_role("collector") {
        collect(&mut task, maze);
    } else {
        // Everything is done by handlers, until one of them finishes the task.
        task.step_async(|ctx| Box::pin(async move { until_finished(ctx.task().wait_for("solved").await) }));
    }
    task.run(u64::MAX).await
}

/// What this node does: what its labels say; else all of it, if it is alone; else what its number says.
fn roles(router: &Router) -> Vec<&'static str> {
    let all = ["learner", "evaluator", "collector"];
    let said: Vec<_> =
        all.into_iter().filter(|role| router.labels().iter().any(|label| label == role)).collect();
    match (router.peers().len() + 1, router.node_id().0) {
        _ if !said.is_empty() => said,
        (1, _) => all.to_vec(),
        (_, 0) => vec!["learner"],
        (2, _) => vec!["evaluator", "collector"],
        (_, 1) => vec!["evaluator"],
        _ => vec!["collector"],
    }
}

/// Goes through the maze by the latest table, now and then the wrong way, and tells the learner.
fn collect(task: &mut Task<()>, maze: Arc<Maze>) {
    let table = Arc::new(Mutex::new(Table::default()));
    let latest = table.clone();
    task.on("table", move |new: Event<Table>| {
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = new.payload
    });
    task.step_async(move |ctx| {
        let trip = maze.go(&table.lock().unwrap_or_else(PoisonError::into_inner), 0.2);
        Box::pin(async move { ctx.task().emit("trip", &trip).await })
    });
}

/// Learns from every trip, and tells everyone now and then.
fn learn(task: &Task<()>) {
    let (mut table, mut trips) = (Table::default(), 0);
    let handle = task.handle();
    task.on("trip", move |trip: Event<Trip>| {
        table.learn(&trip.payload);
        trips += 1;
        match trips {
            _ if handle.is_finished() => Ok(()),
            MOST_TRIES => Err(Error::failed("learning", format!("not solved after {trips} trips"))),
            _ if trips % TRIES == 0 => handle.emit("table", &table).wait(),
            _ => Ok(()),
        }
    });
}

/// Says from how many places the way is found, and ends the task when it is found from all of them.
fn evaluate(task: &Task<()>, maze: Arc<Maze>) {
    let (handle, mut best, mut tables) = (task.handle(), 0, 0);
    let untrained = maze.solved_from(&Table::default());
    task.on("table", move |new: Event<Table>| {
        let solved = maze.solved_from(&new.payload);
        tables += 1;
        if solved >= best + 8 || solved == maze.places() {
            best = solved;
            println!("evaluator: table {tables} finds the shortest way from {solved} of {} places", maze.places());
        }
        if solved == maze.places() && !handle.is_finished() {
            println!(
                "solved: the way is {} steps, the shortest there is; the untrained table found it from {untrained} places",
                maze.shortest()
            );
            handle.finish();
        }
    });
}

/// The end of the task is what it waited for.
fn until_finished(result: tidings::Result<Event<()>>) -> tidings::Result<()> {
    match result {
        Ok(_) | Err(Error::Finished) => Ok(()),
        Err(error) => Err(error),
    }
}
