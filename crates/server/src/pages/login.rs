//! The sign-in page: user name or e-mail address, and password.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3

use std::time::Duration;

use askama::Template;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::page::Page;
use super::parts::{Client, FormTies, Site};
use super::policy::{FormAction, Policy};
use super::text::{display_text, duration_words};

/// Asks who is there.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    /// The site.
    pub(crate) site: Site,
    /// The ties of the form.
    pub(crate) ties: FormTies,
    /// Where the form may end.
    pub(crate) form_action: FormAction,
    /// Who sent the person here, if a client did.
    pub(crate) client: Option<Client>,
    /// What to fill in: `login_hint`, or what was typed before.
    pub(crate) username: String,
    /// Why the page is shown again.
    pub(crate) failure: Option<LoginFailure>,
    /// Names the request, for whoever asks an operator about a failure.
    pub(crate) request_id: String,
}

/// Why a sign-in did not happen. None of these tells whether an account exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginFailure {
    /// Name and password do not belong together.
    Mismatch,
    /// There were too many attempts, whoever made them.
    Throttled {
        /// How long to wait.
        wait: Duration,
    },
    /// So many sign in just now that nobody looked at the password.
    Busy,
    /// The password was set, or everything of the person taken back, while they
    /// signed in: it was right, and may not be any more.
    Overtaken,
}

impl LoginFailure {
    /// The one message for this failure.
    pub(crate) fn message(self) -> String {
        match self {
            Self::Mismatch => "That name and password do not match.".to_owned(),
            Self::Throttled { wait } => format!(
                "Too many attempts. Wait {}, then try again.",
                duration_words(wait.max(Duration::from_secs(1))),
            ),
            Self::Busy => "Many people are signing in just now. Try again in a moment.".to_owned(),
            Self::Overtaken => {
                "This account was signed out everywhere while you were signing in. Sign in again."
                    .to_owned()
            }
        }
    }
}

impl LoginFailure {
    /// The status of a page that shows it. Password managers offer to keep what
    /// was sent unless the answer is an error.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Mismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Overtaken => StatusCode::CONFLICT,
        }
    }

    /// How long to wait before trying again, in seconds.
    pub(crate) fn retry_after(self) -> Option<u64> {
        match self {
            Self::Mismatch | Self::Overtaken => None,
            Self::Throttled { wait } => Some(wait.as_secs().max(1)),
            Self::Busy => Some(1),
        }
    }
}

impl LoginPage {
    fn shown_username(&self) -> String {
        display_text(&self.username, 254)
    }

    fn is_mismatch(&self) -> bool {
        self.failure == Some(LoginFailure::Mismatch)
    }
}

impl Page for LoginPage {
    fn status(&self) -> StatusCode {
        self.failure.map_or(StatusCode::OK, LoginFailure::status)
    }

    fn policy(&self) -> Policy {
        Policy::new(self.form_action.clone())
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.failure.and_then(LoginFailure::retry_after) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

#[cfg(test)]
impl LoginPage {
    /// A page as a client's request leads to.
    pub(crate) fn sample() -> Self {
        use super::tests::{client, form_action, site, ties};

        Self {
            site: site(),
            ties: ties(),
            form_action: form_action(),
            client: Some(client()),
            username: String::new(),
            failure: None,
            request_id: "req_0123456789abcdef".to_owned(),
        }
    }
}
