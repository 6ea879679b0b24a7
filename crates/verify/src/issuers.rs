//! Several issuers for one API: each has a verifier of its own, and a token is
//! judged by the one whose issuer it names.
//!
//! What a token says of its issuer only chooses. Keys, audiences, feed and
//! everything else that decides are the chosen verifier's, which refuses a
//! token of any other issuer.
//!
//! Spec: RFC 8725 §3.8
//! Spec: RFC 9728 §2

use std::iter::once;

use symbolon_token::jose::Unverified;
use symbolon_token::macaroon::{inspect, is_macaroon};

use crate::misconfigured::Misconfigured;
use crate::verifier::Verifier;

/// How many issuers there may be at one API.
const MAX_ISSUERS: usize = 8;

impl Verifier {
    /// Takes the tokens of another issuer too, as `other` would: with its own
    /// algorithms, keys and audiences.
    ///
    /// JWTs and macaroons name their issuer. An opaque token names none, so the
    /// first issuer alone is asked about it: telling it to the others would
    /// hand them a token that is none of theirs. A subject is unique at its
    /// issuer alone: who keeps people by it keeps
    /// [`issuer`](crate::Principal::issuer) beside it.
    ///
    /// ```
    /// # fn main() -> Result<(), symbolon_verify::Misconfigured> {
    /// use symbolon_verify::{Algorithm, Verifier};
    /// let audience = "https://api.example.com";
    /// let partner = Verifier::new("https://partner.example.net", audience, [Algorithm::Rs256])?;
    /// let verifier = Verifier::new("https://as.example.com", audience, [Algorithm::Es256])?
    ///     .also_trust(partner)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn also_trust(self, other: Self) -> Result<Self, Misconfigured> {
        let others = &other.inner.config.others;
        let added: Vec<Self> = once(&other).chain(others).cloned().collect();
        let known = self.issuers().count();
        if known + added.len() > MAX_ISSUERS {
            return Err(Misconfigured::Issuers("at most eight"));
        }
        let is_known = |own: &Self| self.issuers().any(|known| known.issuer() == own.issuer());
        if added.iter().any(is_known) {
            return Err(Misconfigured::Issuers("each is named once"));
        }
        Ok(self.but(|config| config.others.extend(added)))
    }

    /// This verifier, and those of the other issuers.
    pub(crate) fn issuers(&self) -> impl Iterator<Item = &Self> {
        once(self).chain(&self.inner.config.others)
    }

    pub(crate) fn issuer(&self) -> &str {
        self.inner.config.issuer.as_str()
    }

    /// The verifier that judges a token: this one where it names no other.
    pub(crate) fn of(&self, token: &str) -> &Self {
        if self.inner.config.others.is_empty() {
            return self;
        }
        let others = self.inner.config.others.iter();
        let mut named = others.filter(|own| own.is_named_by(token));
        named.next().unwrap_or(self)
    }

    fn is_named_by(&self, token: &str) -> bool {
        if is_macaroon(token) {
            let location = inspect(token).ok().and_then(|own| own.location);
            return location.is_some_and(|own| own == self.issuer());
        }
        let Ok(opened) = self.opened(token) else {
            return false;
        };
        let claimed = Unverified::parse(&opened).ok();
        let claimed = claimed.and_then(|own| own.claimed_issuer());
        claimed.is_some_and(|own| own == self.issuer())
    }
}
