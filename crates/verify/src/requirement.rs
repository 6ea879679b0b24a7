//! What a route demands of a token.

use std::time::Duration;

use symbolon_protocol::{ResourceIdentifier, Scope, Scopes};

use crate::authentication::SignIn;

/// How fresh the answer to "was it taken back?" must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Revocation {
    /// Known within a second; where nobody can know, the request fails.
    #[default]
    Now,
    /// A token may serve until it ends, unless its revocation happens to be
    /// known already.
    AtExpiry,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Needed {
    All(Vec<String>),
    Any(Vec<String>),
}

/// How old knowledge of what was taken back may be, for one kind of token at
/// one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Staleness {
    /// At most so old, from whichever source: else the request fails.
    AtMost(Duration),
    /// Whatever it is: the decision says how old.
    Any,
}

/// What a route demands: scopes, how fresh revocation must be, how a person has
/// to have signed in, and the audience where it is not the verifier's own.
///
/// A name that no scope can have is never satisfied.
///
/// ```
/// use symbolon_verify::{Requirement, Revocation};
///
/// let read = Requirement::all(["read:invoices"]);
/// let browse = Requirement::any(["read:invoices", "read:all"]).revocation(Revocation::AtExpiry);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    needed: Needed,
    revocation: Option<Revocation>,
    max_staleness: Option<Duration>,
    audience: Option<String>,
    sign_in: SignIn,
}

impl Requirement {
    /// Every one of these scopes; none at all where the list is empty.
    pub fn all<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self::new(Needed::All(scopes.into_iter().map(Into::into).collect()))
    }

    /// At least one of these scopes. An empty list is never satisfied.
    pub fn any<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self::new(Needed::Any(scopes.into_iter().map(Into::into).collect()))
    }

    /// A good token, whatever its scopes.
    pub fn token() -> Self {
        Self::new(Needed::All(Vec::new()))
    }

    fn new(needed: Needed) -> Self {
        Self {
            needed,
            revocation: None,
            max_staleness: None,
            audience: None,
            sign_in: SignIn::default(),
        }
    }

    /// How fresh the answer to "was it taken back?" must be.
    #[must_use]
    pub fn revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = Some(revocation);
        self
    }

    /// How old the knowledge of the revocation feed may be where a verifier
    /// [subscribes](crate::Verifier::subscribe); past it the issuer is asked,
    /// and where that does not answer, the request fails (503, never 401).
    ///
    /// Without it that holds for macaroons that are checked here, at ten
    /// seconds, and JWTs are let through on what is known, with its age in the
    /// [`Decision`](crate::Decision). Opaque tokens, and macaroons whose key
    /// only the issuer has, are asked about in any case. `Revocation::Now`
    /// means ten seconds too; with `Revocation::AtExpiry` no age is too old.
    ///
    /// ```
    /// use std::time::Duration;
    /// use symbolon_verify::Requirement;
    ///
    /// let pay = Requirement::all(["write:payments"]).max_staleness(Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn max_staleness(mut self, span: Duration) -> Self {
        self.max_staleness = Some(span);
        self
    }

    /// The audience of this route, instead of the verifier's own.
    #[must_use]
    pub fn audience(mut self, audience: &ResourceIdentifier) -> Self {
        self.audience = Some(audience.as_str().to_owned());
        self
    }

    /// How a person has to have signed in: one of these classes (`acr`). A
    /// token of another sign-in, or of nobody's, is answered with 401 and
    /// `insufficient_user_authentication`, which tells the client how to have
    /// the person sign in again (RFC 9470 §3).
    ///
    /// ```
    /// use std::time::Duration;
    /// use symbolon_verify::Requirement;
    ///
    /// let pay = Requirement::all(["write:payments"])
    ///     .acr_values(["phr", "phrh"])
    ///     .max_age(Duration::from_secs(300));
    /// ```
    #[must_use]
    pub fn acr_values<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.sign_in.acr_values = Some(values.into_iter().map(Into::into).collect());
        self
    }

    /// How long ago the person may have signed in (`auth_time`), in whole
    /// seconds and give or take the clock skew.
    #[must_use]
    pub fn max_age(mut self, span: Duration) -> Self {
        self.sign_in.max_age = Some(Duration::from_secs(span.as_secs()));
        self
    }

    /// Without a subscription: whether somebody has to say so now.
    pub(crate) fn freshness(&self) -> Revocation {
        self.revocation.unwrap_or_default()
    }

    /// With a subscription: how old its knowledge may be; `usual` where the
    /// route says nothing of it.
    pub(crate) fn staleness(&self, usual: Staleness) -> Staleness {
        match (self.revocation, self.max_staleness) {
            (_, Some(span)) => Staleness::AtMost(span),
            (Some(Revocation::AtExpiry), None) => Staleness::Any,
            (Some(Revocation::Now), None) => Staleness::AtMost(MAX_STALENESS),
            (None, None) => usual,
        }
    }

    pub(crate) fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }

    pub(crate) fn own_audience(&self) -> Option<&String> {
        self.audience.as_ref()
    }

    /// The scopes to ask for; what could not stand in a header is left out.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let (Needed::All(names) | Needed::Any(names)) = &self.needed;
        names
            .iter()
            .map(String::as_str)
            .filter(|name| name.parse::<Scope>().is_ok())
    }

    pub(crate) fn is_met_by(&self, scopes: &Scopes) -> bool {
        match &self.needed {
            Needed::All(names) => names.iter().all(|name| scopes.contains(name)),
            Needed::Any(names) => names.iter().any(|name| scopes.contains(name)),
        }
    }
}

/// How old knowledge may be where a route says no more than that it matters.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(10);

impl<const N: usize> From<[&str; N]> for Requirement {
    fn from(scopes: [&str; N]) -> Self {
        Self::all(scopes)
    }
}

impl From<&[&str]> for Requirement {
    fn from(scopes: &[&str]) -> Self {
        Self::all(scopes.iter().copied())
    }
}

impl From<Vec<String>> for Requirement {
    fn from(scopes: Vec<String>) -> Self {
        Self::all(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_means_all_any_means_any_and_an_empty_any_means_never() {
        let has: Scopes = "a b".parse().unwrap();
        assert!(Requirement::all(["a", "b"]).is_met_by(&has));
        assert!(!Requirement::all(["a", "c"]).is_met_by(&has));
        assert!(Requirement::any(["c", "b"]).is_met_by(&has));
        assert!(!Requirement::any(["c"]).is_met_by(&has));
        assert!(!Requirement::any::<String>([]).is_met_by(&has));
        assert!(Requirement::token().is_met_by(&Scopes::empty()));
    }

    #[test]
    fn a_name_that_no_scope_can_have_is_never_met_nor_shown() {
        let odd = Requirement::all(["a\", error=\"x"]);
        assert!(!odd.is_met_by(&"a".parse().unwrap()));
        assert_eq!(odd.scopes().count(), 0);
    }
}
