//! Large payloads between the processes of one machine: what is copied, what is counted, and when memory is free.

use std::{fs, sync::Arc, time::Duration};

use tidings::{
    Bytes, Router, RouterBuilder, Subscription, Topology,
    transport::{Ipc, Tcp},
};
use tidings_testkit::{Cluster, DEADLINE, Fixture, Proxy, Setup, deadline, eventually, next, node, run};

const LEN: usize = 64 * 1024;

/// Nodes that share so much memory, and tell each other twenty times a second how far they are.
fn sharing(topology: Topology, bytes: usize) -> Setup {
    Setup::new(topology, move |directory, number| {
        Ipc::bind(directory.join(format!("{number}.sock"))).shared_memory(bytes)
    })
}

fn quick(builder: RouterBuilder) -> RouterBuilder {
    let builder = builder.heartbeat(Duration::from_millis(50), Duration::from_secs(8));
    // What comes in the first moment would be held for longer than its listeners hold it.
    builder.hold(Duration::from_millis(1))
}

/// Whether `payload` stands in memory of another process, or of another router.
fn is_borrowed(payload: &[u8]) -> bool {
    let at = payload.as_ptr() as usize;
    let number = |text| usize::from_str_radix(text, 16).unwrap();
    fs::read_to_string("/proc/self/maps").unwrap().lines().any(|line| {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        (number(from)..number(to)).contains(&at)
            && line.contains("r--s")
            && line.contains("memfd:tidings-payloads")
    })
}

/// A subscription of the last node, to which node 0 has begun to lend.
async fn borrowing(cluster: &Cluster, from: usize, to: usize) -> Subscription<Bytes> {
    let mut heard = cluster[to].subscribe::<Bytes>("blob").unwrap();
    cluster[from].wait_for_listeners("blob", 1).timeout(DEADLINE).await.unwrap();
    loop {
        // The first ones go through the socket, until the other end has said that it can read.
        deadline("emit", cluster[from].emit("blob", Bytes::from(vec![1; LEN]))).await.unwrap();
        if is_borrowed(&next(&mut heard).await.payload) {
            return heard;
        }
    }
}

#[test]
fn a_loan_is_not_copied() {
    run("a_loan_is_not_copied", || async {
        let setup = sharing(Topology::Mesh, 16 << 20);
        let cluster = Cluster::of(&setup, 2).await;
        let mut there = borrowing(&cluster, 0, 1).await;
        let mut here = cluster[0].subscribe::<Bytes>("blob").unwrap();
        let before = cluster[0].stats();
        let mut loan = cluster[0].loan(LEN);
        assert!(loan.is_shared());
        loan.fill(7);
        let place = loan.as_ptr();
        cluster[0].emit("blob", loan.freeze()).await.unwrap();
        assert_eq!(next(&mut here).await.payload.as_ptr(), place, "a listener here has the very same memory");
        let payload = next(&mut there).await.payload;
        assert!(is_borrowed(&payload) && payload == vec![7; LEN]);
        let stats = cluster[0].stats();
        assert_eq!(
            (stats.pooled, stats.unpooled),
            (before.pooled + 1, before.unpooled),
            "the loan and nothing else"
        );
    });
}

#[test]
fn bytes_and_values_are_copied_once_for_all_peers() {
    run("bytes_and_values_are_copied_once_for_all_peers", || async {
        let setup = sharing(Topology::Mesh, 16 << 20);
        let cluster = Cluster::of(&setup, 3).await;
        let mut heard = [borrowing(&cluster, 0, 1).await, borrowing(&cluster, 0, 2).await];
        while let Some(event) = heard[0].try_next() {
            drop(event);
        }
        let before = cluster[0].stats().pooled;
        cluster[0].emit("blob", Bytes::from(vec![7; LEN])).await.unwrap();
        cluster[0].emit("blob", &vec![1.0f32; LEN]).await.unwrap();
        for heard in &mut heard {
            loop {
                let payload = next(heard).await.payload;
                assert!(is_borrowed(&payload));
                if payload[0] == 7 {
                    break;
                }
            }
            let value = next(heard).await.payload;
            assert!(is_borrowed(&value) && value.len() > 4 * LEN);
        }
        assert_eq!(cluster[0].stats().pooled, before + 2);
    });
}

#[test]
fn memory_is_free_after_the_receivers_last_clone() {
    run("memory_is_free_after_the_receivers_last_clone", || async {
        let setup = sharing(Topology::Mesh, 2 * LEN);
        let cluster = Cluster::with(&setup, 2, quick).await;
        let mut heard = borrowing(&cluster, 0, 1).await;
        let free =
            || [cluster[0].loan(LEN), cluster[0].loan(LEN)].iter().filter(|loan| loan.is_shared()).count();
        eventually("free memory", || free() == 2).await;
        for value in [2, 3] {
            cluster[0].emit("blob", Bytes::from(vec![value; LEN])).await.unwrap();
        }
        let part = next(&mut heard).await.payload.slice(10..20);
        drop(next(&mut heard).await);
        // The second one was confirmed, so the first one was as well: only the listener here has it.
        eventually("free memory", || free() > 0).await;
        assert_eq!(free(), 1);
        assert_eq!(&part[..], [2; 10]);
        drop(part);
        eventually("free memory", || free() == 2).await;
    });
}

