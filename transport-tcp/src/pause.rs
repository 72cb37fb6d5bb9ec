use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// How long it lasts. Short enough for who waits to be let in, long enough to cost nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// A pause after an error of accepting that would come again at once: without descriptors, the connection
/// stays in the queue and the listener stays ready, so that trying again at once would keep a core busy.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pause {
    /// Begins one, unless the error was that of a single connection, which is gone with it.
    pub(crate) fn after(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            self.sleep = Some(Box::pin(sleep(PAUSE)));
        }
    }

    /// Ready when it is over, or when there is none.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use super::*;
    use crate::testing::run;

    /// Too many open files, on Linux, macOS and the BSDs.
    const EMFILE: i32 = 24;

    fn is_pending(pause: &mut Pause) -> bool {
        pause.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[test]
    fn lack_of_descriptors_makes_the_next_accept_wait_a_moment() {
        run(async {
            let mut pause = Pause::default();
            pause.after(&io::Error::from_raw_os_error(EMFILE));
            assert!(is_pending(&mut pause));
            poll_fn(|cx| pause.poll(cx)).await;
            assert!(!is_pending(&mut pause));
        });
    }

    #[test]
    fn an_aborted_connection_makes_nobody_wait() {
        run(async {
            let mut pause = Pause::default();
            pause.after(&io::ErrorKind::ConnectionAborted.into());
            assert!(!is_pending(&mut pause));
        });
    }
}
