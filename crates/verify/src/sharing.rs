//! Several APIs of one issuer in one process: what is fetched is fetched once for
//! all of them, and kept once.
//!
//! Spec: RFC 7517 §5

use std::sync::Arc;

use crate::config::{Config, Following};
use crate::introspection::Credentials;
use crate::misconfigured::Misconfigured;
use crate::revocations::Revocations;
use crate::verifier::{Inner, Verifier};

impl Verifier {
    /// Fetches neither metadata nor keys by itself from now on, and remembers
    /// answers with `other`, a verifier of the same issuer for another API.
    /// However many APIs there are, names of keys that strangers make up cost
    /// the issuer one fetch. Algorithms, audiences and whatever else decides
    /// stay those of each; so does the revocation feed, since whose records a
    /// stream brings is asked API by API.
    ///
    /// Say it last: a verifier that is changed afterwards fetches anew. Both ask
    /// as the same client and agree on `stale_if_error`; time and authorities
    /// are those of `other`.
    ///
    /// ```
    /// # fn main() -> Result<(), symbolon_verify::Misconfigured> {
    /// use symbolon_verify::{Algorithm, Verifier};
    /// let issuer = "https://as.example.com";
    /// let of = |api| Verifier::new(issuer, api, [Algorithm::Es256])?.introspect_as("apis", "a secret");
    /// let orders = of("https://orders.example.com")?;
    /// let stock = of("https://stock.example.com")?.share_with(&orders)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn share_with(self, other: &Self) -> Result<Self, Misconfigured> {
        let (own, theirs) = (&self.inner.config, &other.inner.config);
        if own.issuer.as_str() != theirs.issuer.as_str() {
            return Err(Misconfigured::Sharing("the issuer is another"));
        }
        if own.stale_if_error != theirs.stale_if_error {
            return Err(Misconfigured::Sharing("`stale_if_error` is another"));
        }
        if !is_same(own.credentials.as_deref(), theirs.credentials.as_deref()) {
            return Err(Misconfigured::Sharing("they ask as other clients"));
        }
        let mut config: Config = own.clone();
        config.http = theirs.http.clone();
        config.clock = Arc::clone(&theirs.clock);
        if config.following == Following::Feed {
            // Each subscription fills a set of its own.
            config.revocations = Revocations::default();
        }
        // INVARIANT: no verifier goes by a stream that was asked for on behalf of
        // another API. Its reader may not be sent what is about this one, and would
        // take the absence of records for news.
        let sources = other.inner.sources.for_another(&config);
        Ok(Self {
            inner: Arc::new(Inner::of(config, sources)),
        })
    }
}

fn is_same(own: Option<&Credentials>, other: Option<&Credentials>) -> bool {
    match (own, other) {
        (None, None) => true,
        (Some(own), Some(other)) => own.id == other.id && own.secret.matches(other.secret.expose()),
        _ => false,
    }
}
