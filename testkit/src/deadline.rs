use std::{future::IntoFuture, time::Duration};

use serde::de::DeserializeOwned;
use tidings_router_core::{Event, Subscription};

/// How long one step of a test may take: far more than it needs, less than the watchdog of the whole test, so
/// that a test that hangs says where.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How far apart two looks of [`eventually`] and [`found`] are.
const LOOK: Duration = Duration::from_millis(2);

/// The output of `future`.
///
/// # Panics
///
/// When it is not there within [`DEADLINE`]; `what` completes the sentence "no .. within 20s".
pub async fn deadline<F: IntoFuture>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("no {what} within {DEADLINE:?}"),
    }
}

/// Looks until `reached` says yes. For what no event tells of, such as counters.
///
/// # Panics
///
/// When it has not within [`DEADLINE`].
pub async fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    deadline(what, look_until(|| reached().then_some(()))).await;
}

/// The same for what takes more than a word to say: `look` returns it, or what it has seen instead.
///
/// # Panics
///
/// When it is not there within [`DEADLINE`], with what was seen last.
pub async fn found<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let mut seen = String::new();
    let looked = look_until(|| look().map_err(|instead| seen = instead).ok());
    let found = tokio::time::timeout(DEADLINE, looked).await;
    found.unwrap_or_else(|_| panic!("no {what} within {DEADLINE:?}, but {seen}"))
}

async fn look_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut pause = tokio::time::interval(LOOK);
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        if let Some(found) = look() {
            return found;
        }
        pause.tick().await;
    }
}

/// The next event of a subscription.
///
/// # Panics
///
/// When there is none within [`DEADLINE`], or the subscription has ended.
pub async fn next<T: DeserializeOwned + 'static>(subscription: &mut Subscription<T>) -> Event<T> {
    let what = format!("event of {subscription:?}");
    deadline(&what, subscription.next()).await.unwrap_or_else(|| panic!("{subscription:?} has ended"))
}
