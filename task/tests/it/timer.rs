//! What the step timer measures.

use std::{thread, time::Duration};

use tidings_router_core::Result;
use tidings_task::{Context, Middleware, Next, State, StepTimer, Task};
use tidings_testkit::deadline;

use crate::support::within_deadline;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_millis(200);

/// Takes a while before and after the rest of the step.
struct Around(Duration);

impl<S: State> Middleware<S> for Around {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        tokio::time::sleep(self.0 / 2).await;
        next.run(ctx).await?;
        tokio::time::sleep(self.0 / 2).await;
        Ok(())
    }

    fn name(&self) -> String {
        "around".into()
    }
}

#[test]
fn it_measures_what_each_middleware_costs_itself_added_before_or_after() {
    within_deadline(|| async {
        let timer = StepTimer::new(0, 10);
        let mut task = Task::builder().build();
        task.with(Around(SHORT));
        task.with(timer.clone());
        task.step(|_| thread::sleep(LONG));
        assert_eq!(timer.mean("around"), None);
        deadline("run", task.run(2)).await.unwrap();
        let mean = |name: &str| timer.mean(name).unwrap();
        assert!(mean("around") >= SHORT && mean("around") < LONG, "{:?}", mean("around"));
        assert!(mean("step 1") >= LONG, "{:?}", mean("step 1"));
        assert_eq!(timer.mean("step 0"), None, "there is none");
    });
}

#[test]
fn its_mean_is_that_of_the_last_steps_alone() {
    within_deadline(|| async {
        let timer = StepTimer::new(1, 2);
        let mut task = Task::builder().build();
        task.with(timer.clone());
        task.step(|ctx| {
            if ctx.total_step == 0 {
                thread::sleep(LONG);
            }
        });
        deadline("run", task.run(3)).await.unwrap();
        assert!(timer.mean("step 0").unwrap() < LONG / 2);
    });
}
