//! Why an operation of the admin API got nothing.
//!
//! Unlike the endpoints of OAuth, whose reasons are fixed texts, refusals here
//! name the member of the document that is wrong.

use axum::response::Response;
use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use symbolon_store::Fault;

use crate::cx::Cx;
use crate::failure::{Broken, Failure};
use crate::respond::{self, Written};

/// How long a description may be, in characters.
const MAX_DESCRIPTION: usize = 500;

/// What every operation ends with.
pub(super) type Outcome = Result<Response, Failed>;

/// Why an operation got nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// The caller's fault.
    Refused(Refused),
    /// Ours.
    Broken(Broken),
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    description: String,
    /// What the address takes instead, where that is the reason.
    allow: Option<&'static str>,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        let description: String = description.into();
        let description = description.chars().take(MAX_DESCRIPTION).collect();
        Self {
            status,
            code,
            description,
            allow: None,
        }
    }

    /// The request makes no sense.
    pub(super) fn invalid(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// One member of the document is wrong.
    pub(super) fn member(name: &str, why: impl std::fmt::Display) -> Self {
        Self::invalid(format!("`{name}`: {why}"))
    }

    /// There is no such thing.
    pub(super) fn not_found(description: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", description)
    }

    /// It exists already, or has changed meanwhile.
    pub(super) fn conflict(description: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", description)
    }

    /// Others changed it again and again while this change was merged into it.
    pub(super) fn crowded() -> Self {
        Self::conflict("others change this at the same time; nothing was written, try again")
    }

    /// The body did not arrive in time.
    pub(super) fn late() -> Self {
        let description = "the body took too long";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", description)
    }

    /// The body is of a type that is not taken.
    pub(super) fn unsupported(description: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            description,
        )
    }

    /// The body is too large.
    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is too large",
        )
    }

    /// The address takes other methods.
    pub(super) fn method_not_allowed() -> Self {
        let description = "this address does not take that method";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            description,
        )
    }

    /// The address takes one method alone.
    pub(super) fn takes_only(method: &'static str) -> Self {
        Self {
            allow: Some(method),
            ..Self::method_not_allowed()
        }
    }

    /// The request was meant for another host.
    pub(super) fn misdirected() -> Self {
        let description =
            "this listener does not answer for that host; `hosts` in `[admin]` lists names for it";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", description)
    }

    /// Nothing was shown.
    pub(super) fn no_token() -> Self {
        let description = "send the administration token as `Authorization: Bearer …`";
        Self::new(StatusCode::UNAUTHORIZED, "missing_token", description)
    }

    /// Something else was shown.
    pub(super) fn wrong_token() -> Self {
        let description = "this is not the administration token";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", description)
    }

    /// The status of the answer.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What the caller is told.
    pub(super) fn description(&self) -> &str {
        &self.description
    }

    fn response(self, cx: &Cx) -> Response {
        // The description may quote what was sent, so it is not logged.
        tracing::info!(request = %cx.request, code = self.code, "refused");
        let body = serde_json::json!({
            "error": self.code,
            "error_description": self.description,
            "request_id": cx.request.to_string(),
        });
        let mut response = respond::json(self.status, &body);
        if let Some(allow) = self.allow {
            let allow = HeaderValue::from_static(allow);
            response.headers_mut().insert(ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.code {
                "invalid_token" => "Bearer realm=\"administration\", error=\"invalid_token\"",
                _ => "Bearer realm=\"administration\"",
            };
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl Failed {
    /// The answer.
    pub(super) fn response(self, cx: &Cx) -> Response {
        match self {
            Self::Refused(refused) => refused.response(cx),
            Self::Broken(broken) => respond::failure(cx, Failure::Broken(broken), Written::Json),
        }
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Broken(Broken::Store(fault))
    }
}

impl From<Broken> for Failed {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => {
                let status = refusal.status.unwrap_or(refusal.code.status());
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                Self::Refused(Refused::new(status, refusal.code.as_str(), refusal.reason))
            }
            Failure::Broken(broken) => Self::Broken(broken),
        }
    }
}
