//! Branches of a step.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tidings_router_core::{Error, runtime};
use tidings_task::{Branch, Context, Shared, State, StepLock, Task, asynchronous, parallel, serial};
use tidings_testkit::deadline;
use tokio::sync::Notify;

use crate::support::{Log, within_deadline};

#[derive(Debug, Default)]
struct Trail(Vec<&'static str>);

impl State for Trail {
    fn renew(&mut self) {}
}

fn says(word: &'static str) -> impl Branch<Trail> {
    move |shared: &Shared<Trail>| shared.lock().0.push(word)
}

#[test]
fn parallel_branches_run_at_the_same_time_and_are_joined() {
    within_deadline(|| async {
        let fast_is_over = Arc::new(Notify::new());
        let (waiting, over) = (fast_is_over.clone(), fast_is_over);
        let mut task = Task::builder().state(Trail::default()).build();
        task.step(|ctx: &mut Context<Trail>| ctx.0.push("begin"));
        task.parallel((
            move |shared: &Shared<Trail>| {
                runtime::block_on(waiting.notified());
                shared.lock().0.push("slow");
            },
            move |shared: &Shared<Trail>| {
                shared.lock().0.push("fast");
                over.notify_one();
            },
        ));
        task.step(|ctx: &mut Context<Trail>| ctx.0.push("end"));
        deadline("run", task.run(2)).await.unwrap();
        assert_eq!(task.context().0, ["begin", "fast", "slow", "end", "begin", "fast", "slow", "end"]);
    });
}

#[test]
fn serial_branches_run_one_after_the_other() {
    within_deadline(|| async {
        let mut task = Task::builder().state(Trail::default()).build();
        task.step(|ctx: &mut Context<Trail>| ctx.0.push("begin"));
        task.serial((
            |shared: &Shared<Trail>| {
                thread::sleep(Duration::from_millis(5));
                shared.lock().0.push("slow");
            },
            says("fast"),
        ));
        deadline("run", task.run(1)).await.unwrap();
        assert_eq!(task.context().0, ["begin", "slow", "fast"]);
    });
}

#[test]
fn serial_and_parallel_nest() {
    within_deadline(|| async {
        let first_is_over = Arc::new(Notify::new());
        let (waiting, over) = (first_is_over.clone(), first_is_over);
        let mut task = Task::builder().state(Trail::default()).build();
        task.parallel((
            serial((
                asynchronous(move |shared: Shared<Trail>| {
                    let waiting = waiting.clone();
                    async move {
                        waiting.notified().await;
                        shared.lock().0.push("second one");
                    }
                }),
                parallel((says("second two"),)),
            )),
            serial((says("first one"), says("first two"), move |_: &Shared<Trail>| over.notify_one())),
        ));
        deadline("run", task.run(1)).await.unwrap();
        assert_eq!(task.context().0, ["first one", "first two", "second one", "second two"]);
    });
}

#[test]
fn wait_for_in_one_branch_gets_what_another_one_emits_ten_steps_in_a_row() {
    within_deadline(|| async {
        let listening = Arc::new(Notify::new());
        let (listens, waits) = (listening.clone(), listening);
        let log = Log::new();
        let got = log.clone();
        let mut task = Task::builder().build();
        task.parallel((
            move |shared: &Shared<()>| {
                let answer = shared.task().wait_for::<u64>("answer");
                listens.notify_one();
                got.push(answer.wait()?.payload);
                Ok::<(), Error>(())
            },
            asynchronous(move |shared: Shared<()>| {
                let waits = waits.clone();
                async move {
                    waits.notified().await;
                    let step = shared.lock().total_step;
                    shared.task().emit("answer", &step).await
                }
            }),
        ));
        deadline("run", task.run(10)).await.unwrap();
        assert_eq!(log.all(), (0..10).collect::<Vec<u64>>());
    });
}

/// A task whose second branch fails in the first step while `first` waits.
fn failing(first: impl Branch<Trail>, waits: Arc<Notify>) -> Task<Trail> {
    let again = AtomicBool::new(false);
    let mut task = Task::builder().state(Trail::default()).build();
    task.parallel((first, move |shared: &Shared<Trail>| {
        if again.swap(true, SeqCst) {
            return Ok(());
        }
        runtime::block_on(waits.notified());
        shared.lock().0.push("failed");
        Err("this branch is broken")
    }));
    task
}

/// The run ends with the branch's error, does not count the step, and leaves the state where it was.
async fn ends_with_the_error_and_goes_on(mut task: Task<Trail>) {
    let error = deadline("end", task.run(5)).await.unwrap_err().to_string();
    assert!(error.contains("this branch is broken"), "{error}");
    assert_eq!(task.context().total_step, 0);
    assert_eq!(task.context().0, ["failed"]);
    deadline("end", task.run(1)).await.unwrap();
    assert_eq!(task.context().total_step, 1);
}

#[test]
fn a_failing_branch_ends_the_step_though_another_one_waits_for_an_event_that_never_comes() {
    within_deadline(|| async {
        let listening = Arc::new(Notify::new());
        let (listens, first) = (listening.clone(), AtomicBool::new(true));
        let waiting = move |shared: &Shared<Trail>| {
            if first.swap(false, SeqCst) {
                let never = shared.task().wait_for::<u32>("never");
                listens.notify_one();
                never.wait()?;
            }
            Ok::<(), Error>(())
        };
        ends_with_the_error_and_goes_on(failing(waiting, listening)).await;
    });
}

#[test]
fn a_failing_branch_ends_the_step_though_an_asynchronous_one_waits_for_ever() {
    within_deadline(|| async {
        let listening = Arc::new(Notify::new());
        let (listens, first) = (listening.clone(), Arc::new(AtomicBool::new(true)));
        let waiting = asynchronous(move |_shared: Shared<Trail>| {
            let (listens, first) = (listens.clone(), first.clone());
            async move {
                if first.swap(false, SeqCst) {
                    listens.notify_one();
                    std::future::pending::<()>().await;
                }
            }
        });
        ends_with_the_error_and_goes_on(failing(waiting, listening)).await;
    });
}

#[test]
fn a_branch_that_panics_is_reported() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.parallel((|_: &Shared<()>| -> () { panic!("the branch broke off") }, |_: &Shared<()>| ()));
        let error = deadline("end", task.run(5)).await.unwrap_err().to_string();
        assert!(error.contains("the branch broke off"), "{error}");
        assert_eq!(task.context().total_step, 0);
    });
}

