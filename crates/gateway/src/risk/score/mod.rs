//! The score, and what follows from it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use symbolon_token::Digest;

use super::memory::{Key, MAX_FAILURES, Memory, key};
use super::places::{Places, bits, mask};
use super::revoker::RevokeAt;
use super::signal::{Signal, Weights};
use crate::policy::{Mode, SignIn};

/// The highest score.
const MAX_SCORE: u8 = 100;
/// How many leading bits of an address stand for a network.
const NETWORK_BITS: (u8, u8) = (24, 48);
/// How many leading bits of an address stand for whoever is refused.
const ADDRESS_BITS: (u8, u8) = (32, 64);
/// Below this distance, in kilometres, a table of places proves nothing.
const MIN_TRAVEL_KM: f64 = 100.0;

/// What the operator says of risk.
#[derive(Debug, Default)]
pub struct RiskSettings {
    /// Whether thresholds act, or are logged alone.
    pub mode: Mode,
    /// What each signal adds.
    pub weights: Weights,
    /// From which scores on something follows.
    pub thresholds: Thresholds,
    /// Between what is usual and what is not.
    pub limits: Limits,
    /// Where addresses are; without it nobody is seen to travel.
    pub places: Option<Arc<Places>>,
    /// Where tokens are taken back.
    pub revoke_at: Option<RevokeAt>,
}

/// From which scores on something follows; nothing where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// The person has to sign in again, as `sign_in` says.
    pub step_up: Option<u8>,
    /// How; what a step-up is met by.
    pub sign_in: SignIn,
    /// The request is refused.
    pub refuse: Option<u8>,
    /// It is refused, and the token is taken back.
    pub revoke: Option<u8>,
}

/// Between what is usual and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// After which time something new is usual.
    pub familiar_after: Duration,
    /// How many refusals are unusual.
    pub failures: usize,
    /// Within which time.
    pub failures_within: Duration,
    /// How fast anybody travels, in kilometres an hour.
    pub max_speed_kmh: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            familiar_after: Duration::from_secs(60 * 60),
            failures: 5,
            failures_within: Duration::from_secs(5 * 60),
            max_speed_kmh: 1_000,
        }
    }
}

impl Limits {
    /// How many refusals can be told from each other.
    pub const MAX_FAILURES: usize = MAX_FAILURES;
}

/// What a request shows.
pub(crate) struct Sight<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) user_agent: &'a str,
    pub(crate) is_bound: bool,
    /// Whether the feed holds a record about what the token stands for.
    pub(crate) is_on_record: bool,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// A score, and what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assessed {
    pub(crate) score: u8,
    /// In the order of [`Signal::ALL`].
    pub(crate) signals: Vec<Signal>,
}

/// What follows from a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    StepUp,
    Refuse,
    Revoke,
}

impl Assessed {
    /// Adds up what signals weigh.
    pub(crate) fn of(signals: Vec<Signal>, weights: &Weights) -> Self {
        let sum = signals.iter().map(|own| u32::from(weights.of(*own))).sum();
        let sum: u32 = sum;
        let score = u8::try_from(sum).unwrap_or(MAX_SCORE).min(MAX_SCORE);
        Self { score, signals }
    }

    pub(crate) fn words(&self) -> Vec<String> {
        let words = self.signals.iter().map(|own| own.word().to_owned());
        words.collect()
    }

    /// What follows, the gravest first.
    pub(crate) fn due(&self, thresholds: &Thresholds) -> Due {
        let reaches = |at: Option<u8>| at.is_some_and(|at| self.score >= at);
        match () {
            () if reaches(thresholds.revoke) => Due::Revoke,
            () if reaches(thresholds.refuse) => Due::Refuse,
            () if reaches(thresholds.step_up) => Due::StepUp,
            () => Due::Nothing,
        }
    }
}

impl fmt::Display for Assessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(","))
    }
}

