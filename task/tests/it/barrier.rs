//! All nodes at the same step.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tidings_router_core::{Result, Router, Topology};
use tidings_task::{Barrier, Task};
use tidings_testkit::{Cluster, DEADLINE, Fixture, deadline, entrances, node};
use tokio::{sync::Notify, task::JoinHandle};

use crate::support::{Log, mesh, network, task, within_deadline};

/// How many steps each node has begun.
type Begun = Arc<Vec<AtomicU64>>;

fn begun(nodes: usize) -> Begun {
    Arc::new((0..nodes).map(|_| AtomicU64::new(0)).collect())
}

/// The furthest and the nearest of these nodes.
fn spread(begun: &Begun, nodes: &[usize]) -> (u64, u64) {
    let all = nodes.iter().map(|node| begun[*node].load(SeqCst));
    (all.clone().max().unwrap_or_default(), all.min().unwrap_or_default())
}

/// A task with a barrier whose steps are counted, at a speed of its own.
fn counted(router: &Arc<dyn Router>, begun: &Begun, apart: &Log<u64>) -> Task {
    let (own, begun, apart) = (router.node_id().0 as usize, begun.clone(), apart.clone());
    let mut task = task(router);
    task.with(Barrier::default());
    task.step(move |ctx| {
        begun[own].store(ctx.total_step + 1, SeqCst);
        let all: Vec<usize> = (0..begun.len()).collect();
        let (furthest, nearest) = spread(&begun, &all);
        apart.push(furthest - nearest);
        thread::sleep(Duration::from_micros((own as u64 * 7 + ctx.total_step * 13) % 5 * 300));
    });
    task
}

fn run(mut task: Task, steps: u64) -> JoinHandle<(Result<()>, Task)> {
    tokio::spawn(async move { (task.run(steps).await, task) })
}

async fn total_step(running: JoinHandle<(Result<()>, Task)>) -> u64 {
    let (ended, mut task) = deadline("end of a node", running).await.unwrap();
    ended.unwrap();
    task.context().total_step
}

async fn never_more_than_one_phase_apart(topology: Topology) {
    let nodes = Cluster::of(&network(topology), 3).await;
    let (begun, apart) = (begun(3), Log::new());
    let tasks: Vec<Task> = nodes.iter().map(|node| counted(node, &begun, &apart)).collect();
    let running: Vec<_> = tasks.into_iter().map(|task| run(task, 20)).collect();
    for running in running {
        assert_eq!(total_step(running).await, 20, "every node does all its steps");
    }
    assert!(apart.all().iter().all(|apart| *apart <= 1), "{:?}", apart.all());
    assert_eq!(apart.len(), 60);
}

#[test]
fn three_uneven_nodes_of_a_mesh_are_never_more_than_one_phase_apart() {
    within_deadline(|| never_more_than_one_phase_apart(Topology::Mesh));
}

#[test]
fn three_uneven_nodes_of_a_star_are_never_more_than_one_phase_apart() {
    within_deadline(|| never_more_than_one_phase_apart(Topology::Star));
}

#[test]
fn the_way_back_is_a_meeting_too() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let (entered, left) = (Arc::new(AtomicU64::new(0)), Log::new());
        let tasks: Vec<Task> = nodes
            .iter()
            .map(|node| {
                let (entered, left) = (entered.clone(), left.clone());
                let (slow, counting) = (node.node_id().0 == 1, entered.clone());
                let mut task = task(node);
                // What stands before the barrier comes after it on the way back.
                task.with(After(move |step: u64| left.push(counting.load(SeqCst) >= 2 * (step + 1))));
                task.with(Barrier::default());
                task.step(move |_| {
                    if slow {
                        thread::sleep(Duration::from_millis(2));
                    }
                    entered.fetch_add(1, SeqCst);
                });
                task
            })
            .collect();
        let running: Vec<_> = tasks.into_iter().map(|task| run(task, 10)).collect();
        for running in running {
            assert_eq!(total_step(running).await, 10);
        }
        assert_eq!(left.all(), vec![true; 20], "nobody goes back before all have been forward");
    });
}

/// Calls a function on the way back.
struct After<F>(F);

impl<F: Fn(u64) + Send + Sync + 'static> tidings_task::Middleware<()> for After<F> {
    async fn call(
        &self,
        ctx: &mut tidings_task::Context<()>,
        next: tidings_task::Next<'_, ()>,
    ) -> Result<()> {
        next.run(ctx).await?;
        (self.0)(ctx.total_step);
        Ok(())
    }
}