#[test]
fn an_error_in_a_serial_branch_skips_those_behind_it() {
    within_deadline(|| async {
        let mut task = Task::builder().state(Trail::default()).build();
        task.serial((says("one"), |_: &Shared<Trail>| Err("broken"), says("three")));
        let error = deadline("end", task.run(5)).await.unwrap_err().to_string();
        assert!(error.contains("broken"), "{error}");
        assert_eq!(task.context().0, ["one"]);
    });
}

#[test]
fn a_dropped_run_leaves_the_state_to_the_next_one() {
    within_deadline(|| async {
        let first = Arc::new(AtomicBool::new(true));
        let mut task = Task::builder().state(Trail::default()).build();
        task.parallel((
            asynchronous(move |_shared: Shared<Trail>| {
                let first = first.clone();
                async move {
                    if first.swap(false, SeqCst) {
                        std::future::pending::<()>().await;
                    }
                }
            }),
            says("here"),
        ));
        let limit = Duration::from_millis(20);
        tokio::time::timeout(limit, task.run(1)).await.unwrap_err();
        deadline("end", task.run(1)).await.unwrap();
        assert_eq!(task.context().0.last(), Some(&"here"));
    });
}

#[test]
fn a_step_lock_lets_one_branch_run_at_a_time() {
    within_deadline(|| async {
        let (inside, most, lock) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), StepLock::default());
        let branch = || {
            let (inside, most) = (inside.clone(), most.clone());
            lock.exclusive(asynchronous(move |_: Shared<()>| {
                let (inside, most) = (inside.clone(), most.clone());
                async move {
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    inside.fetch_sub(1, SeqCst);
                }
            }))
        };
        let mut task = Task::builder().build();
        task.parallel((branch(), branch(), branch(), branch()));
        deadline("run", task.run(20)).await.unwrap();
        assert_eq!(most.load(SeqCst), 1);
    });
}
