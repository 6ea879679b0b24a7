//! Who goes on long after being told to wait: then it is said so, under a
//! problem type of its own, for those who look for keys that ran away.
//!
//! Spec: draft-ietf-httpapi-ratelimit-headers-11 §6.3

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::charge::Violated;
use super::count::Now;
use super::subject::Subject;

/// How many refusals in a minute are one too many.
const MANY: u32 = 100;
/// In which span they count, in microseconds.
const SPAN: u64 = 60_000_000;
/// How many callers are watched at once; of more, nothing is said.
const MAX_WATCHED: usize = 10_000;

/// Refusals of the current minute.
#[derive(Default)]
pub(crate) struct Refused(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    began: u64,
    counts: HashMap<Subject, u32>,
}

impl Refused {
    /// Notes a refusal, and says whether its caller has had too many of them.
    pub(crate) fn is_abnormal(&self, violated: &[Violated], now: Now) -> bool {
        let Some(first) = violated.first() else {
            return false;
        };
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.steady.saturating_sub(own.began) > SPAN {
            own.began = now.steady;
            own.counts.clear();
        }
        let subject = first.charge.subject;
        if own.counts.len() >= MAX_WATCHED && !own.counts.contains_key(&subject) {
            return false;
        }
        let count = own.counts.entry(subject).or_insert(0);
        *count = count.saturating_add(1);
        *count > MANY
    }
}
