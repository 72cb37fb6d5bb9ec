//! Who looks on hears and is heard, and is no member to anybody.

use std::{sync::Arc, time::Duration};

use tidings::{Change, RouterBuilder, prelude::*};
use tidings_testkit::{DEADLINE, deadline, next, tokio};

/// Two members of this shape, and somebody who looks on.
async fn cluster(topology: Topology) -> (Arc<Router>, Arc<Router>, Arc<Router>) {
    let network = Memory::network();
    let open = async |builder: RouterBuilder| {
        deadline("node", builder.topology(topology).transport(network.clone()).open()).await.unwrap()
    };
    let first = open(Router::builder().node_id(0)).await;
    let second = open(Router::builder().node_id(1).attach_to(first.addresses())).await;
    let observer = open(Router::builder().observer().attach_to(first.addresses())).await;
    (first, second, observer)
}

#[tokio::test]
async fn an_observer_is_no_member_and_hears_all_the_same() {
    for topology in [Mesh, Star] {
        let (first, second, observer) = cluster(topology).await;
        assert!(observer.node_id().is_observer() && observer.addresses().is_empty());
        observer.wait_for_peers(2).timeout(DEADLINE).await.unwrap();

        let mut seen = observer.subscribe::<u32>("loss.*").unwrap();
        second.emit("loss.train", &7_u32).only_remote().await.unwrap();
        assert_eq!(next(&mut seen).await.payload, 7);
        let mut told = second.subscribe::<String>("order").unwrap();
        observer.emit("order", "stop").await.unwrap();
        let event = next(&mut told).await;
        assert_eq!((event.source, event.payload.as_str()), (observer.node_id(), "stop"));

        // It has been heard by both, and neither knows it as one of its own.
        for member in [&first, &second] {
            assert_eq!(member.peers().len(), 1, "{topology}");
            // The hub of a star asks its leaves on behalf of all, those who look on among them.
            let asks_for_it = topology == Star && member.node_id() != NodeId::HUB;
            assert_eq!(member.listeners("loss.train"), usize::from(asks_for_it));
            let mut changes = member.changes();
            while let Some(change) = changes.try_next() {
                assert!(matches!(&change, Change::Joined(peer) if !peer.node_id.is_observer()), "{change:?}");
            }
        }
        let wait = first.wait_for_peers(2).timeout(Duration::from_millis(1)).await;
        assert!(matches!(wait, Err(tidings::Error::Timeout { .. })));
        assert_eq!(first.observers().len(), 1);
        observer.shutdown(DEADLINE).await;
    }
}
