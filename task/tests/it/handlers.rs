//! `on`, `once`, `off`.

use std::sync::Arc;

use tidings_router_core::{DropReason, Error, Event, runtime};
use tidings_task::Task;
use tidings_testkit::{DEADLINE, deadline, eventually};
use tokio::sync::Notify;

use crate::support::{Log, mesh, task, within_deadline};

const LAST: u32 = u32::MAX;

fn break_the_press() {
    panic!("the press is broken")
}

#[test]
fn r3_k_handlers_are_called_k_times_per_message() {
    within_deadline(|| async {
        let (handlers, messages) = (5, 50);
        let nodes = mesh(2).await;
        let listening = task(&nodes[1]);
        let logs: Vec<Log<u32>> = (0..handlers).map(|_| Log::new()).collect();
        for log in &logs {
            let log = log.clone();
            listening.on("news", move |news: Event<u32>| log.push(news.payload));
        }
        nodes[0].wait_for_listeners("news", handlers).timeout(DEADLINE).await.unwrap();
        let before = nodes[1].stats().received;
        for number in (0..messages).chain([LAST]) {
            nodes[0].emit("news", &number).await.unwrap();
        }
        // Messages come in order: once a handler has had the last one, no more can follow.
        let expected: Vec<u32> = (0..messages).chain([LAST]).collect();
        for log in &logs {
            eventually("last message", || log.all().contains(&LAST)).await;
            assert_eq!(log.all(), expected);
        }
        assert_eq!(nodes[1].stats().received - before, expected.len() as u64, "each message travels once");
    });
}

#[test]
fn r4_finished_waits_leave_nothing_behind() {
    within_deadline(|| async {
        let (handlers, waits) = (3, 10);
        let nodes = mesh(2).await;
        let listening = task(&nodes[1]);
        let logs: Vec<Log<u32>> = (0..handlers).map(|_| Log::new()).collect();
        for log in &logs {
            let log = log.clone();
            listening.on("news", move |news: Event<u32>| log.push(news.payload));
        }
        nodes[0].wait_for_listeners("news", handlers).timeout(DEADLINE).await.unwrap();
        for number in 0..waits {
            let wait = listening.wait_for::<u32>("news");
            let once = Log::new();
            let called = once.clone();
            listening.once("news", move |news: Event<u32>| called.push(news.payload));
            nodes[0].emit("news", &number).await.unwrap();
            assert_eq!(deadline("news", wait).await.unwrap().payload, number);
            assert_eq!(once.filled(1).await, [number]);
            drop(listening.wait_for::<u32>("news"));
            let in_vain = listening.wait_for::<u32>("newspaper").timeout(std::time::Duration::from_millis(1));
            assert!(matches!(in_vain.await, Err(Error::Timeout { .. })));
        }
        eventually("end of the waits", || nodes[0].listeners("news") == handlers).await;
        eventually("end of the waits", || nodes[0].listeners("newspaper") == 0).await;
        nodes[0].emit("news", &LAST).await.unwrap();
        let expected: Vec<u32> = (0..waits).chain([LAST]).collect();
        for log in &logs {
            eventually("last message", || log.all().contains(&LAST)).await;
            assert_eq!(log.all(), expected);
        }
    });
}

#[test]
fn r14_off_removes_only_that_listener() {
    within_deadline(|| async {
        let nodes = mesh(3).await;
        let (one, other) = (task(&nodes[1]), task(&nodes[2]));
        let logs: Vec<Log<u32>> = (0..4).map(|_| Log::new()).collect();
        let handler = |index: usize| {
            let log = logs[index].clone();
            move |news: Event<u32>| log.push(news.payload)
        };
        let removed = one.on("news", handler(0));
        one.on("news", handler(1));
        one.on("new?", handler(2));
        other.on("news", handler(3));
        nodes[0].wait_for_listeners("news", 4).timeout(DEADLINE).await.unwrap();
        nodes[0].emit("news", &0u32).await.unwrap();
        for log in &logs {
            assert_eq!(log.filled(1).await, [0]);
        }
        one.off(removed);
        one.off(removed);
        eventually("removal", || nodes[0].listeners("news") == 3).await;
        nodes[0].emit("news", &1u32).await.unwrap();
        for log in &logs[1..] {
            assert_eq!(log.filled(2).await, [0, 1]);
        }
        assert_eq!(logs[0].all(), [0]);
    });
}

