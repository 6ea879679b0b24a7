//! How long to wait after a failure: twice as long each time, up to five
//! minutes, and never quite the same for two.

use std::time::Duration;

use symbolon_token::{Entropy, random};

/// The first wait at most.
const FIRST: Duration = Duration::from_secs(2);
/// The longest wait.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How often in a row a receiver may refuse one message before it is dead.
pub(super) const MAX_REFUSALS: u32 = 8;

/// After how many messages in a row that failed, each about another subject, the
/// receiver is taken for one that cannot be reached.
pub(super) const MAX_FAILED: u32 = 3;

/// How long to wait after so many failures before this one: half of the time at
/// least, so that no receiver is flooded, and all of it at most.
pub(super) fn after(failures: u32, entropy: &dyn Entropy) -> Duration {
    let whole = FIRST
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(LONGEST);
    let share = f64::from(u16::from_be_bytes(random(entropy))) / f64::from(u16::MAX);
    whole.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::SeededEntropy;

    use super::*;

    #[test]
    fn waits_grow_to_five_minutes_and_differ() {
        let entropy = SeededEntropy::new(1);
        for failures in [0, 1, 5, 8, 20, u32::MAX] {
            let whole = FIRST
                .saturating_mul(2_u32.saturating_pow(failures.min(16)))
                .min(LONGEST);

            let waits: Vec<Duration> = (0..50).map(|_| after(failures, &entropy)).collect();

            assert!(waits.iter().all(|wait| (whole / 2..=whole).contains(wait)));
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
        assert!(after(u32::MAX, &entropy) <= LONGEST);
    }
}
