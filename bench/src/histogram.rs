//! Latencies in buckets of about three percent: constant in size, cheap to add to.

use std::time::Duration;

/// Enough for everything below an hour.
const BUCKETS: usize = 40 * 32;

pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = bucket(nanoseconds).min(BUCKETS - 1);
        self.counts[at] += 1;
        self.total += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.total += other.total;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The latency that a share of all stayed within.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return Duration::from_nanos(ceiling(at));
            }
        }
        Duration::ZERO
    }
}

/// Exact below 64, then 32 buckets for each doubling.
fn bucket(value: u64) -> usize {
    if value < 64 {
        return value as usize;
    }
    let shift = 58 - value.leading_zeros();
    shift as usize * 32 + (value >> shift) as usize
}

/// The largest value of a bucket.
fn ceiling(at: usize) -> u64 {
    if at < 64 {
        return at as u64;
    }
    let shift = at / 32 - 1;
    let mantissa = (at - shift * 32) as u64;
    ((mantissa + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_ends_at_most_a_thirtieth_above_it() {
        for value in (0..2000).chain([10_000, 123_456, 9_999_999, 5_000_000_000]) {
            let end = ceiling(bucket(value));

            assert!(end >= value, "{value} is above its bucket's end {end}");
            assert!(end - value <= value / 30, "{value} is far below {end}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::default();
        for milliseconds in 1..=100 {
            histogram.record(Duration::from_millis(milliseconds));
        }

        let (p50, p99) = (histogram.quantile(0.50), histogram.quantile(0.99));

        assert_eq!(histogram.total(), 100);
        assert!((50..=52).contains(&p50.as_millis()), "{p50:?}");
        assert!((99..=103).contains(&p99.as_millis()), "{p99:?}");
    }
}