#[test]
fn off_in_the_middle_of_a_queue_counts_what_is_not_handled() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let (log, begun, go_on) = (Log::new(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (called, beginning, going_on) = (log.clone(), begun.clone(), go_on.clone());
        let id = task.on("news", move |news: Event<u32>| {
            called.push(news.payload);
            beginning.notify_one();
            runtime::block_on(going_on.notified());
        });
        for number in 0..10u32 {
            task.emit("news", &number).await.unwrap();
        }
        deadline("first call", begun.notified()).await;
        task.off(id);
        go_on.notify_one();
        let dropped = || task.router().stats().dropped.by(DropReason::Unsubscribed);
        eventually("count of what was dropped", || dropped() == 9).await;
        assert_eq!(log.all(), [0]);
    });
}

#[test]
fn off_all_takes_a_pattern_and_leaves_the_end_of_the_task_alone() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let (mut listening, emitting) = (task(&nodes[1]), task(&nodes[0]));
        let log = Log::new();
        for event in ["loss.train", "loss.eval", "reward"] {
            let called = log.clone();
            listening.on(event, move |_: Event<u32>| called.push(event));
        }
        listening.off_all("loss.*");
        eventually("removal", || nodes[0].listeners("loss.train") == 0).await;
        for event in ["loss.train", "loss.eval", "reward"] {
            emitting.emit(event, &1u32).await.unwrap();
        }
        assert_eq!(log.filled(1).await, ["reward"]);
        listening.off_all("*");
        listening.off_all("t*");
        eventually("removal", || nodes[0].listeners("reward") == 0).await;
        listening.step_async(|_| {
            Box::pin(async {
                tokio::task::yield_now().await;
                Ok(())
            })
        });
        emitting.finish();
        deadline("end", listening.run(u64::MAX)).await.unwrap();
        assert_eq!(log.all(), ["reward"]);
    });
}

#[test]
fn a_handler_may_take_itself_off() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let log = Log::new();
        let (called, handle) = (log.clone(), task.handle());
        let id = Arc::new(std::sync::OnceLock::new());
        let own = id.clone();
        let listener = task.on("news", move |news: Event<u32>| {
            called.push(news.payload);
            handle.off(*own.get().expect("the listener is known before the first message"));
        });
        id.set(listener).unwrap();
        let end = Log::new();
        let ended = end.clone();
        task.on("news", move |news: Event<u32>| ended.push(news.payload));
        for number in 0..5u32 {
            task.emit("news", &number).await.unwrap();
        }
        end.filled(5).await;
        assert_eq!(log.filled(1).await, [0]);
    });
}

#[test]
fn once_is_called_once_even_when_two_messages_are_there_already() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        // Nobody listens yet: they are kept for whoever listens within the first moment.
        for number in 0..2u32 {
            nodes[0].emit("ready", &number).await.unwrap();
        }
        let (last, mut heard) = (nodes[0].emit("kept", &()), nodes[1].subscribe::<()>("kept").unwrap());
        last.await.unwrap();
        tidings_testkit::next(&mut heard).await;
        let task = task(&nodes[1]);
        let log = Log::new();
        let called = log.clone();
        task.once("ready", move |ready: Event<u32>| called.push(ready.payload));
        assert_eq!(log.filled(1).await, [0]);
        let after = Log::new();
        let followed = after.clone();
        task.on("ready", move |ready: Event<u32>| followed.push(ready.payload));
        nodes[0].emit("ready", &2u32).await.unwrap();
        eventually("third message", || after.all().contains(&2)).await;
        assert_eq!(log.all(), [0]);
    });
}

#[test]
fn a_payload_of_another_type_is_counted_and_the_handler_goes_on() {
    within_deadline(|| async {
        let task = Task::builder().build();
        let (log, later) = (Log::new(), Log::new());
        let (called, called_later) = (log.clone(), later.clone());
        task.on("number", move |number: Event<u32>| called.push(number.payload));
        task.on_async("number", move |number: Event<u32>| {
            called_later.push(number.payload);
            async {}
        });
        task.emit("number", "no number").await.unwrap();
        task.emit("number", &7u32).await.unwrap();
        assert_eq!(log.filled(1).await, [7]);
        assert_eq!(later.filled(1).await, [7]);
        assert_eq!(task.router().stats().dropped.by(DropReason::Decode), 2);
    });
}

#[test]
fn once_with_a_payload_of_another_type_leaves_nothing_behind() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let task = task(&nodes[1]);
        task.once("number", |_: Event<u32>| -> () { panic!("this is no number") });
        nodes[0].wait_for_listeners("number", 1).timeout(DEADLINE).await.unwrap();
        nodes[0].emit("number", "no number").await.unwrap();
        eventually("end of the listener", || nodes[0].listeners("number") == 0).await;
        assert_eq!(nodes[1].stats().dropped.by(DropReason::Decode), 1);
    });
}

