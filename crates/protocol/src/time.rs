//! Instants and spans as the wire and the store write them.
//!
//! Spec: RFC 7519 §2 (`NumericDate`)
//! Spec: RFC 3339 §5.6

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant: whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first instant that a token may name: the epoch.
    pub const EPOCH: Self = Self(0);
    /// Later than anything this program ever compares with, and still
    /// printable as a date (9999-01-01).
    pub const FAR: Self = Self(253_370_764_800_000);

    /// Makes an instant from milliseconds since the epoch.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Makes an instant from a `NumericDate` in whole seconds, saturating.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: what a `NumericDate` holds.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The span since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(span))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(span))
    }
}

/// RFC 3339 in UTC, to the second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.seconds()) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// Text that is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instant is written as in `2026-12-01T18:00:00Z`")]
pub struct InvalidTimestamp;

/// RFC 3339 with seconds and an offset: neither local time, nor a number, nor
/// any of the shorter forms that readers of dates take.
impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        let (date, rest) = text
            .as_bytes()
            .split_at_checked(19)
            .ok_or(InvalidTimestamp)?;
        let is_date = date.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => *byte == b'T',
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
        let fraction = match rest.split_first() {
            Some((b'.', rest)) => rest.iter().take_while(|own| own.is_ascii_digit()).count(),
            _ => 0,
        };
        let zone = match (rest.first(), fraction) {
            (Some(b'.'), 1..=9) => &rest[fraction + 1..],
            (Some(b'.'), _) => return Err(InvalidTimestamp),
            _ => rest,
        };
        let is_zone = match zone {
            [b'Z'] => true,
            [b'+' | b'-', hour @ .., b':', m1, m2] => {
                hour.len() == 2 && digits(hour) && digits(&[*m1, *m2])
            }
            _ => false,
        };
        if !is_date || !is_zone {
            return Err(InvalidTimestamp);
        }
        let read: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Ok(Self(read.as_millisecond()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339_and_never_overflows() {
        assert_eq!(
            Timestamp::from_seconds(1_767_225_600).to_string(),
            "2026-01-01T00:00:00Z"
        );
        assert_eq!(Timestamp::FAR.to_string(), "9999-01-01T00:00:00Z");
        let _ = Timestamp::from_millis(i64::MAX) + Duration::MAX;
        assert!(
            Timestamp::from_millis(i64::MAX)
                .to_string()
                .contains("after 1970")
        );
    }

    #[test]
    fn reads_rfc_3339_and_nothing_that_only_looks_like_it() {
        for (text, seconds) in [
            ("2026-01-01T00:00:00Z", 1_767_225_600),
            ("2026-01-01T01:30:00+01:30", 1_767_225_600),
            ("2026-01-01T00:00:00.999Z", 1_767_225_600),
        ] {
            let read: Timestamp = text.parse().unwrap();
            assert_eq!(read.seconds(), seconds, "{text}");
        }
        for text in [
            "9999999999999",
            "2025-13-40T00:00:00Z",
            "2025-02-30T00:00:00Z",
            "2025-01-01T00:00:00",
            "2025-01-01T25:00:00Z",
            "2025-01-01 00:00:00Z",
            "2025-01-01t00:00:00z",
            "2025-01-01T00:00Z",
            "2025-01-01",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00,5Z",
            "2025-01-01T00:00:00+0100",
            "2025-01-01T00:00:00Z[UTC]",
            "+2025-01-01T00:00:00Z",
            " 2025-01-01T00:00:00Z",
            "2025-01-01T00:00:00é",
            "",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn since_is_zero_when_the_clock_went_back() {
        let later = Timestamp::from_seconds(10);
        assert_eq!(later.since(Timestamp::from_seconds(20)), Duration::ZERO);
    }
}
