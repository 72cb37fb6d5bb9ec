//! What links through a broker make of a broker that loses what it carries.

use tidings::{DropReason, Topology};
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
        assert!(broker.lost() > 2, "{} restarts", broker.lost());
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
