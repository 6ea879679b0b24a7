//! A macaroon in the hand of whoever may use it: read, narrowed, and presented
//! with the agreement of those it names. Nothing here asks anyone.
//!
//! Spec: Macaroons NDSS 2014 §2.1, §2.2

use std::fmt;

use symbolon_token::Secret;
use symbolon_token::macaroon::{
    Caveat, Contents, Flaw, ShownCaveat, attenuate, inspect, present, require,
};

use crate::agreement::Agreement;

/// A macaroon that is held.
///
/// Nothing of it is proved: only who checks it knows whether it is good, and
/// what it permits before its caveats. Whoever has its text can use it, so
/// `Debug` shows its caveats alone.
pub struct Macaroon {
    text: Secret,
    contents: Contents,
}

/// Somebody who has to agree to each use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThirdParty {
    /// Where they are asked: the address of their discharge endpoint.
    pub location: String,
    /// What they know the caveat by, in base64url without padding.
    pub id: String,
}

impl Macaroon {
    /// Reads a macaroon: v2 in base64url, v1 and JSON are understood, too.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let contents = inspect(text)?;
        let text = Secret::from(text);
        Ok(Self { text, contents })
    }

    /// Adds caveats. What comes out permits what this one does, as far as the
    /// caveats leave it.
    ///
    /// Refused once discharges are bound to it: they would be worth nothing.
    pub fn narrow(&self, caveats: &[Caveat]) -> Result<Self, Flaw> {
        Self::parse(&attenuate(self.expose(), caveats)?)
    }

    /// Adds that somebody else has to agree to each use.
    pub fn require(&self, agreement: &Agreement) -> Result<Self, Flaw> {
        let Agreement { location, id, key } = agreement;
        Self::parse(&require(self.expose(), location, key, id)?)
    }

    /// Binds the agreement of others to it: what is sent to whoever checks.
    pub fn present(&self, discharges: &[Self]) -> Result<Self, Flaw> {
        let discharges: Vec<_> = discharges.iter().map(Self::expose).collect();
        Self::parse(&present(self.expose(), &discharges)?)
    }

    /// Who has to agree before it can be used; empty once discharges are bound.
    pub fn third_parties(&self) -> Vec<ThirdParty> {
        if !self.contents.discharges.is_empty() {
            return Vec::new();
        }
        let each = self.contents.caveats.iter().filter_map(|own| match own {
            ShownCaveat::ThirdParty { location, id } => Some(ThirdParty {
                location: location.clone(),
                id: id.clone(),
            }),
            ShownCaveat::FirstParty { .. } => None,
        });
        each.collect()
    }

    /// What it says.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The text, to be sent as a bearer token.
    pub fn expose(&self) -> &str {
        self.text.expose_str()
    }
}

impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Macaroon")
            .field("text", &self.text)
            .field("caveats", &self.contents.caveats)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str =
        "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";

    fn caveat(text: &str) -> Caveat {
        text.parse().unwrap()
    }

    fn agreement() -> Agreement {
        Agreement {
            location: "https://as.example.com/discharge".to_owned(),
            id: b"id".to_vec(),
            key: Secret::from("key"),
        }
    }

    #[test]
    fn a_narrower_one_says_what_was_added_and_the_wider_one_is_as_it_was() {
        let held = Macaroon::parse(ROOT).unwrap();

        let narrower = held.narrow(&[caveat("scope = read:orders")]).unwrap();

        assert_eq!(held.expose(), ROOT);
        let text = ShownCaveat::FirstParty {
            text: "scope = read:orders".to_owned(),
            flaw: None,
        };
        assert_eq!(narrower.contents().caveats, [text]);
    }

    #[test]
    fn who_has_to_agree_is_named_until_they_did() {
        let held = Macaroon::parse(ROOT).unwrap();

        let asking = held.require(&agreement()).unwrap();

        assert!(held.third_parties().is_empty());
        let [third] = &asking.third_parties()[..] else {
            panic!("one has to agree");
        };
        assert_eq!(third.location, "https://as.example.com/discharge");
        assert_eq!(third.id, "aWQ");
        let agreed = asking.present(&[Macaroon::parse(ROOT).unwrap()]).unwrap();
        assert!(agreed.third_parties().is_empty());
        let late = agreed.narrow(&[caveat("method = GET")]);
        assert_eq!(late.unwrap_err(), Flaw::Bound);
    }

    #[test]
    fn its_text_is_not_shown() {
        let held = Macaroon::parse(ROOT).unwrap();

        let shown = format!("{held:?}");

        assert!(shown.contains("Secret(..)"), "{shown}");
        assert!(!shown.contains(ROOT), "{shown}");
    }

    #[test]
    fn what_is_no_macaroon_is_refused() {
        for text in ["", "AgE", "eyJhbGciOiJub25lIn0.e30.", "sym_at_x"] {
            assert!(Macaroon::parse(text).is_err(), "{text}");
        }
    }
}
