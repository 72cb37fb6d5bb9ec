use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tidings_router_core::Result;

use crate::{Context, Middleware, Next, State};

/// Logs what each middleware costs: its own time, forward and backward, without that of the middlewares behind it, and
/// the mean of the last steps.
///
/// Clones are the same timer: keep one to ask for the [mean](Self::mean) when the other is in the task.
#[derive(Debug, Clone)]
pub struct StepTimer {
    print_per_step: u64,
    smooth_window: usize,
    state: Arc<Mutex<Costs>>,
}

#[derive(Debug, Default)]
struct Costs {
    /// The time of the middlewares behind each of those that are running now.
    behind: Vec<Duration>,
    recent: HashMap<String, VecDeque<Duration>>,
}

impl Default for StepTimer {
    /// Logs every step, with the mean of the last ten.
    fn default() -> Self {
        Self::new(1, 10)
    }
}

impl StepTimer {
    /// Logs every `print_per_step`-th step (0: none), with the mean over `smooth_window` steps, at least one.
    pub fn new(print_per_step: u64, smooth_window: usize) -> Self {
        Self { print_per_step, smooth_window: smooth_window.max(1), state: Arc::default() }
    }

    /// What a middleware has cost on average over the last steps; `None` when it has not run.
    pub fn mean(&self, middleware: &str) -> Option<Duration> {
        let state = self.lock();
        let recent = state.recent.get(middleware)?;
        Some(recent.iter().sum::<Duration>() / recent.len() as u32)
    }

    fn lock(&self) -> MutexGuard<'_, Costs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, name: &str, cost: Duration) {
        let mut state = self.lock();
        let recent = state.recent.entry(name.to_owned()).or_default();
        if recent.len() == self.smooth_window {
            recent.pop_front();
        }
        recent.push_back(cost);
    }
}

impl<S: State> Middleware<S> for StepTimer {
    async fn call(&self, ctx: &mut Context<S>, next: Next<'_, S>) -> Result<()> {
        let Some(name) = next.name() else { return next.run(ctx).await };
        self.lock().behind.push(Duration::ZERO);
        let started = Instant::now();
        let result = next.run(ctx).await;
        let whole = started.elapsed();
        let behind = {
            let mut state = self.lock();
            let behind = state.behind.pop().unwrap_or_default();
            if let Some(outer) = state.behind.last_mut() {
                *outer += whole;
            }
            behind
        };
        let cost = whole.saturating_sub(behind);
        self.note(&name, cost);
        if self.print_per_step > 0 && ctx.total_step.is_multiple_of(self.print_per_step) {
            let mean = self.mean(&name).unwrap_or_default();
            tracing::info!(step = ctx.total_step, middleware = name, ?cost, ?mean, "step timer");
        }
        result
    }

    fn wraps(&self) -> bool {
        true
    }
}
