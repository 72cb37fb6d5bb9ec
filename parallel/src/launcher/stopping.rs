//! The end of a run: everyone is asked to stop, then made to.

use std::{collections::VecDeque, time::Duration};

use rustix::process::Signal;
use tidings_router_core::Error;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{Event, Launcher};
use crate::{
    failure::Failure,
    member::{Member, State},
};

/// How long the output of children that are gone is waited for when none comes: a process that a child
/// started may hold its end for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// The end of the run.
pub(super) struct Stopping {
    pub(super) why: Option<Error>,
    /// What is done to those who still live, and when.
    ladder: VecDeque<(Instant, Signal)>,
    interrupted: bool,
}

impl Launcher {
    pub(super) fn interrupted(&mut self, signal: i32) {
        let failure = Failure::interrupted(signal);
        let code = failure.code();
        let error = Error::failed("the run", failure);
        self.stop(None);
        let Some(stopping) = &mut self.stopping else { return };
        if stopping.interrupted {
            // Somebody is impatient.
            stopping.ladder = VecDeque::from([(Instant::now(), Signal::KILL)]);
        }
        stopping.interrupted = true;
        // A terminal's signal reaches the children as well, and one of them may have been faster to say so.
        if stopping.why.as_ref().is_none_or(|why| crate::exit_code(why) == code) {
            stopping.why = Some(error);
        }
    }

    /// Begins the end of the run, unless it has begun.
    pub(super) fn stop(&mut self, why: Option<Error>) {
        if self.stopping.is_some() {
            return;
        }
        let (now, deadline) = (Instant::now(), self.plan.deadline);
        let ladder = [(now + deadline - self.plan.step(), Signal::TERM), (now + deadline, Signal::KILL)];
        self.stopping = Some(Stopping { why, ladder: ladder.into(), interrupted: false });
        for member in &mut self.members {
            match member.state {
                State::Waiting => member.state = State::Ended,
                State::Ended => {}
                _ => member.stop(),
            }
        }
    }

    pub(super) fn next_rung(&self) -> Option<Instant> {
        self.stopping.as_ref()?.ladder.front().map(|(at, _)| *at)
    }

    /// Does the next thing to those who still live.
    pub(super) fn climb(&mut self) {
        let Some((_, signal)) = self.stopping.as_mut().and_then(|stopping| stopping.ladder.pop_front())
        else {
            return;
        };
        self.members.iter().filter(|member| member.lives()).for_each(|member| member.signal(signal));
    }

    /// Waits until what the children wrote has been passed on.
    pub(super) async fn drain(&mut self, heard: &mut mpsc::Receiver<Event>) {
        while self.outputs > 0 {
            match timeout(DRAIN, heard.recv()).await {
                Ok(Some(Event::Drained)) => self.outputs -= 1,
                Ok(Some(Event::Signal(_) | Event::Abandoned) | None) => return,
                Ok(Some(_)) => {}
                // Slow readers of ours are waited for.
                Err(_) if self.members.iter().any(Member::is_writing) => {}
                Err(_) => return,
            }
        }
    }
}
