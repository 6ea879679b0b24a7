//! `/sign-out`: ends the session here, takes its tokens back, and says where
//! the person ends it at the issuer too.
//!
//! Spec: RFC 10017 §6.1.2
//! Spec: RFC 7009 §2.1
//! Spec: OpenID Connect RP-Initiated Logout 1.0 §2

use std::time::Duration;

use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;
use symbolon_store::EndBrowserSession;

use super::held::Held;
use super::{Browser, forgery, json as answer, redirect, unavailable, with_cookie};
use crate::body::Body;
use crate::problem::Problem;
use crate::settings::BrowserUse;

/// How often taking a token back is tried, and how long after each other.
const TRIES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

impl Browser {
    /// A script sends `X-CSRF: 1` and is told where to go; a form is sent there.
    pub(super) async fn sign_out(&self, parts: &Parts) -> Result<Response<Body>, Problem> {
        let origin = &self.0.settings.external_url;
        let is_script = match forgery::check(parts, BrowserUse::Api, origin) {
            Ok(()) => true,
            Err(_) => {
                forgery::check_form(parts, origin)?;
                false
            }
        };
        let back_to = format!("{origin}{}", self.0.settings.after_sign_out);
        let mut hint = None;
        if let Some((ticket, _, held)) = self.find(parts).await? {
            let end = EndBrowserSession { id: ticket.id };
            self.store().act(end).await.map_err(unavailable)?;
            self.0.recent.forget(&ticket.id);
            self.take_back(&held);
            hint = held.id_token();
            tracing::info!(session = %ticket.id, "signed out");
        }
        let onward = self.0.provider.end_session_address(hint.as_ref(), &back_to);
        let onward = onward.await.map_or(back_to, String::from);
        let response = match is_script {
            true => answer(&json!({ "go_to": onward })),
            false => redirect(StatusCode::SEE_OTHER, &onward)?,
        };
        Ok(with_cookie(response, self.0.names.clear_session()))
    }

    /// Takes the refresh token of a session back, and all that came of it, while
    /// nobody waits; an issuer that is away is asked again.
    pub(super) fn take_back(&self, held: &Held) {
        let Some(token) = held.refresh_token() else {
            return;
        };
        let provider = self.0.provider.clone();
        tokio::spawn(async move {
            for pause in TRIES {
                tokio::time::sleep(pause).await;
                match provider.revoke(&token).await {
                    Ok(()) => return,
                    Err(why) => tracing::warn!(cause = %why, "a token was not taken back"),
                }
            }
            tracing::error!("a token of a session that ended lives until its own end");
        });
    }
}