/// Looks for what is unusual. Nothing is learned of it: who is refused does not
/// become usual by trying again.
pub(crate) fn assess(settings: &RiskSettings, memory: &Memory, sight: &Sight<'_>) -> Assessed {
    let limits = &settings.limits;
    let (now, since) = (sight.now, sight.now - seconds(limits.failures_within));
    let span = seconds(limits.familiar_after);
    let of_address = memory.failures_of(&address_key(sight.address), since);
    let looked_at = memory.of_subject(&sight.key(), |seen| {
        let is_far = sight.travels(settings, seen.place)
            || seen
                .travelled
                .is_some_and(|at| now < at.saturating_add(span));
        let failed = of_address.max(seen.failures.count(since));
        [
            (
                Signal::NewNetwork,
                seen.networks.is_new(network(sight.address), now, span),
            ),
            (Signal::ImpossibleTravel, is_far),
            (
                Signal::NewUserAgent,
                seen.agents.is_new(agent(sight.user_agent), now, span),
            ),
            (Signal::MissingBinding, !sight.is_bound),
            (Signal::Failures, failed >= limits.failures.max(1)),
            (Signal::SecurityEvent, sight.is_on_record),
        ]
    });
    let found = looked_at.into_iter();
    let found = found.filter(|(signal, is_there)| *is_there && settings.weights.is_on(*signal));
    Assessed::of(found.map(|(signal, _)| signal).collect(), &settings.weights)
}

impl Sight<'_> {
    fn key(&self) -> Key {
        key(&[self.issuer.as_bytes(), self.subject.as_bytes()])
    }

    /// Whether it is farther from where it was than anybody gets in that time.
    fn travels(
        &self,
        settings: &RiskSettings,
        before: Option<(super::places::Point, i64)>,
    ) -> bool {
        let place = settings.places.as_ref();
        let (Some(to), Some((from, at))) = (place.and_then(|own| own.find(self.address)), before)
        else {
            return false;
        };
        let far = from.distance_km(to);
        // A clock that was set back makes nobody travel slowly.
        let elapsed = u32::try_from((self.now - at).max(0)).unwrap_or(u32::MAX);
        let within_reach = f64::from(elapsed) / 3_600.0 * f64::from(settings.limits.max_speed_kmh);
        far > MIN_TRAVEL_KM && far > within_reach
    }

    /// Learns what a request that was let through shows.
    pub(crate) fn learn(&self, settings: &RiskSettings, memory: &Memory) {
        let place = settings.places.as_ref();
        let place = place.and_then(|own| own.find(self.address));
        memory.of_subject(&self.key(), |seen| {
            if self.travels(settings, seen.place) {
                seen.travelled = Some(self.now);
            }
            if let Some(place) = place {
                seen.place = Some((place, self.now));
            }
            seen.networks.learn(network(self.address), self.now);
            seen.agents.learn(agent(self.user_agent), self.now);
        });
    }

    /// Notes that policy or risk refused the subject.
    pub(crate) fn refused(&self, memory: &Memory) {
        memory.of_subject(&self.key(), |seen| seen.failures.note(self.now));
    }
}

/// Names the address of whoever is refused.
pub(crate) fn address_key(address: IpAddr) -> Key {
    let (bits, is_v4) = bits(address);
    let length = if is_v4 {
        ADDRESS_BITS.0
    } else {
        ADDRESS_BITS.1
    };
    let bits = bits & mask(length, is_v4);
    key(&[&[u8::from(is_v4)], &bits.to_be_bytes()])
}

/// The network of an address: its first 24 bits of 32, or 48 of 128.
fn network(address: IpAddr) -> u128 {
    let (bits, is_v4) = bits(address);
    let length = if is_v4 {
        NETWORK_BITS.0
    } else {
        NETWORK_BITS.1
    };
    // No network of IPv6 is all bits of one of IPv4: those are embedded.
    bits & mask(length, is_v4)
}

fn agent(text: &str) -> u128 {
    let digest = Digest::of(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    u128::from_be_bytes(bytes)
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests;
