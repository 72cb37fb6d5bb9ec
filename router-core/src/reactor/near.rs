//! Tasks that run where the message arrives which wakes them.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU8,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use super::{MOMENT, lock, run_next};
use crate::runtime;

/// Runs `future` until it is done: on the thread that reads, when a message wakes it, and else on the
/// [work runtime](runtime::work).
///
/// For what is woken by messages and takes no longer than a message takes to get here. What takes longer runs on the
/// work runtime the next time.
pub fn spawn_near(future: impl Future<Output = ()> + Send + 'static) {
    let task = Task {
        future: Mutex::new(Some(Box::pin(future))),
        state: AtomicU8::new(FAR),
        slow: AtomicBool::new(false),
        worker: Mutex::default(),
    };
    runtime::work().spawn(Worker(Arc::new(task)));
}

/// It waits to be woken.
const IDLE: u8 = 0;
/// It is to run on the thread that reads.
const NEAR: u8 = 1;
/// It is to run on the work runtime.
const FAR: u8 = 2;
const RUNNING: u8 = 3;
/// It runs, and was woken meanwhile.
const WOKEN: u8 = 4;
const DONE: u8 = 5;

pub(super) struct Task {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    state: AtomicU8,
    /// It took longer than a moment the last time.
    slow: AtomicBool,
    /// Of the task of the work runtime.
    worker: Mutex<Option<Waker>>,
}

impl Task {
    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// Runs it until it waits again, and returns how long that took.
    pub(super) fn run(self: &Arc<Self>) -> Duration {
        if !self.change(NEAR, RUNNING) && !self.change(FAR, RUNNING) {
            return Duration::ZERO;
        }
        let begin = Instant::now();
        let mut future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = Waker::from(self.clone());
        let polled = future.as_mut().map(|future| {
            let mut context = Context::from_waker(&waker);
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)))
        });
        let over = !matches!(polled, Some(Ok(Poll::Pending)));
        let finished = if over { future.take() } else { None };
        drop(future);
        let took = begin.elapsed();
        self.slow.store(took > MOMENT, Relaxed);
        if over {
            self.state.store(DONE, Relaxed);
            drop(catch_unwind(AssertUnwindSafe(|| drop(finished))));
            self.wake_worker();
        } else if !self.change(RUNNING, IDLE) {
            self.schedule(WOKEN);
        }
        took
    }

    /// Has it run on the work runtime.
    pub(super) fn go_elsewhere(&self) {
        if self.change(NEAR, FAR) {
            self.wake_worker();
        }
    }

    fn wake_worker(&self) {
        if let Some(worker) = lock(&self.worker).as_ref() {
            worker.wake_by_ref();
        }
    }

    /// Has it run soon. Only who finds it in the state `from` does that.
    fn schedule(self: &Arc<Self>, from: u8) -> bool {
        if !self.slow.load(Relaxed) && run_next(self, || self.change(from, NEAR)) {
            return true;
        }
        let taken = self.change(from, FAR);
        if taken {
            self.wake_worker();
        }
        taken
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        loop {
            let settled = match self.state.load(Acquire) {
                IDLE => self.schedule(IDLE),
                RUNNING => self.change(RUNNING, WOKEN),
                _ => true,
            };
            if settled {
                return;
            }
        }
    }
}

/// The task of the work runtime that runs it when no thread that reads does.
struct Worker(Arc<Task>);

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = &self.0;
        lock(&task.worker).get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        if task.state.load(Acquire) == FAR {
            task.run();
        }
        if task.state.load(Acquire) == DONE { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;

    /// Waits for `value` without a runtime.
    fn reaches(counter: &AtomicUsize, value: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while counter.load(Acquire) < value {
            assert!(Instant::now() < deadline, "{} of {value}", counter.load(Acquire));
            std::thread::yield_now();
        }
    }

    #[test]
    fn each_wake_up_from_elsewhere_is_followed_by_a_run() {
        let (bell, rung) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (heard, counter) = (bell.clone(), rung.clone());
        spawn_near(async move {
            loop {
                heard.notified().await;
                counter.fetch_add(1, AcqRel);
            }
        });
        for count in 1..=1000 {
            bell.notify_one();
            reaches(&rung, count);
        }
    }

    #[test]
    fn what_it_holds_is_dropped_when_it_is_done_or_panics() {
        struct Held(Arc<AtomicUsize>);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.fetch_add(1, AcqRel);
            }
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        let (one, other) = (Held(dropped.clone()), Held(dropped.clone()));
        spawn_near(async move { drop(one) });
        spawn_near(async move {
            let _other = other;
            panic!("as it should");
        });
        reaches(&dropped, 2);
    }
}
