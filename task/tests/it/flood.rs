//! Handlers that emit: they never wait, and never lose anything without saying so.

use std::{sync::Arc, time::Duration};

use tidings_router_core::{Bytes, Error, Event, Topology, runtime};
use tidings_testkit::{Cluster, DEADLINE, deadline, eventually};
use tokio::sync::Notify;

use crate::support::{Log, network, task, within_deadline};

#[test]
fn two_nodes_whose_handlers_answer_every_message_both_go_on_and_lose_nothing() {
    within_deadline(|| async {
        let (games, hops) = (300u32, 40u32);
        // Far less room than there are messages: who may wait would wait all the time.
        let tweak = |builder: tidings_router_core::RouterBuilder| {
            builder.queue_messages(8).queue_bytes(2048).listener_bytes(2048).window(4096)
        };
        let nodes = Cluster::with(&network(Topology::Mesh), 2, tweak).await;
        let tasks: Vec<_> = nodes.iter().map(task).collect();
        let logs: Vec<Log<(u32, u32)>> = (0..2).map(|_| Log::new()).collect();
        for node in 0..2 {
            let (log, handle) = (logs[node].clone(), tasks[node].handle());
            tasks[node].on("ball", move |ball: Event<(u32, u32)>| {
                let (game, hop) = ball.payload;
                log.push((game, hop));
                if hop < hops { handle.emit("ball", &(game, hop + 1)).only_remote().wait() } else { Ok(()) }
            });
        }
        nodes[0].wait_for_listeners("ball", 1).timeout(DEADLINE).await.unwrap();
        nodes[1].wait_for_listeners("ball", 1).timeout(DEADLINE).await.unwrap();
        let serving = (0..2).map(|node| {
            let handle = tasks[node].handle();
            tokio::spawn(async move {
                for game in 0..games {
                    handle.emit("ball", &(game, 1)).only_remote().await.unwrap();
                }
            })
        });
        for serving in serving.collect::<Vec<_>>() {
            deadline("end of the first balls", serving).await.unwrap();
        }
        let each = (games * hops) as usize;
        for log in &logs {
            let mut heard = log.filled(each).await;
            assert_eq!(heard.len(), each);
            heard.sort_unstable();
            let expected = (0..games).flat_map(|game| (1..=hops).map(move |hop| (game, hop)));
            assert!(heard.into_iter().eq(expected), "each ball once");
        }
        assert_eq!(nodes.dropped(), 0);
    });
}

#[test]
fn a_handler_that_emits_beyond_its_budget_gets_an_error_that_says_so_and_the_rest_arrives() {
    within_deadline(|| async {
        let tweak = |builder: tidings_router_core::RouterBuilder| {
            let builder = builder.queue_bytes(4096).listener_bytes(4096).window(16 * 1024);
            builder.handler_budget(64 * 1024).max_wait(Duration::from_secs(60))
        };
        let nodes = Cluster::with(&network(Topology::Mesh), 2, tweak).await;
        let (mut flooding, flooded) = (task(&nodes[0]), task(&nodes[1]));
        let (log, accepted, go_on) = (Log::new(), Log::new(), Arc::new(Notify::new()));
        let (called, going_on) = (log.clone(), go_on.clone());
        flooded.on("answer", move |answer: Event<Bytes>| {
            if called.len() == 0 {
                runtime::block_on(going_on.notified());
            }
            called.push(answer.payload.len());
        });
        let (handle, taken) = (flooding.handle(), accepted.clone());
        flooding.on("question", move |_: Event<()>| {
            for _ in 0..10_000 {
                handle.emit("answer", Bytes::from(vec![0; 1024])).wait()?;
                taken.push(());
            }
            Ok::<(), Error>(())
        });
        flooding.step_async(|_| Box::pin(std::future::pending()));
        nodes[0].wait_for_listeners("answer", 1).timeout(DEADLINE).await.unwrap();
        nodes[1].wait_for_listeners("question", 1).timeout(DEADLINE).await.unwrap();
        nodes[1].emit("question", &()).await.unwrap();
        let ended = deadline("end", flooding.run(1)).await;
        let Err(Error::Failed { source, .. }) = ended else { panic!("{ended:?}") };
        let full = source.downcast::<Error>().expect("an error of ours");
        assert!(matches!(*full, Error::Full { .. }), "{full:?}");
        let text = full.to_string();
        assert!(
            text.contains("node 1") && text.contains("`answer`") && text.contains("handler_budget"),
            "{text}"
        );
        let accepted = accepted.len();
        assert!((32..200).contains(&accepted), "{accepted} messages were taken");
        go_on.notify_one();
        log.filled(accepted).await;
        // What comes after it comes last: nothing was duplicated, nothing lost.
        flooding.emit("answer", Bytes::from_static(b"end")).await.unwrap();
        eventually("end", || log.all().last() == Some(&3)).await;
        assert_eq!(log.len(), accepted + 1);
        assert_eq!(nodes.dropped(), 0);
    });
}

#[test]
fn a_local_loop_beyond_its_budget_gets_an_error_too() {
    within_deadline(|| async {
        let router =
            <dyn tidings_router_core::Router>::builder().listener_bytes(1024).handler_budget(8 * 1024);
        let mut task = task(&router.open().await.unwrap());
        let handle = task.handle();
        // Each message makes two more: that ends badly, and says so.
        task.on("echo", move |echo: Event<u32>| {
            handle.emit("echo", &echo.payload).wait()?;
            handle.emit("echo", &echo.payload).wait()
        });
        task.step_async(|_| Box::pin(std::future::pending()));
        task.emit("echo", &1u32).await.unwrap();
        let ended = deadline("end", task.run(1)).await;
        let Err(Error::Failed { source, .. }) = ended else { panic!("{ended:?}") };
        assert!(source.to_string().contains("handler_budget"), "{source}");
    });
}
