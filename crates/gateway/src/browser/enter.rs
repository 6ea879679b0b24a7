//! A request with a session on its way to a route: the cookie's place is taken
//! by an access token for that route's API, which is then judged like any other.
//!
//! Spec: RFC 10017 §6.1
//! Spec: RFC 6750 §2.1

use std::time::Duration;

use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use symbolon_store::TouchBrowserSession;

use super::renew::NotRenewed;
use super::{
    Browser, MISCONFIGURED, NO_SESSION, Open, UNAVAILABLE, forgery, redirect, with_cookie,
};
use crate::body::Body;
use crate::problem::Problem;
use crate::settings::BrowserUse;

/// How long a use of a session need not be written down again.
const MINUTE: Duration = Duration::from_secs(60);

impl Browser {
    /// Puts the access token in, and says of which session, where it did. A
    /// request that brings a token of its own is left alone: the two never mix.
    pub(crate) async fn enter(
        &self,
        parts: &mut Parts,
        usage: BrowserUse,
        resource: &str,
    ) -> Result<Option<Open>, Refused> {
        if parts.headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let origin = &self.0.settings.external_url;
        let is_page = usage == BrowserUse::Pages && forgery::is_opened(parts);
        if !self.0.names.are_shown(&parts.headers) && !is_page {
            // Nobody of a browser's: whoever guards the route says what it needs.
            return Ok(None);
        }
        forgery::check(parts, usage, origin).map_err(Refused::Problem)?;
        let signed_out = || match is_page {
            true => Refused::SignIn(self.sign_in_address(&here(parts))),
            false => Refused::NoSession,
        };
        let found = self.find_recent(parts).await.map_err(Refused::Problem)?;
        let Some((ticket, row, held)) = found else {
            return Err(signed_out());
        };
        let now = self.0.edge.clock.now();
        let token = match held.access(resource, now) {
            Some((token, is_near_its_end)) => {
                if is_near_its_end {
                    // Whoever comes after it has expired finds the next one.
                    drop(self.renew(&ticket, resource));
                }
                token.to_owned()
            }
            None => match self.renew(&ticket, resource).await {
                Ok(token) => token,
                Err(NotRenewed::Gone) => return Err(signed_out()),
                Err(NotRenewed::Unknown) => return Err(Refused::Problem(UNAVAILABLE)),
                Err(NotRenewed::Misconfigured) => return Err(Refused::Problem(MISCONFIGURED)),
            },
        };
        if row.seen + MINUTE <= now {
            let touch = TouchBrowserSession {
                id: row.id,
                now,
                idle_ends: now + self.0.settings.session_idle,
            };
            if let Err(fault) = self.store().act(touch).await {
                // It ends a minute earlier than it might.
                tracing::warn!(cause = %fault, "a use of a session was not written down");
            }
            self.0.recent.forget(&row.id);
        }
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| Refused::Problem(MISCONFIGURED))?;
        value.set_sensitive(true);
        parts.headers.insert(AUTHORIZATION, value);
        Ok(Some(Open::new(row.id)))
    }

    /// The answer to a refusal.
    pub(crate) fn refuse(&self, refused: &Refused, request_id: &str) -> Response<Body> {
        match refused {
            Refused::Problem(problem) => {
                let mut response = problem.answer(request_id);
                if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                    let soon = HeaderValue::from_static("2");
                    response.headers_mut().insert(RETRY_AFTER, soon);
                }
                response
            }
            // What is left of it in the browser helps nobody.
            Refused::NoSession => {
                with_cookie(NO_SESSION.answer(request_id), self.0.names.clear_session())
            }
            Refused::SignIn(address) => redirect(StatusCode::FOUND, address)
                .unwrap_or_else(|problem| problem.answer(request_id)),
        }
    }
}

/// Why a session does not let a request in.
pub(crate) enum Refused {
    /// It is said so.
    Problem(Problem),
    /// Nobody is signed in.
    NoSession,
    /// Nobody is signed in, and a person waits: they are sent there.
    SignIn(String),
}

impl Refused {
    /// What the log calls it.
    pub(crate) const fn problem(&self) -> Problem {
        match self {
            Self::Problem(problem) => *problem,
            Self::NoSession | Self::SignIn(_) => NO_SESSION,
        }
    }
}

fn here(parts: &Parts) -> String {
    let own = parts.uri.path_and_query();
    own.map_or("/", http::uri::PathAndQuery::as_str).to_owned()
}
