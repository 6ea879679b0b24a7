//! What is counted. No label holds anything that a stranger can choose.

use std::sync::LazyLock;

use metrics::Counter;
use symbolon_protocol::{ErrorCode, GrantType, Timestamp};
use symbolon_store::{KeyState, OutboxCounted};

use crate::keys::LoadedKeys;

/// A request got nothing.
pub(crate) fn refused(code: ErrorCode) {
    metrics::counter!("symbolon_refusals_total", "code" => code.as_str()).increment(1);
}

/// One counter for each grant, looked up once.
static ISSUED: LazyLock<Vec<(GrantType, Counter)>> = LazyLock::new(|| {
    let counter = |grant: &GrantType| {
        let counter = metrics::counter!("symbolon_issued_total", "grant" => grant.as_str());
        (*grant, counter)
    };
    GrantType::ALL.iter().map(counter).collect()
});

/// A token was issued.
pub(crate) fn issued(grant: GrantType) {
    let own = ISSUED.iter().find(|(own, _)| *own == grant);
    if let Some((_, counter)) = own {
        counter.increment(1);
    }
}

/// A refresh family ended because a spent token came back.
pub(crate) fn theft() {
    metrics::counter!("symbolon_refresh_theft_total").increment(1);
}

/// The database's head of the feed fell below what was read of it.
pub(crate) fn head_fell() {
    metrics::counter!("symbolon_feed_head_fell_total").increment(1);
}

/// A key of a purpose changed.
pub(crate) fn key_changed(purpose: &'static str) {
    metrics::counter!("symbolon_key_changes_total", "purpose" => purpose).increment(1);
}

/// How old the key is that makes what is new, for each purpose.
pub(crate) fn keys(loaded: &LoadedKeys, now: Timestamp) {
    for key in &loaded.stored {
        if key.state == KeyState::Active {
            let since = key.activated.unwrap_or(key.created);
            metrics::gauge!("symbolon_key_active_age_seconds", "purpose" => key.purpose.clone())
                .set(now.since(since).as_secs_f64());
        }
    }
    let published = loaded.own.len();
    metrics::gauge!("symbolon_keys_published").set(published as f64);
}

/// A message of the outbox was sent, or could not be.
pub(crate) fn delivered(kind: &'static str, outcome: &'static str) {
    metrics::counter!("symbolon_outbox_deliveries_total", "kind" => kind, "outcome" => outcome)
        .increment(1);
}

/// An event of a source was taken, or was not.
pub(crate) fn signal(outcome: &'static str) {
    metrics::counter!("symbolon_signals_total", "outcome" => outcome).increment(1);
}

/// A source was asked for events, or could not be.
pub(crate) fn polled(outcome: &'static str) {
    metrics::counter!("symbolon_signal_polls_total", "outcome" => outcome).increment(1);
}

/// What waits in the outbox, and since when.
pub(crate) fn outbox(counted: &OutboxCounted, now: Timestamp) {
    let since = |oldest| now.since(oldest).as_secs_f64();
    let age = counted.oldest.map_or(0.0, since);
    metrics::gauge!("symbolon_outbox_waiting").set(counted.waiting as f64);
    metrics::gauge!("symbolon_outbox_dead").set(counted.dead as f64);
    metrics::gauge!("symbolon_outbox_dropped").set(counted.dropped as f64);
    metrics::gauge!("symbolon_outbox_oldest_age_seconds").set(age);
}

/// Where the revocation feed stands on this node.
pub(crate) fn feed(sequence: i64, records: usize, age: std::time::Duration) {
    metrics::gauge!("symbolon_feed_sequence").set(sequence as f64);
    metrics::gauge!("symbolon_feed_records").set(records as f64);
    metrics::gauge!("symbolon_feed_age_seconds").set(age.as_secs_f64());
}

/// How far this node's clock is ahead of the database's.
pub(crate) fn apart(ahead_ms: i64) {
    metrics::gauge!("symbolon_clock_ahead_seconds").set(ahead_ms as f64 / 1000.0);
}

/// Whether the disk is full, so that only what takes back is written.
pub(crate) fn full(is_full: bool) {
    metrics::gauge!("symbolon_store_full").set(f64::from(u8::from(is_full)));
}

/// How long the audit chain is.
pub(crate) fn audit(link: i64) {
    metrics::gauge!("symbolon_audit_links").set(link as f64);
}

/// The audit chain is not the one that was there before.
pub(crate) fn audit_broken() {
    metrics::counter!("symbolon_audit_broken_total").increment(1);
}

/// Somebody whose word about callers' addresses does not count has given it.
pub(crate) fn forwarded_ignored() {
    metrics::counter!("symbolon_forwarded_ignored_total").increment(1);
}

/// How many streams of the revocation feed are open on this node.
pub(crate) fn readers(open: usize) {
    metrics::gauge!("symbolon_feed_readers").set(open as f64);
}
