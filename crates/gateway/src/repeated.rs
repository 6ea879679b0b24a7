//! What was said of safe requests that come again. Whoever asks the same
//! upstream for the same thing by the same token, a moment later, is introduced
//! by the same assertion: a signature costs more than all else that a request
//! is asked.
//!
//! Nobody gains by it. An assertion about a safe request lets its upstream
//! repeat what changes nothing, to itself, while it is good; so would one that
//! was made for each time.
//!
//! Spec: RFC 9110 §9.2.1

use std::time::Duration;

use http::{HeaderValue, Method};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use symbolon_protocol::Timestamp;
use symbolon_verify::Principal;

use crate::assertion::Said;

/// How long an assertion is used again: it is good for 25 s more at the end.
const AGAIN: Duration = Duration::from_secs(5);
/// How many are kept; about a kilobyte each.
const MAX_KEPT: usize = 10_000;

#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// The place of what was found out about the token. An entry holds it, so
    /// nothing else can come to that place.
    facts: usize,
    method: Method,
    upstream: String,
    path_and_query: String,
}

/// The same of a request that is looked at.
#[derive(Hash)]
struct Asked<'a> {
    facts: usize,
    method: &'a Method,
    upstream: &'a str,
    path_and_query: &'a str,
}

impl<'a> Asked<'a> {
    fn of(principal: &Principal, said: &Said<'a>) -> Self {
        Self {
            facts: principal.place(),
            method: said.method,
            upstream: said.upstream,
            path_and_query: said.path_and_query,
        }
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.facts == key.facts
            && *self.method == key.method
            && self.upstream == key.upstream
            && self.path_and_query == key.path_and_query
    }
}

#[derive(Clone)]
struct Entry {
    principal: Principal,
    made: Timestamp,
    assertion: HeaderValue,
}

/// Assertions of the last moments, of one key.
pub(crate) struct Repeated(Cache<Key, Entry>);

impl Repeated {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_KEPT))
    }

    /// What was said of the same request a moment ago.
    pub(crate) fn find(
        &self,
        principal: &Principal,
        said: &Said<'_>,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let entry = self.0.get(&Asked::of(principal, said))?;
        let is_recent = is_recent(entry.made, now);
        (is_recent && entry.principal.is_same(principal)).then_some(entry.assertion)
    }

    /// Keeps what is said of a request that changes nothing.
    pub(crate) fn keep(
        &self,
        (principal, said): (&Principal, &Said<'_>),
        assertion: &HeaderValue,
        made: Timestamp,
    ) {
        if !said.method.is_safe() {
            return;
        }
        let key = Key {
            facts: principal.place(),
            method: said.method.clone(),
            upstream: said.upstream.to_owned(),
            path_and_query: said.path_and_query.to_owned(),
        };
        let entry = Entry {
            principal: principal.clone(),
            made,
            assertion: assertion.clone(),
        };
        self.0.insert(key, entry);
    }
}

/// Whether what was made then may be used now; of a clock that went back nothing
/// is known.
fn is_recent(made: Timestamp, now: Timestamp) -> bool {
    made <= now && now < made + AGAIN
}

impl std::fmt::Debug for Repeated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Repeated")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_is_used_for_five_seconds_and_not_before_it_was_made() {
        let at = Timestamp::from_seconds;
        assert!(is_recent(at(100), at(100)));
        assert!(is_recent(at(100), at(104)));
        assert!(!is_recent(at(100), at(105)));
        assert!(!is_recent(at(100), at(99)));
    }
}
