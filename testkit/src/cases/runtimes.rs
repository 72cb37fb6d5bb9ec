//! A node works whatever the user's threads and runtimes do.
#![allow(clippy::unwrap_used, reason = "cases are tests")]

use std::{sync::Arc, thread, time::Duration};

use bytes::Bytes;
use tidings_router_core::runtime::block_on;
use tokio::task::spawn_blocking;

use crate::{Cluster, DEADLINE, Fixture, Numbered, Router, deadline, eventually, node};

/// Everything has a blocking twin: two threads without a runtime open, meet, emit, listen and shut down.
pub async fn threads_without_a_runtime_use_the_blocking_twins(fixture: &dyn Fixture) {
    let builders = [node(fixture, 0), node(fixture, 1)];
    let body = move || {
        let [first, second] = builders;
        let first = first.open().timeout(DEADLINE).wait().unwrap();
        let second = second.attach_to(first.addresses()).open().timeout(DEADLINE).wait().unwrap();
        first.wait_for_peers(1).timeout(DEADLINE).wait().unwrap();
        let mut heard = first.subscribe::<u64>("x").unwrap();
        second.wait_for_listeners("x", 1).timeout(DEADLINE).wait().unwrap();
        let publisher = thread::spawn(move || {
            for value in 0..1000u64 {
                second.emit("x", &value).wait().unwrap();
            }
            second.shutdown(DEADLINE).wait()
        });
        for value in 0..1000 {
            assert_eq!(heard.next_wait().unwrap().payload, value);
        }
        assert_eq!(publisher.join().unwrap().discarded, 0);
        assert_eq!(first.shutdown(Duration::from_secs(1)).wait().discarded, 0);
        assert!(heard.next_wait().is_none());
    };
    deadline("end of the threads", spawn_blocking(|| thread::spawn(body).join())).await.unwrap().unwrap();
}

/// Two nodes on one `current_thread` runtime talk to each other.
pub async fn a_runtime_of_one_thread_is_enough(fixture: &dyn Fixture) {
    let builders = [node(fixture, 0), node(fixture, 1)];
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let [first, second] = builders;
            let first = deadline("node", first.open()).await.unwrap();
            let second = deadline("node", second.attach_to(first.addresses()).open()).await.unwrap();
            exchange(&first, &second).await;
            deadline("shutdown", second.shutdown(Duration::from_secs(1))).await;
        });
    };
    deadline("end of the thread", spawn_blocking(|| thread::spawn(body).join())).await.unwrap().unwrap();
}

/// Sends more from one node to the other than all queues hold.
async fn exchange(from: &Arc<Router>, to: &Arc<Router>) {
    let mut heard = to.subscribe::<Bytes>("x").unwrap();
    from.wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
    let count = 100_000;
    let sending = async {
        for number in 0..count {
            let payload = Numbered { publisher: 1, number }.payload(200);
            from.emit("x", payload).only_remote().await.unwrap();
        }
    };
    let listening = async {
        for number in 0..count {
            let event = heard.next().await.unwrap();
            assert_eq!(Numbered::read(&event.payload).number, number);
        }
    };
    deadline("exchange", async { tokio::join!(sending, listening) }).await;
}

/// A user's thread that computes for longer than a silent link may live does not cost its node the link.
pub async fn a_busy_thread_of_the_user_does_not_silence_the_node(fixture: &dyn Fixture) {
    let quick = |builder: tidings_router_core::RouterBuilder| {
        builder.heartbeat(Duration::from_millis(100), Duration::from_millis(500))
    };
    let first = deadline("node", quick(node(fixture, 0)).open()).await.unwrap();
    let second = quick(node(fixture, 1)).attach_to(first.addresses());
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let second = runtime.block_on(async { deadline("node", second.open()).await.unwrap() });
        // The only thread of the user's runtime is not there for it any more.
        opened.send(()).unwrap();
        thread::sleep(Duration::from_millis(1200));
        second
    };
    let busy = spawn_blocking(body);
    deadline("node", is_open).await.unwrap();
    let mut changes = first.changes();
    let second = deadline("end of the computation", busy).await.unwrap();
    assert_eq!(first.peers().len(), 1);
    while let Some(change) = changes.try_next() {
        assert!(matches!(change, tidings_router_core::Change::Joined(_)), "{change:?}");
    }
    assert_eq!(second.peers().len(), 1);
}

/// An executor that knows nothing of tokio can await everything.
pub async fn futures_need_no_runtime_of_the_user(fixture: &dyn Fixture) {
    let cluster = Cluster::of(fixture, 2).await;
    let nodes = [cluster[0].clone(), cluster[1].clone()];
    let body = move || {
        block_on(async {
            let mut heard = nodes[1].subscribe::<u64>("x").unwrap();
            nodes[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
            nodes[0].emit("x", &1u64).await.unwrap();
            assert_eq!(heard.next().await.unwrap().payload, 1);
            assert_eq!(nodes[0].shutdown(DEADLINE).await.discarded, 0);
        });
    };
    deadline("end of the thread", spawn_blocking(|| thread::spawn(body).join())).await.unwrap().unwrap();
    eventually("farewell", || cluster[1].peers().is_empty()).await;
}
