//! Handlers of tasks over real sockets: they run on the thread that reads, and may keep it.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tidings::prelude::*;
use tidings_testkit::{DEADLINE, Setup, deadline, node, tokio};

use crate::setups::over_sockets;

/// How many handlers block at once: more than threads that read.
const BLOCKED: usize = 6;

/// Two nodes that find each other silent soon.
async fn pair(setup: &Setup) -> [Arc<Router>; 2] {
    let quick = |id| node(setup, id).heartbeat(Duration::from_millis(100), Duration::from_millis(500));
    let first = deadline("first node", quick(0).open()).await.unwrap();
    let second = quick(1).attach_to(first.addresses());
    let second = deadline("second node", second.open()).await.unwrap();
    [first, second]
}

async fn blocked_handlers_keep_nobody_else_waiting(setup: &Setup) {
    let [speaker, hearer] = pair(setup).await;
    let mut changes = hearer.changes();
    assert!(matches!(deadline("join", changes.next()).await, Some(tidings::Change::Joined(_))));
    let task = Task::builder().router(hearer.clone()).build();
    let mut released = Vec::new();
    let (begun, begins) = mpsc::sync_channel(BLOCKED);
    for index in 0..BLOCKED {
        let (release, wait) = mpsc::sync_channel::<()>(1);
        let begun = begun.clone();
        released.push(release);
        task.on(&format!("block.{index}"), move |_: Event<u32>| {
            begun.send(index).unwrap();
            assert_eq!(wait.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected), "let go");
        });
    }
    let answers = task.handle();
    task.on("question", move |msg: Event<u32>| answers.emit("answer", &msg.payload).only_remote().try_now());
    let mut heard = speaker.subscribe::<u32>("answer").unwrap();
    speaker.wait_for_listeners("question", 1).timeout(DEADLINE).await.unwrap();
    for index in 0..BLOCKED {
        speaker.emit(&format!("block.{index}"), &0u32).await.unwrap();
    }
    tokio::task::spawn_blocking(move || {
        for _ in 0..BLOCKED {
            begins.recv_timeout(DEADLINE).unwrap();
        }
    })
    .await
    .unwrap();
    // All of them block now. Messages go on, and for longer than the heartbeat waits.
    let begin = Instant::now();
    let mut number = 0;
    while begin.elapsed() < Duration::from_secs(1) {
        number += 1;
        speaker.emit("question", &number).await.unwrap();
        assert_eq!(deadline("answer", heard.next()).await.unwrap().payload, number);
    }
    let told = tokio::select! {
        biased;
        change = changes.next() => change,
        () = std::future::ready(()) => None,
    };
    assert!(told.is_none(), "{told:?}");
    drop(released);
}

async fn a_handler_is_never_called_twice_at_once_and_in_order(setup: &Setup) {
    const MESSAGES: u32 = 2000;
    let [speaker, hearer] = pair(setup).await;
    let task = Task::builder().router(hearer.clone()).build();
    let (inside, seen) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
    let (all, done) = tokio::sync::oneshot::channel();
    let (lock, log, mut all) = (inside.clone(), seen.clone(), Some(all));
    task.on("x", move |msg: Event<u32>| {
        let _alone = lock.try_lock().expect("nobody else is inside");
        log.lock().unwrap().push(msg.payload);
        // Some take longer than the thread that reads may be kept, so that it changes hands.
        if msg.payload % 100 == 99 {
            std::thread::sleep(Duration::from_millis(5));
        }
        if msg.payload + 1 == MESSAGES {
            all.take().unwrap().send(()).unwrap();
        }
    });
    speaker.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    for value in 0..MESSAGES {
        speaker.emit("x", &value).await.unwrap();
        // Alone or in a crowd.
        if value % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    deadline("last message", done).await.unwrap();
    assert!(seen.lock().unwrap().iter().copied().eq(0..MESSAGES));
}

/// What a handler wakes while its thread has been taken over is handled, although that handler goes on and nothing
/// else arrives.
async fn what_a_blocked_handler_emits_is_handled_at_once(setup: &Setup) {
    let calm = |id| node(setup, id).heartbeat(Duration::from_secs(600), Duration::from_secs(1200));
    let speaker = deadline("first node", calm(0).open()).await.unwrap();
    let hearer = deadline("second node", calm(1).attach_to(speaker.addresses()).open()).await.unwrap();
    let task = Task::builder().router(hearer.clone()).build();
    let (handled, waited_for) = mpsc::sync_channel::<u32>(1);
    let (answer, answered) = tokio::sync::oneshot::channel();
    let (emitter, mut answer) = (task.handle(), Some(answer));
    task.on("second", move |msg: Event<u32>| handled.send(msg.payload).unwrap());
    task.on("first", move |msg: Event<u32>| {
        // Longer than the thread that reads may be kept.
        std::thread::sleep(Duration::from_millis(50));
        emitter.emit("second", &msg.payload).only_local().try_now().unwrap();
        answer.take().unwrap().send(waited_for.recv_timeout(DEADLINE)).unwrap();
    });
    speaker.wait_for_listeners("first", 1).timeout(DEADLINE).await.unwrap();
    speaker.emit("first", &7u32).await.unwrap();
    assert_eq!(deadline("answer", answered).await.unwrap(), Ok(7));
}

over_sockets! { Mesh:
    what_a_blocked_handler_emits_is_handled_at_once,
    blocked_handlers_keep_nobody_else_waiting,
    a_handler_is_never_called_twice_at_once_and_in_order,
}
