//! What can be unusual about a request.

use std::fmt;
use std::str::FromStr;

/// Something unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The subject comes from a network that it did not come from before.
    NewNetwork,
    /// It is farther from where it was than anybody travels in that time.
    ImpossibleTravel,
    /// It says that it is a program that it was not before.
    NewUserAgent,
    /// The token is bound to nothing: whoever has it may use it.
    MissingBinding,
    /// It, or its address, was refused often within the last minutes.
    Failures,
    /// The issuer's feed holds a record about what the token stands for: a
    /// password that was changed, a session or membership that was ended. The
    /// token itself is newer than the record, or it would be refused.
    SecurityEvent,
}

impl Signal {
    /// Every one, in the order of the configuration.
    pub const ALL: [Self; 6] = [
        Self::NewNetwork,
        Self::ImpossibleTravel,
        Self::NewUserAgent,
        Self::MissingBinding,
        Self::Failures,
        Self::SecurityEvent,
    ];

    /// The word in the configuration, in policies and in the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NewNetwork => "new_network",
            Self::ImpossibleTravel => "impossible_travel",
            Self::NewUserAgent => "new_user_agent",
            Self::MissingBinding => "missing_binding",
            Self::Failures => "failures",
            Self::SecurityEvent => "security_event",
        }
    }

    /// What it weighs unless told otherwise.
    pub const fn usual_weight(self) -> u8 {
        match self {
            Self::NewNetwork => 20,
            Self::ImpossibleTravel => 40,
            Self::NewUserAgent => 10,
            Self::MissingBinding => 10,
            Self::Failures => 20,
            Self::SecurityEvent => 30,
        }
    }

    const fn at(self) -> usize {
        match self {
            Self::NewNetwork => 0,
            Self::ImpossibleTravel => 1,
            Self::NewUserAgent => 2,
            Self::MissingBinding => 3,
            Self::Failures => 4,
            Self::SecurityEvent => 5,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that is no signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a signal is `new_network`, `impossible_travel`, `new_user_agent`, `missing_binding`, `failures` or `security_event`"
)]
pub struct NotASignal;

impl FromStr for Signal {
    type Err = NotASignal;

    fn from_str(text: &str) -> Result<Self, NotASignal> {
        let found = Self::ALL.into_iter().find(|own| own.word() == text);
        found.ok_or(NotASignal)
    }
}

/// What each signal adds to the score; what adds nothing is switched off, and
/// is not looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights([u8; Signal::ALL.len()]);

impl Default for Weights {
    fn default() -> Self {
        Self(Signal::ALL.map(Signal::usual_weight))
    }
}

impl Weights {
    /// Weighs a signal, 0 to 100; with 0 it is switched off.
    pub fn set(&mut self, signal: Signal, weight: u8) {
        self.0[signal.at()] = weight.min(100);
    }

    /// What a signal weighs.
    pub const fn of(&self, signal: Signal) -> u8 {
        self.0[signal.at()]
    }

    /// Whether a signal is looked for.
    pub(crate) const fn is_on(&self, signal: Signal) -> bool {
        self.of(signal) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_a_word_and_a_place_of_its_own() {
        for (at, signal) in Signal::ALL.into_iter().enumerate() {
            assert_eq!(signal.at(), at);
            assert_eq!(signal.word().parse(), Ok(signal));
            assert!(signal.usual_weight() <= 100);
        }
        assert_eq!("New_Network".parse::<Signal>(), Err(NotASignal));
    }
}
