//! The signed-out page: the session is over.
//!
//! Spec: OpenID Connect RP-Initiated Logout 1.0 §3

use askama::Template;

use super::page::Page;
use super::parts::{Link, Site};
use super::policy::{FormAction, Policy};

/// Says that the session is over.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub(crate) struct SignedOutPage {
    /// The site.
    pub(crate) site: Site,
    /// Where to go on, if a client asked and its address was checked.
    pub(crate) next: Option<Link>,
}

impl Page for SignedOutPage {
    fn policy(&self) -> Policy {
        Policy::new(FormAction::none())
    }
}

#[cfg(test)]
impl SignedOutPage {
    /// A page with a way back.
    pub(crate) fn sample() -> Self {
        Self {
            site: super::tests::site(),
            next: Link::new(
                "Ledger",
                &super::tests::url("https://ledger.example.net/bye"),
            ),
        }
    }
}
