//! How a task ends, on one node and on all.

use std::sync::Arc;

use tidings_router_core::{Router, Topology};
use tidings_task::Task;
use tidings_testkit::{Cluster, DEADLINE, deadline, node};

use crate::support::{Log, mesh, network, task, within_deadline};

/// A task whose steps go on until somebody finishes.
fn endless(router: &Arc<dyn Router>) -> Task {
    let mut task = task(router);
    task.step_async(|_| {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    });
    task
}

/// Node 1 finishes in its step 1, and all three end.
async fn all_three_end(nodes: &[Arc<dyn Router>]) {
    let mut tasks: Vec<Task> = nodes.iter().map(endless).collect();
    tasks[1].step(|ctx| {
        if ctx.total_step == 1 {
            ctx.task().finish();
        }
    });
    let running: Vec<_> = tasks
        .into_iter()
        .map(|mut task| {
            tokio::spawn(async move {
                task.run(u64::MAX).await.unwrap();
                task.context().total_step
            })
        })
        .collect();
    let mut steps = Vec::new();
    for running in running {
        steps.push(deadline("end of a node", running).await.unwrap());
    }
    assert_eq!(steps[1], 2, "the step in which it finishes is its last");
}

#[test]
fn the_first_of_two_nodes_to_finish_ends_both() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let (mut long, mut short) = (task(&nodes[0]), task(&nodes[1]));
        let reached = Arc::new(tokio::sync::Notify::new());
        let (reaches, waits) = (reached.clone(), reached);
        long.step_async(move |ctx| {
            let reaches = reaches.clone();
            Box::pin(async move {
                if ctx.total_step < 3 {
                    return Ok(());
                }
                reaches.notify_one();
                ctx.task().wait_for::<()>("never").await.map(drop)
            })
        });
        short.step_async(move |ctx| {
            let waits = waits.clone();
            Box::pin(async move {
                if ctx.total_step == 0 {
                    waits.notified().await;
                }
                Ok(())
            })
        });
        let long = tokio::spawn(async move {
            long.run(10).await.unwrap();
            long.context().total_step
        });
        deadline("short run", short.run(2)).await.unwrap();
        assert_eq!(short.context().total_step, 2);
        assert_eq!(deadline("long run", long).await.unwrap(), 3);
    });
}

#[test]
fn finish_in_one_node_of_a_mesh_ends_all_three() {
    within_deadline(|| async { all_three_end(&mesh(3).await).await });
}

#[test]
fn finish_in_a_leaf_of_a_star_ends_all_three() {
    within_deadline(|| async { all_three_end(&Cluster::of(&network(Topology::Star), 3).await).await });
}

#[test]
fn finish_in_one_of_two_nodes_attached_to_a_third_one_ends_all_three() {
    within_deadline(|| async {
        let network = network(Topology::Alone);
        let middle = node(&network, 0).open().await.unwrap();
        let one = node(&network, 1).attach_to(middle.addresses()).open().await.unwrap();
        let two = node(&network, 2).attach_to(middle.addresses()).open().await.unwrap();
        middle.wait_for_peers(2).timeout(DEADLINE).await.unwrap();
        assert_eq!((one.peers().len(), two.peers().len()), (1, 1), "the two do not know each other");
        all_three_end(&[middle, one, two]).await;
    });
}

#[test]
fn finish_in_a_handler_ends_the_task_after_its_step() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let mut running = endless(&nodes[0]);
        let handle = running.handle();
        running.on("enough", move |_: tidings_router_core::Event<()>| handle.finish());
        nodes[1].wait_for_listeners("enough", 1).timeout(DEADLINE).await.unwrap();
        nodes[1].emit("enough", &()).await.unwrap();
        deadline("end", running.run(u64::MAX)).await.unwrap();
    });
}

#[test]
fn a_task_that_has_finished_before_its_run_runs_no_step() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let (mut here, there) = (endless(&nodes[0]), task(&nodes[1]));
        let log = Log::new();
        let called = log.clone();
        here.step(move |_| called.push(()));
        here.finish();
        deadline("end", here.run(5)).await.unwrap();
        assert_eq!((here.context().total_step, log.len()), (0, 0));
        tidings_testkit::eventually("end of the other node", || there.is_finished()).await;
    });
}

#[test]
fn tasks_of_another_name_go_on() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let named = |node: usize, name: &str| Task::builder().router(nodes[node].clone()).name(name).build();
        let (train, eval) = (named(0, "train"), named(0, "eval"));
        let (their_train, their_eval) = (named(1, "train"), named(1, "eval"));
        their_train.finish();
        tidings_testkit::eventually("end of the namesake", || train.is_finished()).await;
        assert!(!eval.is_finished());
        their_eval.finish();
        tidings_testkit::eventually("end of the other one", || eval.is_finished()).await;
    });
}

#[test]
fn two_tasks_after_one_another_are_not_mixed_up_by_finish() {
    within_deadline(|| async {
        let nodes = mesh(3).await;
        for round in 0..20usize {
            // All at once: everyone is told by everyone else who has been told.
            let mut tasks: Vec<Task> = nodes.iter().map(endless).collect();
            assert!(
                tasks.iter().all(|task| !task.is_finished()),
                "round {round} was ended by the one before"
            );
            let mut first = tasks.swap_remove(round % 3);
            let others: Vec<_> = tasks
                .into_iter()
                .map(|mut task| tokio::spawn(async move { task.run(u64::MAX).await.map(|()| task) }))
                .collect();
            deadline("first to end", first.run(3)).await.unwrap();
            assert_eq!(first.context().total_step, 3, "round {round} was ended by the one before");
            for other in others {
                deadline("the others' end", other).await.unwrap().unwrap();
            }
        }
    });
}

#[test]
fn a_node_that_leaves_does_not_disturb_what_others_emit() {
    within_deadline(|| async {
        let messages = 2000;
        let mut nodes = mesh(3).await;
        let listening = task(&nodes[1]);
        let log = Log::new();
        let called = log.clone();
        listening.on("number", move |number: tidings_router_core::Event<u32>| called.push(number.payload));
        let leaving = nodes.pop();
        let leaving_task = task(&leaving);
        leaving_task.on("number", |_: tidings_router_core::Event<u32>| ());
        nodes[0].wait_for_listeners("number", 2).timeout(DEADLINE).await.unwrap();
        let emitting = task(&nodes[0]);
        for number in 0..messages {
            if number == messages / 2 {
                drop(leaving_task.handle());
                leaving.shutdown(DEADLINE).await;
            }
            emitting.emit("number", &number).await.unwrap();
        }
        assert_eq!(log.filled(messages as usize).await, (0..messages).collect::<Vec<u32>>());
    });
}
