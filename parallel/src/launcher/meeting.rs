//! How the nodes of a run come together: each says where it listens, is told whom to dial, and begins when all are there.

use tidings_router_core::Error;
use tokio::net::UnixStream;

use super::Launcher;
use crate::{
    control::{FromNode, ToNode, Welcome},
    failure::Failure,
    host::{Hosted, Progress},
    member::State,
};

impl Launcher {
    pub(super) fn arrived(&mut self, token: &str, stream: UnixStream) {
        let Some(index) = self.members.iter().position(|member| member.awaits(token)) else { return };
        let member = &mut self.members[index];
        member.connect(index, stream, self.events.clone());
        member.tell(ToNode::Welcome(Welcome {
            cluster: self.seal.cluster.clone(),
            secret: self.seal.secret,
            recoveries: member.recoveries,
            again: self.begun,
            hosted: self
                .plan
                .host
                .as_ref()
                .and_then(|host| Hosted::of(&self.plan, host, index))
                .map(Box::new),
        }));
        if self.stopping.is_some() {
            member.stop();
        }
    }

    pub(super) fn said(&mut self, index: usize, message: FromNode) {
        let member = &mut self.members[index];
        match message {
            FromNode::Opened { addresses } if member.state == State::Started => {
                let moved = member.addresses != addresses;
                member.addresses = addresses;
                member.state = State::Opened;
                match self.begun {
                    true => self.attach_again(index, moved),
                    false if self.all_are(State::Opened) => {
                        let addresses = self.members.iter().map(|member| member.addresses.clone());
                        self.progress(Progress::Listening(addresses.collect()));
                        (0..self.members.len()).for_each(|index| self.attach(index, self.plan.dials(index)));
                    }
                    false => {}
                }
            }
            FromNode::Ready if member.state == State::Opened => {
                member.state = State::Ready;
                if !self.begun && self.all_are(State::Ready) {
                    self.begun = true;
                    self.progress(Progress::Begun);
                }
                if self.begun {
                    self.release();
                }
            }
            FromNode::Recovering { left } => member.recovering(left),
            FromNode::Failed { message, code } => {
                let failure = Failure::new(message, code);
                member.failed(failure.clone());
                self.stop(Some(Error::failed(self.plan.name(index), failure)));
            }
            FromNode::Hello { .. } | FromNode::Opened { .. } | FromNode::Ready => {}
        }
    }

    /// Tells who hosts this run how far it is.
    fn progress(&self, progress: Progress) {
        if let Some(told) = self.plan.host.as_ref().and_then(|host| host.progress.as_ref()) {
            told(progress);
        }
    }

    fn all_are(&self, state: State) -> bool {
        self.members.iter().all(|member| member.state == state)
    }

    /// Lets the mains of those begin that are ready.
    fn release(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.state == State::Ready) {
            member.state = State::Running;
            member.tell(ToNode::Go);
        }
    }

    /// Tells a node whom to dial, and whom to wait for.
    fn attach(&self, index: usize, dials: Vec<usize>) {
        let is_there = |other: &usize| (State::Opened..=State::Running).contains(&self.members[*other].state);
        let dialled = dials.into_iter().filter(is_there);
        let addresses = dialled.flat_map(|other| self.members[other].addresses.first().cloned()).collect();
        let seen = self.plan.sees(index).into_iter().filter(is_there);
        let expect = seen.map(|other| self.plan.node_id(other).0).collect();
        self.members[index].tell(ToNode::Attach { addresses, expect });
    }

    /// Brings a node that was started again together with those that live.
    fn attach_again(&self, index: usize, moved: bool) {
        let dials = self.plan.dials_again(index);
        if moved {
            // Those that it does not dial itself know only where it was.
            let others = (0..self.members.len()).filter(|other| *other != index && !dials.contains(other));
            let others = others.filter(|other| self.plan.dials_again(*other).contains(&index));
            for other in others.filter(|other| self.members[*other].state == State::Running) {
                let addresses = self.members[index].addresses.first().cloned().into_iter().collect();
                self.members[other].tell(ToNode::Attach { addresses, expect: Vec::new() });
            }
        }
        self.attach(index, dials);
    }
}
