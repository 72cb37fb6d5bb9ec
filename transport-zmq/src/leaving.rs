//! Endpoints that nodes of this process are about to leave.
//!
//! A node's thread says goodbye to everyone before it gives its port back, which may be after the node is gone. Who
//! then listens there again waits for that moment instead of finding the port in use.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// One for each endpoint; gone when it is free.
static LEAVING: Mutex<Option<HashMap<String, watch::Receiver<()>>>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<HashMap<String, watch::Receiver<()>>>> {
    LEAVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An endpoint that is about to be left; dropped when it is.
#[derive(Debug)]
pub(crate) struct Leaving {
    endpoint: String,
    left: watch::Sender<()>,
}

impl Leaving {
    pub(crate) fn from(endpoint: &str) -> Self {
        let (left, leaving) = watch::channel(());
        lock().get_or_insert_default().insert(endpoint.to_owned(), leaving);
        Self { endpoint: endpoint.to_owned(), left }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(leaving) = &mut *lock() {
            // Another node may have been there since, and be about to leave it too.
            if leaving.get(&self.endpoint).is_some_and(|own| own.same_channel(&self.left.subscribe())) {
                leaving.remove(&self.endpoint);
            }
        }
    }
}

/// Waits until `endpoint` is left. False if nobody is about to leave it.
pub(crate) async fn left(endpoint: &str) -> bool {
    let leaving = lock().as_ref().and_then(|leaving| leaving.get(endpoint).cloned());
    match leaving {
        Some(mut leaving) => {
            // Its sender is dropped when the endpoint is free, and never sends.
            let _ = leaving.changed().await;
            true
        }
        None => false,
    }
}
