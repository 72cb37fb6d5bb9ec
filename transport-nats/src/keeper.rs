use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidings_router_core::{BoxError, Result, Tap, error_chain};
use tokio::{select, sync::oneshot, time::sleep};

use crate::{
    dialer::{Dialer, Ending},
    session::Session,
};

/// The first pause before the next try to connect, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Why the last try failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    last: Arc<Mutex<Option<BoxError>>>,
}

impl Failure {
    fn set(&self, error: BoxError) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn take(&self) -> Option<BoxError> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Keeps one node connected, until it is gone.
///
/// Each connection is a client of its own, and nothing is carried over from one to the next: what was published around
/// the break is lost for all we know, and the links' own numbers say what was not.
pub(crate) struct Keeper {
    pub(crate) dialer: Dialer,
    pub(crate) tap: Arc<Tap>,
    pub(crate) failure: Failure,
    /// Who waits for the first connection.
    pub(crate) opened: Option<oneshot::Sender<Result<()>>>,
}

impl Keeper {
    pub(crate) async fn run(mut self) {
        let _serving = self.tap.serve();
        let mut pause = PAUSES.0;
        loop {
            let (ending, was_up) = self.connection().await;
            // Also what was never up may have taken in links.
            self.tap.down();
            if was_up {
                pause = PAUSES.0;
            }
            match ending {
                Ending::Closed => return,
                Ending::Broken(error) => {
                    tracing::debug!(error = &*error, "no connection to the NATS server");
                    self.failure.set(error);
                }
                Ending::Refused(error) => {
                    if let Some(opened) = self.opened.take() {
                        // An error: nobody waits any more, the node was given up.
                        let _ = opened.send(Err(error));
                        return;
                    }
                    tracing::warn!(error = error_chain(&error), "refused by the NATS server, trying again");
                    pause = PAUSES.1;
                }
            }
            select! {
                () = self.tap.closed() => return,
                () = sleep(jittered(pause)) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// One connection, and whether it ever was up.
    async fn connection(&mut self) -> (Ending, bool) {
        let dialed = select! {
            dialed = self.dialer.dial() => dialed,
            () = self.tap.closed() => Err(Ending::Closed),
        };
        let (client, ended) = match dialed {
            Ok(connected) => connected,
            Err(ending) => return (ending, false),
        };
        let mut was_up = false;
        let up = || {
            was_up = true;
            if let Some(opened) = self.opened.take() {
                // An error: nobody waits any more, the node was given up, and its tap is closed.
                let _ = opened.send(Ok(()));
            }
        };
        let ending = Session::new(&self.dialer, &self.tap, client, ended).run(up).await;
        (ending, was_up)
    }
}

/// Somewhere between half of it and all, so that not all nodes come back at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}
