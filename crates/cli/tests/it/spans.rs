//! How long many requests took: a busy machine makes one of many wait, and not
//! most of them.

use std::time::Duration;

/// The time below which so many of a hundred lie.
pub(crate) fn percentile(spans: &[Duration], percent: usize) -> Duration {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    spans[spans.len() * percent / 100]
}