#[test]
fn what_finds_the_memory_full_goes_through_the_socket_and_is_counted() {
    run("what_finds_the_memory_full_goes_through_the_socket_and_is_counted", || async {
        let setup = sharing(Topology::Mesh, LEN);
        let cluster = Cluster::with(&setup, 2, quick).await;
        let mut heard = borrowing(&cluster, 0, 1).await;
        eventually("free memory", || cluster[0].loan(LEN).is_shared()).await;
        let loan = cluster[0].loan(LEN);
        let before = cluster[0].stats();
        let mut other = cluster[0].loan(LEN);
        assert!(loan.is_shared() && !other.is_shared());
        other.fill(3);
        cluster[0].emit("blob", other.freeze()).await.unwrap();
        let payload = next(&mut heard).await.payload;
        assert!(payload == vec![3; LEN] && !is_borrowed(&payload));
        // The loan, and the try to share what was emitted.
        let stats = cluster[0].stats();
        assert_eq!((stats.pooled, stats.unpooled), (before.pooled, before.unpooled + 2));
        assert_eq!(stats.dropped.total(), 0);
    });
}

#[test]
fn a_hub_passes_on_what_it_borrows() {
    run("a_hub_passes_on_what_it_borrows", || async {
        let setup = sharing(Topology::Star, 16 << 20);
        let cluster = Cluster::of(&setup, 3).await;
        let _heard = borrowing(&cluster, 1, 2).await;
        assert!(cluster[0].stats().pooled > 0, "the hub has a copy of its own");
    });
}

#[test]
fn a_loan_reaches_peers_behind_every_transport() {
    run("a_loan_reaches_peers_behind_every_transport", || async {
        let setup = sharing(Topology::Mesh, 16 << 20);
        let both = node(&setup, 0).transport(Tcp::bind("127.0.0.1:0"));
        let both = deadline("node", both.open()).await.unwrap();
        let addresses = both.addresses();
        let by_ipc = deadline("node", node(&setup, 1).attach_to(&addresses[..1]).open()).await.unwrap();
        let by_tcp = Router::builder().node_id(2).cluster(setup.cluster()).topology(Topology::Alone);
        let by_tcp = by_tcp.transport(Tcp::bind("127.0.0.1:0")).attach_to(&addresses[1..]);
        let by_tcp = deadline("node", by_tcp.open()).await.unwrap();
        let mut heard =
            [&by_ipc, &by_tcp].map(|router: &Arc<Router>| router.subscribe::<Bytes>("blob").unwrap());
        both.wait_for_listeners("blob", 2).timeout(DEADLINE).await.unwrap();
        for value in 0..10 {
            let mut loan = both.loan(LEN);
            loan.fill(value);
            both.emit("blob", loan.freeze()).await.unwrap();
            for heard in &mut heard {
                assert!(next(heard).await.payload == vec![value; LEN]);
            }
        }
        assert!(!by_tcp.loan(LEN).is_shared());
    });
}

#[test]
fn a_socket_that_is_passed_on_carries_everything_itself() {
    run("a_socket_that_is_passed_on_carries_everything_itself", || async {
        let setup = sharing(Topology::Star, 16 << 20);
        let hub = deadline("hub", node(&setup, 0).open()).await.unwrap();
        let proxy = Proxy::new(&hub.addresses()[0], setup.directory()).await.unwrap();
        let leaf = node(&setup, 1).attach_to([proxy.address()]);
        let leaf = deadline("leaf", leaf.open()).await.unwrap();
        let mut heard = leaf.subscribe::<Bytes>("blob").unwrap();
        hub.wait_for_listeners("blob", 1).timeout(DEADLINE).await.unwrap();
        for value in 0..10 {
            hub.emit("blob", Bytes::from(vec![value; LEN])).await.unwrap();
            let payload = next(&mut heard).await.payload;
            assert!(payload == vec![value; LEN] && !is_borrowed(&payload));
        }
    });
}

#[test]
fn a_loan_without_a_transport_is_memory_of_this_process() {
    let router = Router::builder().open().wait().unwrap();
    let mut heard = router.subscribe::<Bytes>("blob").unwrap();
    let mut loan = router.loan(LEN);
    assert!(!loan.is_shared() && loan.len() == LEN);
    loan.fill(1);
    router.emit("blob", loan.freeze()).wait().unwrap();
    assert_eq!(heard.next_wait().unwrap().payload, vec![1; LEN]);
    assert_eq!(router.stats().unpooled, 0);
}
