//! Spans as people write them in configuration: `90s`, `10m`, `8h`, `14d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u32);

/// Text that is no span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a span: write a whole number and `s`, `m`, `h` or `d`, as in `10m`")]
pub struct InvalidLifetime;

const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Lifetime {
    /// A span of seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// How many seconds it is.
    pub const fn as_seconds(self) -> u32 {
        self.0
    }

    /// The same as the standard library writes it.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl FromStr for Lifetime {
    type Err = InvalidLifetime;

    fn from_str(text: &str) -> Result<Self, InvalidLifetime> {
        let (number, unit) = UNITS
            .iter()
            .find_map(|(letter, unit)| Some((text.strip_suffix(*letter)?, *unit)))
            .ok_or(InvalidLifetime)?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidLifetime);
        }
        let number: u32 = number.parse().map_err(|_| InvalidLifetime)?;
        number.checked_mul(unit).map(Self).ok_or(InvalidLifetime)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: &&(char, u32)| self.0 != 0 && self.0.is_multiple_of(unit.1);
        let (letter, unit) = UNITS.iter().find(fits).unwrap_or(&('s', 1));
        write!(f, "{}{letter}", self.0 / unit)
    }
}

impl fmt::Debug for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_the_same_way() {
        for text in ["0s", "90s", "10m", "8h", "14d"] {
            assert_eq!(text.parse::<Lifetime>().unwrap().to_string(), text);
        }
        for bad in ["", "10", "m", "-1s", "1.5h", "99999999d", "10 m", "+5m"] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad}");
        }
    }
}