#[test]
fn a_node_that_joins_late_catches_up_and_is_waited_for() {
    within_deadline(|| async {
        let network = network(Topology::Mesh);
        let mut nodes = Cluster::of(&network, 2).await;
        let (begun, apart) = (begun(3), Log::new());
        let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let late = Log::new();
        let running: Vec<_> = nodes
            .iter()
            .map(|node| {
                let (reached, go_on) = (reached.clone(), go_on.clone());
                let (others, late, first) = (begun.clone(), late.clone(), node.node_id().0 == 0);
                let mut task = counted(node, &begun, &apart);
                task.step_async(move |ctx| {
                    let (reached, go_on) = (reached.clone(), go_on.clone());
                    if ctx.total_step > 5 {
                        late.push((ctx.total_step, others[2].load(SeqCst)));
                    }
                    Box::pin(async move {
                        if first && ctx.total_step == 5 {
                            reached.notify_one();
                            go_on.notified().await;
                        }
                        Ok(())
                    })
                });
                run(task, 10)
            })
            .collect();
        deadline("step 5", reached.notified()).await;
        nodes.push(join(&network, &nodes).await);
        nodes.meet().await;
        let latecomer = run(counted(&nodes[2], &begun, &apart), 10);
        go_on.notify_one();
        for running in running.into_iter().chain([latecomer]) {
            assert_eq!(total_step(running).await, 10);
        }
        let late = late.all();
        assert!(late.iter().all(|(step, latecomer)| latecomer >= step), "{late:?}");
    });
}

async fn join(network: &dyn Fixture, nodes: &Cluster) -> Arc<dyn Router> {
    let builder = node(network, nodes.len() as u32).attach_to(entrances(network.topology(), nodes));
    deadline("late node", builder.open()).await.unwrap()
}

#[test]
fn a_node_that_leaves_is_not_waited_for() {
    within_deadline(|| async {
        let mut nodes = mesh(3).await;
        let (begun, apart) = (begun(3), Log::new());
        let mut tasks: Vec<Task> = nodes.iter().map(|node| counted(node, &begun, &apart)).collect();
        let mut leaving = tasks.pop().unwrap();
        leaving.step(|ctx| if ctx.total_step == 5 { Err("this node is broken") } else { Ok(()) });
        let leaving = run(leaving, 20);
        let running: Vec<_> = tasks.into_iter().map(|task| run(task, 20)).collect();
        let (ended, gone) = deadline("end of the leaving node", leaving).await.unwrap();
        ended.unwrap_err();
        drop(gone);
        nodes.pop().shutdown(DEADLINE).await;
        for running in running {
            assert_eq!(total_step(running).await, 20);
        }
    });
}

#[test]
fn two_barriers_in_one_task_are_told_apart_by_their_names() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let between = begun(2);
        let apart = Log::new();
        let running: Vec<_> = nodes
            .iter()
            .map(|node| {
                let (own, between, apart) = (node.node_id().0 as usize, between.clone(), apart.clone());
                let (forward, count) = (between.clone(), own);
                let mut task = task(node);
                task.with(Barrier::named("one"));
                task.step(move |ctx| {
                    thread::sleep(Duration::from_micros(own as u64 * 500));
                    forward[count].store(ctx.total_step + 1, SeqCst);
                });
                task.with(Barrier::named("two"));
                task.step(move |ctx| {
                    let (_, nearest) = spread(&between, &[0, 1]);
                    apart.push(nearest == ctx.total_step + 1);
                });
                run(task, 10)
            })
            .collect();
        for running in running {
            assert_eq!(total_step(running).await, 10);
        }
        assert_eq!(apart.all(), vec![true; 20], "nobody passes the second before all have passed the first");
    });
}

#[test]
fn finish_while_others_stand_at_the_barrier_ends_all() {
    within_deadline(|| async {
        let nodes = mesh(3).await;
        let mut tasks: Vec<Task> = nodes.iter().map(task).collect();
        for task in &mut tasks {
            task.with(Barrier::default());
        }
        let (inside, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (enters, waits) = (inside.clone(), go_on.clone());
        // It is in its step, so that the others stand at the barrier on their way back.
        tasks[0].step_async(move |_| {
            let (enters, waits) = (enters.clone(), waits.clone());
            Box::pin(async move {
                enters.notify_one();
                waits.notified().await;
                Ok(())
            })
        });
        let handle = tasks[0].handle();
        let running: Vec<_> = tasks.into_iter().map(|task| run(task, 5)).collect();
        deadline("step", inside.notified()).await;
        handle.finish();
        go_on.notify_one();
        for running in running {
            assert!(total_step(running).await <= 1);
        }
    });
}

#[test]
fn a_barrier_in_a_task_alone_does_not_wait() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.with(Barrier::default());
        deadline("run", task.run(3)).await.unwrap();
        assert_eq!(task.context().total_step, 3);
    });
}
