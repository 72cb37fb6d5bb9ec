use std::time::Duration;

/// The longest delay before the first retry; it doubles with each, up to [`CAP`].
const BASE: Duration = Duration::from_millis(20);

/// The longest delay between two tries.
const CAP: Duration = Duration::from_secs(2);

/// How long to wait before try number `attempt` (from 0): a random time up to a bound that doubles ("full jitter", Marc
/// Brooker, AWS Architecture Blog, 2015), so that nodes that lost the same peer do not all come back at once.
pub(crate) fn delay(attempt: u32, random: &mut fastrand::Rng) -> Duration {
    let bound = BASE.saturating_mul(1 << attempt.min(16)).min(CAP);
    bound.mul_f64(random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_up_to_its_cap_and_is_spread() {
        let mut random = fastrand::Rng::with_seed(7);
        for attempt in [0, 1, 5, 30, u32::MAX] {
            let delays: Vec<_> = (0..100).map(|_| delay(attempt, &mut random)).collect();
            let bound = BASE.saturating_mul(1 << attempt.min(16)).min(CAP);
            assert!(delays.iter().all(|delay| *delay <= bound));
            assert!(delays.iter().max() > delays.iter().min());
        }
    }
}
