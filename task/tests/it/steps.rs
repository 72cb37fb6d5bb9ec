//! Steps, middlewares and what surrounds them.

use tidings_router_core::{Error, Result};
use tidings_task::{Context, Middleware, Next, State, Task};
use tidings_testkit::deadline;

use crate::support::{Log, within_deadline};

/// Says something before and after the rest of the step.
struct Around {
    log: Log<u64>,
    before: u64,
    after: u64,
    /// How many it says per step, in all middlewares together.
    each: u64,
}

impl<S: State> Middleware<S> for Around {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        self.log.push(ctx.total_step * self.each + self.before);
        next.run(ctx).await?;
        self.log.push(ctx.total_step * self.each + self.after);
        Ok(())
    }
}

/// Calls another middleware from within.
struct Mother(Around);

impl<S: State> Middleware<S> for Mother {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        self.0.log.push(ctx.total_step * self.0.each);
        self.0.call(ctx, next).await
    }
}

/// Ends the step early in every other step.
struct Gate;

impl<S: State> Middleware<S> for Gate {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        if ctx.total_step.is_multiple_of(2) { next.run(ctx).await } else { Ok(()) }
    }
}

/// A wrapper that says who is called.
struct Names(Log<String>);

impl<S: State> Middleware<S> for Names {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        let name = next.name().expect("a wrapper stands around a middleware");
        self.0.push(format!("{name} begins"));
        next.run(ctx).await?;
        self.0.push(format!("{name} ends"));
        Ok(())
    }

    fn wraps(&self) -> bool {
        true
    }
}

/// Kept and renewed.
#[derive(Debug, Default)]
struct Counts {
    ever: u64,
    in_step: u64,
}

impl State for Counts {
    fn renew(&mut self) {
        self.in_step = 0;
    }
}

#[test]
fn steps_run_in_order_over_steps_and_the_state_is_renewed_between_them() {
    within_deadline(|| async {
        let log = Log::new();
        let mut task = Task::builder().state(Counts::default()).build();
        for number in 0..3u64 {
            let called = log.clone();
            task.step(move |ctx: &mut Context<Counts>| {
                ctx.ever += 1;
                ctx.in_step += 1;
                called.push((ctx.total_step, number, ctx.in_step, ctx.ever));
            });
        }
        deadline("run", task.run(2)).await.unwrap();
        let expected: Vec<_> =
            (0..2).flat_map(|step| (0..3).map(move |n| (step, n, n + 1, 3 * step + n + 1))).collect();
        assert_eq!(log.all(), expected);
        let ctx = task.context();
        assert_eq!((ctx.total_step, ctx.in_step, ctx.ever), (2, 0, 6));
    });
}

#[test]
fn what_follows_next_runs_on_the_way_back() {
    within_deadline(|| async {
        let log = Log::new();
        let mut task = Task::builder().build();
        task.with(Around { log: log.clone(), before: 0, after: 0, each: 0 });
        let called = log.clone();
        task.step(move |_| called.push(1));
        deadline("run", task.run(1)).await.unwrap();
        assert_eq!(log.all(), [0, 1, 0]);
    });
}

#[test]
fn the_way_back_is_the_reverse_of_the_way_forward() {
    within_deadline(|| async {
        let log = Log::new();
        let mut task = Task::builder().build();
        for (before, after) in [(0, 5), (1, 4), (2, 3)] {
            task.with(Around { log: log.clone(), before, after, each: 6 });
        }
        deadline("run", task.run(2)).await.unwrap();
        assert_eq!(log.all(), (0..12).collect::<Vec<_>>());
    });
}

#[test]
fn a_nested_middleware_keeps_its_order_over_steps() {
    within_deadline(|| async {
        let log = Log::new();
        let mut task = Task::builder().build();
        task.with(Mother(Around { log: log.clone(), before: 1, after: 2, each: 3 }));
        deadline("run", task.run(2)).await.unwrap();
        assert_eq!(log.all(), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_middleware_called_by_hand_runs_forward_and_back() {
    within_deadline(|| async {
        let log = Log::new();
        let mut task = Task::builder().build();
        let by_hand = Around { log: log.clone(), before: 7, after: 8, each: 0 };
        deadline("call", task.call(&by_hand)).await.unwrap();
        assert_eq!(log.all(), [7, 8]);
        assert_eq!(task.context().total_step, 0);
    });
}

#[test]
fn a_middleware_may_end_a_step_early() {
    within_deadline(|| async {
        let log = Log::new();
        let mut task = Task::builder().build();
        task.with(Gate);
        let called = log.clone();
        task.step(move |ctx| called.push(ctx.total_step));
        deadline("run", task.run(5)).await.unwrap();
        assert_eq!(log.all(), [0, 2, 4]);
    });
}

#[test]
fn a_wrapper_stands_around_each_middleware_before_and_after_it() {
    within_deadline(|| async {
        let log = Log::new();
        let mut task = Task::builder().build();
        task.step(|_| ());
        task.with(Names(log.clone()));
        task.step_async(|_| Box::pin(async { Ok(()) }));
        deadline("run", task.run(1)).await.unwrap();
        assert_eq!(log.all(), ["step 0 begins", "step 1 begins", "step 1 ends", "step 0 ends"]);
    });
}

#[test]
fn an_error_of_a_step_ends_the_run_and_does_not_count_the_step() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.step(|ctx| if ctx.total_step == 2 { Err("enough") } else { Ok(()) });
        let ended = deadline("run", task.run(10)).await;
        let Err(Error::Failed { what, source }) = ended else { panic!("{ended:?}") };
        assert_eq!((what.as_str(), source.to_string().as_str()), ("step 0", "enough"));
        assert_eq!(task.context().total_step, 2);
    });
}

#[test]
fn an_error_of_ours_in_a_step_stays_what_it_is() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.step(|ctx| {
            let limit = std::time::Duration::from_millis(1);
            ctx.task().wait_for::<()>("never").timeout(limit).wait().map(drop)
        });
        let ended = deadline("run", task.run(1)).await;
        assert!(matches!(ended, Err(Error::Timeout { .. })), "{ended:?}");
    });
}

#[test]
fn a_run_that_is_dropped_can_be_taken_up_again() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        let first = std::sync::atomic::AtomicBool::new(true);
        let first = std::sync::Arc::new(first);
        task.step_async(move |_| {
            let first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
            Box::pin(async move { if first { std::future::pending().await } else { Ok(()) } })
        });
        let limit = std::time::Duration::from_millis(1);
        tokio::time::timeout(limit, task.run(2)).await.unwrap_err();
        deadline("run", task.run(2)).await.unwrap();
        assert_eq!(task.context().total_step, 2);
    });
}
