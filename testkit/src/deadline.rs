use std::{future::IntoFuture, time::Duration};

use serde::de::DeserializeOwned;
use tidings_router_core::{Event, Subscription};

/// How long one step of a test may take: far more than it needs, less than the watchdog of the whole test, so
/// that a test that hangs says where.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How far apart two looks of [`eventually`] are.
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
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    deadline(what, async {
        while !reached() {
            look.tick().await;
        }
    })
    .await;
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