#[test]
fn a_handler_that_panics_stops_only_itself_and_is_reported() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let mut listening = task(&nodes[1]);
        let log = Log::new();
        let called = log.clone();
        listening.on("news", |_: Event<u32>| -> () { panic!("the press is broken") });
        listening.on("news", move |news: Event<u32>| called.push(news.payload));
        listening.step_async(|_| Box::pin(std::future::pending()));
        nodes[0].wait_for_listeners("news", 2).timeout(DEADLINE).await.unwrap();
        nodes[0].emit("news", &0u32).await.unwrap();
        let error = deadline("end", listening.run(5)).await.unwrap_err().to_string();
        assert!(error.contains("`news`") && error.contains("the press is broken"), "{error}");
        eventually("end of the listener", || nodes[0].listeners("news") == 1).await;
        nodes[0].emit("news", &1u32).await.unwrap();
        assert_eq!(log.filled(2).await, [0, 1]);
        let mut back = nodes[0].subscribe::<u32>("back").unwrap();
        listening.emit("back", &5u32).await.unwrap();
        assert_eq!(tidings_testkit::next(&mut back).await.payload, 5);
    });
}

#[test]
fn an_asynchronous_handler_that_panics_is_reported_too() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.on_async("news", |_: Event<u32>| async { break_the_press() });
        task.step_async(|_| Box::pin(std::future::pending()));
        task.emit("news", &0u32).await.unwrap();
        let error = deadline("end", task.run(5)).await.unwrap_err().to_string();
        assert!(error.contains("`news`") && error.contains("the press is broken"), "{error}");
    });
}

#[test]
fn a_name_that_cannot_be_ends_the_run() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        task.on("", |_: Event<u32>| ());
        let ended = deadline("end", task.run(5)).await;
        assert!(matches!(ended, Err(Error::InvalidEvent { .. })), "{ended:?}");
        let waited = task.wait_for::<u32>("").timeout(DEADLINE).await;
        assert!(matches!(waited, Err(Error::InvalidEvent { .. })), "{waited:?}");
    });
}

#[test]
fn a_task_without_a_router_is_a_local_loop() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        let log = Log::new();
        let called = log.clone();
        task.on("greeting", move |greeting: Event<String>| called.push(greeting.payload));
        task.step(|ctx| ctx.task().emit("greeting", &format!("step {}", ctx.total_step)).wait());
        deadline("run", task.run(2)).await.unwrap();
        assert_eq!(log.filled(2).await, ["step 0", "step 1"]);
        assert!(task.router().peers().is_empty());
    });
}

#[test]
fn a_dropped_task_stops_listening_and_lets_go_of_its_handlers() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let task = task(&nodes[1]);
        let held = Arc::new(());
        let holding = held.clone();
        task.on("news", move |_: Event<u32>| drop(holding.clone()));
        let holding = held.clone();
        task.on_async("news", move |_: Event<u32>| {
            let _held = holding.clone();
            async {}
        });
        nodes[0].wait_for_listeners("news", 2).timeout(DEADLINE).await.unwrap();
        let handle = task.handle();
        drop(task);
        eventually("end of the listeners", || nodes[0].listeners("news") == 0).await;
        eventually("end of the handlers", || Arc::strong_count(&held) == 1).await;
        // What is left of the task takes no more listeners.
        handle.on("news", |_: Event<u32>| ());
        eventually("end of the listeners", || nodes[0].listeners("news") == 0).await;
    });
}

#[test]
fn a_handler_that_is_cut_off_fails_the_run() {
    within_deadline(|| async {
        let router = <dyn tidings_router_core::Router>::builder()
            .queue_messages(4)
            .max_wait(std::time::Duration::from_millis(50));
        let router = router.open().await.unwrap();
        let mut listening = task(&router);
        let (release, released) = std::sync::mpsc::sync_channel::<()>(0);
        listening.on("news", move |_: Event<u32>| assert!(released.recv().is_err(), "let go"));
        for number in 0..20 {
            router.emit("news", &number).await.unwrap();
        }
        assert_eq!(router.listeners("news"), 0, "it was cut off");
        drop(release);
        let error = deadline("end of the run", listening.run(u64::MAX)).await.unwrap_err();
        assert!(matches!(&error, Error::Failed { what, .. } if what.contains("evicted")), "{error:?}");
    });
}
