//! Who may administrate: whoever shows the token of the configuration. It can be
//! replaced while the server runs.
//!
//! Spec: RFC 6750 §2.1

use arc_swap::ArcSwap;
use symbolon_token::{Digest, Secret};

/// The one token that opens the admin API. Only its digest is held.
pub struct Bearer(ArcSwap<Digest>);

impl Bearer {
    /// The bearer of a token.
    pub fn new(token: &Secret) -> Self {
        Self(ArcSwap::from_pointee(Digest::of(token.expose())))
    }

    /// Whether a presented token is the one.
    pub(crate) fn is(&self, presented: &str) -> bool {
        Digest::of(presented.as_bytes()).matches(&self.0.load())
    }

    /// The digest of the one token.
    pub(super) fn digest(&self) -> Digest {
        **self.0.load()
    }

    /// Takes another token in the place of the one so far, which opens nothing
    /// from then on; answers whether it is another one.
    pub(crate) fn become_only(&self, token: &Secret) -> bool {
        let new = Digest::of(token.expose());
        let old = self.0.swap(std::sync::Arc::new(new));
        !old.matches(&new)
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_token_opens_nothing() {
        let bearer = Bearer::new(&Secret::from("the one of before"));
        assert!(bearer.is("the one of before") && !bearer.is("the one of now"));

        assert!(bearer.become_only(&Secret::from("the one of now")));

        assert!(!bearer.is("the one of before") && bearer.is("the one of now"));
        assert!(!bearer.become_only(&Secret::from("the one of now")));
        assert_eq!(format!("{bearer:?}"), "Bearer(..)");
    }
}
