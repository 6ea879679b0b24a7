//! The page on which a person agrees to a discharge: that they are there, or
//! that somebody may do something.
//!
//! Whoever holds a macaroon can bring a person here, so the page says who asks,
//! from where, and that nothing has to be done; and it says so only to the very
//! person who is asked, once they have signed in.
//!
//! Spec: Macaroons NDSS 2014 §2.2

use askama::Template;
use http::StatusCode;

use super::consent::ConsentResource;
use super::login::LoginFailure;
use super::page::Page;
use super::parts::{Account, FormTies, Site};
use super::policy::{FormAction, Policy};
use super::text::{display_name, display_text};

/// Asks a person for a discharge.
#[derive(Debug, Template)]
#[template(path = "approve.html")]
pub(crate) struct ApprovePage {
    /// The site.
    pub(crate) site: Site,
    /// The ties of the form.
    pub(crate) ties: FormTies,
    /// The name of the client that asks, as it calls itself.
    pub(crate) client: String,
    /// The network that the question came from.
    pub(crate) place: String,
    /// What is asked for.
    pub(crate) requested: Requested,
    /// What the person can do now.
    pub(crate) step: ApproveStep,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Requested {
    /// That is nothing to whoever is here: they have not shown yet that they
    /// are the one who is asked.
    Hidden,
    /// That the person is there.
    Presence,
    /// That something may be done.
    Approval {
        /// For whom, where not for the client itself.
        subject: String,
        /// What for.
        purpose: String,
        /// What a yes permits; none where that was left to the token.
        permits: Option<Vec<ConsentResource>>,
    },
}

/// What the person can do on the page.
#[derive(Debug, Clone)]
pub(crate) enum ApproveStep {
    /// Sign in, because nobody is, or not lately enough.
    SignIn {
        /// What was typed before.
        username: String,
        /// Why the page is shown again.
        failure: Option<LoginFailure>,
    },
    /// Say yes or no.
    Decide {
        /// Who is signed in.
        account: Account,
    },
    /// Nothing: somebody else is asked.
    Elsewhere {
        /// Who is signed in.
        account: Account,
    },
    /// Nothing more: it was given.
    Given,
    /// Nothing more: it was denied.
    Denied,
}

impl ApprovePage {
    fn shown_client(&self) -> String {
        display_name(&self.client)
    }

    fn shown_place(&self) -> String {
        display_text(&self.place, 64)
    }
}

impl Requested {
    fn shown_subject(&self) -> String {
        match self {
            Self::Approval { subject, .. } => display_text(subject, 254),
            Self::Presence | Self::Hidden => String::new(),
        }
    }

    fn shown_purpose(&self) -> String {
        match self {
            Self::Approval { purpose, .. } => display_text(purpose, 300),
            Self::Presence | Self::Hidden => String::new(),
        }
    }
}

impl ApproveStep {
    fn shown_username(&self) -> String {
        match self {
            Self::SignIn { username, .. } => display_text(username, 254),
            _ => String::new(),
        }
    }
}

impl Page for ApprovePage {
    fn status(&self) -> StatusCode {
        match &self.step {
            ApproveStep::SignIn {
                failure: Some(failure),
                ..
            } => failure.status(),
            ApproveStep::Elsewhere { .. } => StatusCode::FORBIDDEN,
            _ => StatusCode::OK,
        }
    }

    fn policy(&self) -> Policy {
        Policy::new(FormAction::own())
    }
}

#[cfg(test)]
impl ApprovePage {
    /// A page that asks to approve something.
    pub(crate) fn sample() -> Self {
        use super::tests::{account, site, ties};

        Self {
            site: site(),
            ties: ties(),
            client: "Ledger".to_owned(),
            place: "192.0.2.0/24".to_owned(),
            requested: Requested::Approval {
                subject: "ada@example.com".to_owned(),
                purpose: "Pay invoice 7".to_owned(),
                permits: Some(crate::pages::ConsentPage::sample().resources),
            },
            step: ApproveStep::Decide { account: account() },
        }
    }

    /// A page that asks to sign in again.
    pub(crate) fn sample_sign_in() -> Self {
        Self {
            requested: Requested::Hidden,
            step: ApproveStep::SignIn {
                username: String::new(),
                failure: None,
            },
            ..Self::sample()
        }
    }
}
