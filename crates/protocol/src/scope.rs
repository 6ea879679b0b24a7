//! One scope, and a set of them.
//!
//! Spec: RFC 6749 §3.3

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many scopes one request, token or client may name.
pub const MAX_SCOPES: usize = 100;
/// How long one scope may be, in bytes.
pub const MAX_SCOPE_BYTES: usize = 256;
/// How long a whole scope parameter may be, in bytes.
pub const MAX_SCOPE_PARAMETER_BYTES: usize = 8 * 1024;

/// One scope token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

/// Text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// A byte that the grammar does not allow, or nothing at all.
    #[error("scope holds a byte at {at} that is not allowed, or is empty")]
    Byte {
        /// Where the byte stands.
        at: usize,
    },
    /// Longer than [`MAX_SCOPE_BYTES`], or a list past its limits.
    #[error("too many or too long scopes")]
    TooLong,
}

impl Scope {
    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if text.len() > MAX_SCOPE_BYTES {
            return Err(InvalidScope::TooLong);
        }
        match text.bytes().position(|b| !allowed(b)) {
            None if !text.is_empty() => Ok(Self(text.into())),
            bad => Err(InvalidScope::Byte {
                at: bad.unwrap_or(0),
            }),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A set of scopes; its text form is sorted and space-separated.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// No scopes.
    pub const fn empty() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| own.as_str() == scope)
    }

    /// Whether every scope of this set is in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// What both sets hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// What this set holds and `other` does not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// What either set holds. Used on what was granted before and is granted
    /// again, never on a token.
    #[must_use]
    pub fn united_with(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes for which `keep` says yes.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(
            self.0
                .iter()
                .filter(|scope| keep(scope.as_str()))
                .cloned()
                .collect(),
        )
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        if text.len() > MAX_SCOPE_PARAMETER_BYTES {
            return Err(InvalidScope::TooLong);
        }
        let words = || text.split(' ').filter(|word| !word.is_empty());
        if words().take(MAX_SCOPES + 1).count() > MAX_SCOPES {
            return Err(InvalidScope::TooLong);
        }
        words()
            .map(str::parse)
            .collect::<Result<BTreeSet<_>, _>>()
            .map(Self)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for scope in &self.0 {
            if !first {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
            first = false;
        }
        Ok(())
    }
}

/// A list of strings, as configuration and administration write it.
impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scopes = BTreeSet::deserialize(deserializer)?;
        if scopes.len() > MAX_SCOPES {
            return Err(serde::de::Error::custom(InvalidScope::TooLong));
        }
        Ok(Self(scopes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_grammar_of_the_rfc_is_a_scope() {
        for good in ["read:orders", "!", "https://api.example.com/read", "a~"] {
            assert!(good.parse::<Scope>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "\"", "\\", "é", "a\0"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }

    /// Attack: A035
    #[test]
    fn a_scope_bomb_is_refused_before_it_is_kept() {
        assert_eq!(
            "a ".repeat(100_000).parse::<Scopes>(),
            Err(InvalidScope::TooLong)
        );
        let words: Vec<_> = (0..101).map(|n| n.to_string()).collect();
        assert_eq!(
            words.join(" ").parse::<Scopes>(),
            Err(InvalidScope::TooLong)
        );
        assert_eq!(words[..100].join(" ").parse::<Scopes>().unwrap().len(), 100);
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let one: Scopes = "b a  b".parse().unwrap();
        assert_eq!(one.to_string(), "a b");
        assert_eq!(one, "a b".parse().unwrap());
    }
}
