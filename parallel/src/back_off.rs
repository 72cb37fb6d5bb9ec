use std::time::Duration;

use tidings_router_core::runtime;

/// The pause before the first retry, before jitter.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// How long to wait before a retry: 100 ms, doubled each time up to 10 s, of which a random half to the whole
/// is taken, so that nodes that failed together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    retries: u32,
}

impl BackOff {
    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.retries.min(16)).min(LONGEST);
        self.retries = self.retries.saturating_add(1);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// Waits so long, inside or outside of a runtime.
pub(crate) async fn pause(time: Duration) {
    let timer = {
        let _guard = runtime::io().enter();
        tokio::time::sleep(time)
    };
    timer.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault R14 of the reference: it retries without end and without a pause.
    #[test]
    fn retries_back_off_with_jitter_up_to_a_bound() {
        let mut back_off = BackOff::default();
        let mut whole = FIRST;
        for _ in 0..40 {
            let pause = back_off.next();
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        assert_eq!(whole, LONGEST);
    }
}
