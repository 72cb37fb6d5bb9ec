//! Order, and errors that are seen at once.

use std::{thread, time::Duration};

use tidings_router_core::{Error, Event};
use tidings_task::Task;
use tidings_testkit::{DEADLINE, deadline};

use crate::support::{Log, mesh, task, within_deadline};

/// How long a handler takes for a message.
fn uneven(number: u32) -> Duration {
    Duration::from_micros(u64::from(number * 7919 % 11) * 100)
}

#[test]
fn r5_handlers_run_in_order() {
    within_deadline(|| async {
        let messages = 200;
        let nodes = mesh(2).await;
        let listening = task(&nodes[1]);
        let (blocking, asynchronous) = (Log::new(), Log::new());
        let (called, called_too) = (blocking.clone(), asynchronous.clone());
        listening.on("number", move |number: Event<u32>| {
            thread::sleep(uneven(number.payload));
            called.push(number.payload);
        });
        listening.on_async("number", move |number: Event<u32>| {
            let called = called_too.clone();
            async move {
                tokio::time::sleep(uneven(number.payload)).await;
                called.push(number.payload);
            }
        });
        nodes[0].wait_for_listeners("number", 2).timeout(DEADLINE).await.unwrap();
        for number in 0..messages {
            nodes[0].emit("number", &number).await.unwrap();
        }
        let expected: Vec<u32> = (0..messages).collect();
        assert_eq!(blocking.filled(expected.len()).await, expected);
        assert_eq!(asynchronous.filled(expected.len()).await, expected);
    });
}

#[test]
fn r5_an_error_of_a_handler_is_visible_at_once_and_others_go_on() {
    within_deadline(|| async {
        let nodes = mesh(2).await;
        let mut listening = task(&nodes[1]);
        let log = Log::new();
        let called = log.clone();
        listening.on("number", |number: Event<u32>| match number.payload {
            3 => Err("three is too many"),
            _ => Ok(()),
        });
        listening.on("number", move |number: Event<u32>| called.push(number.payload));
        // It waits for what never comes, and nobody emits anything after the error.
        listening.step_async(|_| Box::pin(std::future::pending()));
        nodes[0].wait_for_listeners("number", 2).timeout(DEADLINE).await.unwrap();
        for number in 0..4u32 {
            nodes[0].emit("number", &number).await.unwrap();
        }
        let ended = deadline("end", listening.run(5)).await;
        let Err(Error::Failed { what, source }) = ended else { panic!("{ended:?}") };
        assert_eq!(
            (what.as_str(), source.to_string().as_str()),
            ("the handler of `number`", "three is too many")
        );
        for number in 4..10u32 {
            nodes[0].emit("number", &number).await.unwrap();
        }
        assert_eq!(log.filled(10).await, (0..10).collect::<Vec<u32>>());
        let mut back = nodes[0].subscribe::<u32>("back").unwrap();
        listening.emit("back", &1u32).await.unwrap();
        tidings_testkit::next(&mut back).await;
    });
}

#[test]
fn a_task_whose_listener_failed_can_be_run_again() {
    within_deadline(|| async {
        let mut task = Task::builder().build();
        let log = Log::new();
        let called = log.clone();
        task.step_async(move |ctx| {
            let called = called.clone();
            Box::pin(async move {
                tokio::task::yield_now().await;
                let answer = ctx.task().wait_for::<u32>("answer");
                ctx.task().emit("answer", &42u32).await?;
                called.push(answer.await?.payload);
                Ok(())
            })
        });
        task.on("bad", |_: Event<()>| Err("bad news"));
        let bad = task.wait_for::<()>("bad");
        task.emit("bad", &()).await.unwrap();
        deadline("bad news", bad).await.unwrap();
        deadline("end", task.run(2)).await.unwrap_err();
        log.all().is_empty().then_some(()).expect("the error came before the first step");
        deadline("end", task.run(2)).await.unwrap();
        assert_eq!(log.all(), [42, 42], "every step runs to its end");
        assert_eq!(task.context().total_step, 2);
    });
}
