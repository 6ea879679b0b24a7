//! The logout page: asks before it ends a session that no valid hint names.
//!
//! Spec: OpenID Connect RP-Initiated Logout 1.0 §2

use askama::Template;

use super::page::Page;
use super::parts::{Account, Client, FormTies, Site};
use super::policy::{FormAction, Policy};

/// Asks whether to sign out.
#[derive(Debug, Template)]
#[template(path = "logout.html")]
pub(crate) struct LogoutPage {
    /// The site.
    pub(crate) site: Site,
    /// The ties of the form.
    pub(crate) ties: FormTies,
    /// Where the form may end.
    pub(crate) form_action: FormAction,
    /// Who is signed in.
    pub(crate) account: Account,
    /// Who asks for it, if a client does.
    pub(crate) client: Option<Client>,
}

impl Page for LogoutPage {
    fn policy(&self) -> Policy {
        Policy::new(self.form_action.clone())
    }
}

#[cfg(test)]
impl LogoutPage {
    /// A page as a client's request leads to.
    pub(crate) fn sample() -> Self {
        use super::tests::{account, client, form_action, site, ties};

        Self {
            site: site(),
            ties: ties(),
            form_action: form_action(),
            account: account(),
            client: Some(client()),
        }
    }
}
