//! What links through a broker make of a broker that loses what it carries.

use tidings::{Bytes, DropReason, Topology};
use tidings_testkit::{Broker, Cluster, DEADLINE, Setup, cases, eventually, next, run};

fn setup(broker: &Broker) -> Setup {
    let broker = broker.clone();
    Setup::new(Topology::Mesh, move |_directory, _number| broker.clone())
}

#[test]
fn packets_that_a_broker_loses_are_sent_again() {
    run("lossy broker", || async {
        let broker = Broker::default();
        let setup = setup(&broker);
        broker.lose_every(61);
        cases::delivery::burst(&setup, 3, 10_000, 1024).await;
        assert!(broker.lost() > 2, "{} packets were lost", broker.lost());
    });
}

#[test]
fn a_broker_that_restarts_amid_a_flood_costs_no_message() {
    run("restarted broker", || async {
        let broker = Broker::default();
        let setup = setup(&broker);
        broker.restart_every(100);
        cases::delivery::burst(&setup, 3, 10_000, 1024).await;
        assert!(broker.lost() > 0, "{} restarts", broker.lost());
    });
}

/// What is published once for several nodes.
const LARGE: usize = 64 << 10;

#[test]
fn a_large_payload_for_several_nodes_is_published_once() {
    run("broadcasts", || async {
        let broker = Broker::default();
        let cluster = Cluster::of(&setup(&broker), 4).await;
        let mut heard: Vec<_> = (1..4).map(|id| cluster[id].subscribe::<Bytes>("model").unwrap()).collect();
        cluster[0].wait_for_listeners("model", 3).timeout(DEADLINE).await.unwrap();
        let mut emit = async |model: Bytes| {
            cluster[0].emit("model", model.clone()).await.unwrap();
            for heard in &mut heard {
                assert_eq!(next(heard).await.payload, model);
            }
        };
        // The same one again and again is as many messages.
        let model = Bytes::from(vec![1; 640 << 10]);
        let len = model.len() as u64;
        // Until everyone listens, some get copies of their own.
        let mut bytes = broker.bytes();
        loop {
            emit(model.clone()).await;
            let before = std::mem::replace(&mut bytes, broker.bytes());
            if bytes - before < 2 * len {
                break;
            }
        }
        let broadcasts = broker.broadcasts();
        for _ in 0..10 {
            emit(model.clone()).await;
        }
        assert_eq!(broker.broadcasts() - broadcasts, 10 * 3, "parts of 256 KiB");
        let bytes = broker.bytes() - bytes;
        assert!(bytes < 11 * len, "{bytes} bytes for 10 payloads of {len}");
    });
}

#[test]
fn broadcasts_that_a_broker_loses_are_sent_again() {
    run("lossy broker", || async {
        let broker = Broker::default();
        let setup = setup(&broker);
        // Often enough, but not each time before everyone has subscribed the broadcasts again.
        broker.lose_every(151);
        cases::delivery::burst(&setup, 3, 1_000, LARGE).await;
        let (lost, broadcasts) = (broker.lost(), broker.broadcasts());
        assert!(lost > 2 && broadcasts > 0, "{lost} of all packets were lost, {broadcasts} broadcasts");
    });
}

#[test]
fn broadcasts_amid_which_a_broker_restarts_cost_no_message() {
    run("restarted broker", || async {
        let broker = Broker::default();
        let setup = setup(&broker);
        // As above.
        broker.restart_every(400);
        cases::delivery::burst(&setup, 3, 1_000, LARGE).await;
        let (restarts, broadcasts) = (broker.lost(), broker.broadcasts());
        assert!(restarts > 0 && broadcasts > 0, "{restarts} restarts, {broadcasts} broadcasts");
    });
}

#[test]
fn broadcasts_may_come_later_than_what_refers_to_them() {
    run("late broadcasts", || async {
        let broker = Broker::default();
        let setup = setup(&broker);
        broker.bring_broadcasts_late();
        cases::delivery::burst(&setup, 3, 600, LARGE).await;
        assert!(broker.broadcasts() > 0);
    });
}

#[test]
fn what_other_programs_publish_is_counted_and_the_node_works_on() {
    run("foreign packets", || async {
        let broker = Broker::default();
        let cluster = Cluster::of(&setup(&broker), 2).await;
        for mailbox in broker.mailboxes() {
            broker.publish(mailbox, b"hello");
            broker.publish(mailbox, b"");
        }
        for node in cluster.iter() {
            eventually("count", || node.stats().dropped.by(DropReason::Foreign) == 2).await;
        }
        let mut heard = cluster[1].subscribe::<u64>("x").unwrap();
        cluster[0].wait_for_listeners("x", 1).timeout(DEADLINE).await.unwrap();
        cluster[0].emit("x", &1u64).await.unwrap();
        assert_eq!(next(&mut heard).await.payload, 1);
    });
}
