//! What a task can still do when a run is over, or when a listener has failed.

use std::future::IntoFuture;

use tidings_router_core::Event;
use tidings_task::{Context, Shared, Task};

use crate::support::within_deadline;

#[test]
fn a_second_run_runs_its_steps() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.step(|_: &mut Context<()>| ());
        task.run(2).await.unwrap();
        task.run(3).await.unwrap();
        assert_eq!(task.context().total_step, 5);
    });
}

#[test]
fn after_a_run_a_wait_still_waits() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.step(|_: &mut Context<()>| ());
        task.run(1).await.unwrap();
        let waiting = tokio::spawn(task.wait_for::<u32>("x").into_future());
        // It has been polled, and has not ended.
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        task.emit("x", &1u32).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().payload, 1);
    });
}

#[test]
fn a_handler_that_failed_ends_no_wait_elsewhere() {
    within_deadline(|| async {
        let task = Task::builder().build();
        task.on("bad", |_: Event<u32>| -> Result<(), String> { Err("boom".into()) });
        let bad = task.wait_for::<u32>("bad");
        task.emit("bad", &1u32).await.unwrap();
        bad.await.unwrap();
        let good = task.wait_for::<u32>("x");
        task.emit("x", &2u32).await.unwrap();
        assert_eq!(good.await.unwrap().payload, 2);
    });
}

#[test]
fn an_asynchronous_handler_that_panics_before_its_future_is_reported() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.on_async("x", |event: Event<u32>| {
            assert!(event.payload > 5, "too small");
            async {}
        });
        let heard = task.wait_for::<u32>("x");
        task.emit("x", &1u32).await.unwrap();
        heard.await.unwrap();
        let error = task.run(1).await.unwrap_err();
        assert!(format!("{error}").contains("too small"), "{error}");
    });
}

#[test]
fn an_end_that_cuts_the_wait_of_a_branch_is_no_error() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        let (waits, ends) = (task.handle(), task.handle());
        task.parallel((
            move |_: &Shared<()>| waits.wait_for::<u32>("never").wait().map(drop),
            move |_: &Shared<()>| ends.finish(),
        ));
        task.run(5).await.unwrap();
    });
}
