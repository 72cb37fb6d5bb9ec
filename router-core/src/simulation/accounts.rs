//! What must hold when everything has come to rest.

use std::collections::BTreeMap;

use super::world::World;

impl World {
    /// Every message that a node queued for another one arrived there, or is counted as dropped; what arrived did so
    /// once and in order; what the receiver was told is missing is what the sender dropped.
    pub(super) fn check_accounts(&self) {
        for node in self.nodes.iter() {
            for (life, numbers) in &node.heard {
                let ordered = numbers.windows(2).all(|pair| pair[0] < pair[1]);
                assert!(ordered, "node {} heard life {life} twice or out of order: {numbers:?}", node.id);
            }
        }
        let received: BTreeMap<(u64, u64), (u64, u64)> = self.flows(|session| {
            let received = session.received().messages;
            let lost = session.lost.load(std::sync::atomic::Ordering::Relaxed);
            (received - lost, lost)
        });
        let sent: BTreeMap<(u64, u64), (u64, u64, u64)> = self.flows(|session| {
            let stats = session.stats();
            (stats.sent, stats.dropped.total(), stats.queued_messages)
        });
        for ((from, to), (sent, dropped, queued)) in sent {
            let (arrived, lost) = received.get(&(to, from)).copied().unwrap_or_default();
            let both_alive = self.is_alive(from) && self.is_alive(to);
            if both_alive {
                assert_eq!(
                    sent,
                    arrived + dropped + queued,
                    "from life {from} to life {to}: {arrived} {dropped} {queued}"
                );
                assert_eq!(lost, dropped, "life {to} was told what life {from} dropped");
                assert_eq!(queued, 0, "everything was carried");
            } else {
                assert!(arrived <= sent, "from life {from} to life {to}");
            }
        }
    }

    /// What each life knows of its session with each other life.
    fn flows<T>(&self, look: impl Fn(&crate::session::Session) -> T) -> BTreeMap<(u64, u64), T> {
        let mut flows = BTreeMap::new();
        for node in &self.nodes {
            let life = node.exchange.config.incarnation.0;
            node.exchange.ask(|machine| {
                for session in machine.sessions() {
                    flows.insert((life, session.peer.incarnation.0), look(session));
                }
            });
        }
        flows
    }

    fn is_alive(&self, life: u64) -> bool {
        self.nodes.iter().any(|node| node.alive && node.exchange.config.incarnation.0 == life)
    }

    /// Every node that is there sees every other one, in its latest life.
    pub(super) fn check_everyone_is_linked(&self) {
        for node in self.current.iter().map(|node| &self.nodes[*node]) {
            let seen: Vec<_> = node.exchange.peers().iter().map(|peer| peer.incarnation).collect();
            let others =
                self.current.iter().map(|other| &self.nodes[*other]).filter(|other| other.id != node.id);
            for other in others {
                let life = other.exchange.config.incarnation;
                assert!(
                    seen.contains(&life),
                    "node {} does not see node {} in {life:?}: {seen:?}",
                    node.id,
                    other.id
                );
            }
            assert_eq!(seen.len(), self.current.len() - 1);
        }
    }

    /// Every node has heard so many messages of every other one.
    pub(super) fn check_all_delivered(&self, count: usize) {
        for node in &self.nodes {
            assert_eq!(node.heard.len(), self.nodes.len() - 1, "node {}", node.id);
            assert!(
                node.heard.values().all(|numbers| numbers.len() == count),
                "node {}: {:?}",
                node.id,
                node.heard
            );
        }
    }

    /// Nobody has missed a number.
    pub(super) fn check_no_gaps(&self) {
        for node in &self.nodes {
            for numbers in node.heard.values() {
                assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "node {} missed some", node.id);
            }
            let emitted =
                self.nodes.iter().filter(|other| other.id != node.id).map(|other| other.emitted).sum::<u64>();
            assert_eq!(node.heard.values().map(Vec::len).sum::<usize>() as u64, emitted);
        }
    }
}
