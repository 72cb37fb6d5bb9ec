//! What reaches the launcher from outside: strangers on the control socket, and signals.

use std::{sync::Arc, time::Duration};

use tidings_router_core::runtime;
use tokio::{
    net::UnixListener,
    sync::{Semaphore, broadcast, mpsc},
    time::timeout,
};

use super::Event;
use crate::{
    back_off::pause,
    control::{self, FromNode},
};

/// How long a stranger on the control socket may take for its first word.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How many strangers may be on the control socket beyond the nodes of the run.
const STRANGERS: usize = 16;

/// Lets strangers say their first word.
pub(super) async fn accept(listener: UnixListener, nodes: usize, events: mpsc::Sender<Event>) {
    let places = Arc::new(Semaphore::new(nodes + STRANGERS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let mut stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, as a rule: these come back with time.
                tracing::warn!(%error, "the control socket");
                pause(Duration::from_millis(50)).await;
                continue;
            }
        };
        let events = events.clone();
        runtime::io().spawn(async move {
            let _place = place;
            if let Ok(Ok(FromNode::Hello { token })) = timeout(HANDSHAKE, control::receive(&mut stream)).await
            {
                let _ = events.send(Event::Arrived { token, stream }).await;
            }
        });
    }
}

pub(super) async fn hear_signals(mut signals: broadcast::Receiver<i32>, events: mpsc::Sender<Event>) {
    loop {
        match signals.recv().await {
            Ok(signal) if events.send(Event::Signal(signal)).await.is_ok() => {}
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Ok(_) | Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
