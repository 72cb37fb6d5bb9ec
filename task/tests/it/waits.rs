//! `wait_for`.

use std::{
    future::IntoFuture,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use tidings_router_core::{Error, Event, runtime};
use tidings_task::Task;
use tidings_testkit::{DEADLINE, deadline, eventually};

use crate::support::{Log, mesh, task, within_deadline};

#[test]
fn r15_a_timeout_is_an_error_and_nothing_polls() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let limit = Duration::from_millis(300);
        let mut waiting = pin!(task.wait_for::<u32>("answer").timeout(limit).into_future());
        let (mut polls, started) = (0, Instant::now());
        let ended = deadline(
            "end of the wait",
            std::future::poll_fn(|cx| {
                polls += 1;
                waiting.as_mut().poll(cx)
            }),
        )
        .await;
        let Err(Error::Timeout { what, after }) = ended else { panic!("{ended:?}") };
        assert_eq!((what.as_str(), after), ("`answer`", limit));
        assert!(started.elapsed() >= limit);
        assert!(polls <= 4, "polled {polls} times");
    });
}

#[test]
fn wait_for_listens_from_the_call_on() {
    within_deadline(|| async {
        let task = Task::builder().build();
        task.emit("answer", &1u32).await.unwrap();
        let waiting = task.wait_for::<u32>("answer").timeout(DEADLINE);
        task.emit("answer", &2u32).await.unwrap();
        task.emit("answer", &3u32).await.unwrap();
        assert_eq!(waiting.await.unwrap().payload, 2);
    });
}

#[test]
fn wait_for_another_type_is_an_error_that_names_both() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let waiting = task.wait_for::<u32>("answer").timeout(DEADLINE);
        task.emit("answer", "forty-two").await.unwrap();
        let error = waiting.await.unwrap_err().to_string();
        assert!(error.contains("`answer`") && error.contains("u32"), "{error}");
    });
}

#[test]
fn handlers_have_finished_a_message_when_wait_for_returns_it() {
    within_deadline(|| async {
        let rounds = 150;
        let nodes = mesh(2).await;
        let task = task(&nodes[1]);
        let seen: Arc<[AtomicU32; 3]> = Arc::default();
        let slowly = |index: usize| {
            let seen = seen.clone();
            move |number: Event<u32>| {
                thread::sleep(Duration::from_micros(300));
                seen[index].store(number.payload, SeqCst);
            }
        };
        task.on("number", slowly(0));
        task.on("num*", slowly(1));
        let seen_late = seen.clone();
        task.on_async("number", move |number: Event<u32>| {
            let seen = seen_late.clone();
            async move {
                tokio::time::sleep(Duration::from_micros(300)).await;
                seen[2].store(number.payload, SeqCst);
            }
        });
        nodes[0].wait_for_listeners("number", 3).timeout(DEADLINE).await.unwrap();
        for number in 1..=rounds {
            let waiting = task.wait_for::<u32>("number");
            // Now from afar, now from here.
            nodes[number as usize % 2].emit("number", &number).await.unwrap();
            let got = deadline("number", waiting).await.unwrap().payload;
            let seen: Vec<u32> = seen.iter().map(|seen| seen.load(SeqCst)).collect();
            assert_eq!((got, seen), (number, vec![number; 3]));
        }
    });
}

#[test]
fn wait_for_inside_a_handler_does_not_lock_it() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let log = Log::new();
        let (called, handle) = (log.clone(), task.handle());
        task.on("question", move |question: Event<u32>| {
            // The next question: this handler itself listened for it earlier.
            let next = handle.wait_for::<u32>("question").timeout(DEADLINE);
            handle.emit("asked", &question.payload).wait()?;
            if question.payload == 1 {
                called.push(next.wait()?.payload);
            }
            Ok::<(), Error>(())
        });
        let asked = task.wait_for::<u32>("asked");
        task.emit("question", &1u32).await.unwrap();
        deadline("first question", asked).await.unwrap();
        let started = Instant::now();
        task.emit("question", &2u32).await.unwrap();
        assert_eq!(log.filled(1).await, [2]);
        assert!(started.elapsed() < Duration::from_millis(900), "it did not wait for itself");
    });
}

#[test]
fn wait_for_inside_an_asynchronous_handler_does_not_lock_it() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let log = Log::new();
        let (called, handle) = (log.clone(), task.handle());
        task.on_async("question", move |question: Event<u32>| {
            let (called, handle) = (called.clone(), handle.clone());
            async move {
                let next = handle.wait_for::<u32>("question").timeout(DEADLINE);
                handle.emit("asked", &question.payload).await?;
                if question.payload == 1 {
                    called.push(next.await?.payload);
                }
                Ok::<(), Error>(())
            }
        });
        let asked = task.wait_for::<u32>("asked");
        task.emit("question", &1u32).await.unwrap();
        deadline("first question", asked).await.unwrap();
        let started = Instant::now();
        task.emit("question", &2u32).await.unwrap();
        assert_eq!(log.filled(1).await, [2]);
        assert!(started.elapsed() < Duration::from_millis(900), "it did not wait for itself");
    });
}

#[test]
fn a_handler_that_never_ends_does_not_keep_wait_for_back_for_ever() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let never = Arc::new(tokio::sync::Notify::new());
        let ending = never.clone();
        task.on("news", move |_: Event<u32>| runtime::block_on(ending.notified()));
        let waiting = task.wait_for::<u32>("news");
        task.emit("news", &1u32).await.unwrap();
        assert_eq!(deadline("news", waiting).await.unwrap().payload, 1);
        never.notify_one();
    });
}

#[test]
fn waits_end_when_the_task_finishes() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let (here, there) = (task(&nodes[0]), task(&nodes[1]));
        let waiting = here.wait_for::<u32>("answer");
        there.finish();
        let ended = deadline("end of the wait", waiting).await;
        assert!(matches!(ended, Err(Error::Finished)), "{ended:?}");
        eventually("end of the task", || here.is_finished()).await;
    });
}
