//! One scope, and a set of them.
//!
//! Spec: RFC 6749 §3.3

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

/// A set of scopes; its text form is sorted and space-separated. Clones share
/// one list, and so does what a set is narrowed to where it loses nothing.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Scopes(
    /// In order, each once; nothing where there are none.
    Option<Arc<[Scope]>>,
);

impl Scopes {
    /// No scopes.
    pub const fn empty() -> Self {
        Self(None)
    }

    fn list(&self) -> &[Scope] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Of scopes that are in order, each once.
    fn of_sorted(scopes: Vec<Scope>) -> Self {
        Self((!scopes.is_empty()).then(|| scopes.into()))
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.list().iter().any(|own| own.as_str() == scope)
    }

    fn has(&self, scope: &Scope) -> bool {
        self.list().binary_search(scope).is_ok()
    }

    /// Whether every scope of this set is in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        // Both are in order, so one walk through the other is enough.
        let mut others = other.list().iter();
        self.list()
            .iter()
            .all(|own| others.by_ref().any(|other| other == own))
    }

    /// What both sets hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.kept(|own| other.has(own))
    }

    /// What this set holds and `other` does not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.kept(|own| !other.has(own))
    }

    /// What either set holds. Used on what was granted before and is granted
    /// again, never on a token.
    #[must_use]
    pub fn united_with(&self, other: &Self) -> Self {
        if other.is_within(self) {
            return self.clone();
        }
        self.iter().chain(other.iter()).cloned().collect()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.list().iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// The scopes for which `keep` says yes.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        self.kept(|own| keep(own.as_str()))
    }

    fn kept(&self, keep: impl Fn(&Scope) -> bool) -> Self {
        if self.list().iter().all(&keep) {
            return self.clone();
        }
        Self::of_sorted(self.iter().filter(|own| keep(own)).cloned().collect())
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut all: Vec<Scope> = scopes.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Self::of_sorted(all)
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
        words().map(str::parse).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for scope in self.iter() {
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
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scopes: Self = Vec::<Scope>::deserialize(deserializer)?
            .into_iter()
            .collect();
        if scopes.len() > MAX_SCOPES {
            return Err(serde::de::Error::custom(InvalidScope::TooLong));
        }
        Ok(scopes)
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
        assert_eq!(one.without(&one), Scopes::empty());
        assert_eq!("  ".parse::<Scopes>().unwrap(), Scopes::default());
    }

    #[test]
    fn sets_are_cut_and_joined_as_sets() {
        let of = |text: &str| text.parse::<Scopes>().unwrap();
        let (left, right) = (of("a b c"), of("b c d"));
        assert_eq!(left.intersection(&right), of("b c"));
        assert_eq!(left.without(&right), of("a"));
        assert_eq!(left.united_with(&right), of("a b c d"));
        assert_eq!(left.united_with(&of("b")), left);
        assert_eq!(left.filtered(|scope| scope != "b"), of("a c"));
        assert!(of("a c").is_within(&left) && !right.is_within(&left));
        assert!(Scopes::empty().is_within(&left));
    }
}
