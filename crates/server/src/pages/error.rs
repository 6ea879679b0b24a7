//! The error page: a refusal that must not be sent to a client.
//!
//! Spec: OAuth 2.1 §4.1.2.1

use askama::Template;
use http::StatusCode;

use super::page::Page;
use super::parts::Site;
use super::policy::{FormAction, Policy};
use super::text::display_text;

/// Says what went wrong, and how to speak of it to somebody who can help.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    /// The site.
    pub(crate) site: Site,
    /// The status of the response.
    pub(crate) status: StatusCode,
    /// The error code.
    pub(crate) code: String,
    /// What happened, in a sentence.
    pub(crate) description: String,
    /// The id under which the log knows this request.
    pub(crate) request_id: String,
}

impl ErrorPage {
    fn is_ours(&self) -> bool {
        self.status.is_server_error()
    }

    fn shown_code(&self) -> String {
        display_text(&self.code, 80)
    }

    /// The description as a sentence; on the wire it begins small and has no end.
    fn shown_description(&self) -> String {
        let text = display_text(&self.description, 500);
        let mut letters = text.chars();
        let first = letters.next().map(char::to_uppercase);
        let end = if text.ends_with(['.', '!', '?', '…']) {
            ""
        } else {
            "."
        };
        first
            .into_iter()
            .flatten()
            .chain(letters)
            .chain(end.chars())
            .collect()
    }

    /// Whether the description ends with the advice that the page gives.
    fn says_what_to_do(&self) -> bool {
        self.description.contains("start again")
    }

    fn shown_request_id(&self) -> String {
        display_text(&self.request_id, 80)
    }
}

impl Page for ErrorPage {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn policy(&self) -> Policy {
        Policy::new(FormAction::none())
    }
}

#[cfg(test)]
impl ErrorPage {
    /// A refusal that must not redirect.
    pub(crate) fn sample() -> Self {
        Self {
            site: super::tests::site(),
            status: StatusCode::BAD_REQUEST,
            code: "invalid_request".to_owned(),
            description: "redirect_uri is not registered for this client".to_owned(),
            request_id: "01JD8QZK4T9V7M2C".to_owned(),
        }
    }
}
