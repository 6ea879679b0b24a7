//! `/back-channel-logout`: the issuer says that a session of its own has ended,
//! or all of a person's; ours end with it. Saying it again changes nothing.
//!
//! Whether somebody signed in before they had gone is told by the issuer's clock
//! alone: by `iat` of the ID token and of the logout token.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8

use std::time::Duration;

use http::Response;
use symbolon_client::sign_in::Failed;
use symbolon_store::{EndBrowserSessionsOf, EndOfIssuerSession};

use super::{Browser, FORM_PATIENCE, MAX_FORM_BYTES, UNAVAILABLE, one, unavailable};
use crate::body::{Body, Carried, full};
use crate::problem::Problem;

/// Tokens say their time in seconds: of two within one, nobody knows which was
/// first.
const SECOND: Duration = Duration::from_secs(1);

const NOT_ONE: Problem = Problem::bad(
    "logout-token",
    "the request holds no logout token of the issuer's for this client",
);

impl Browser {
    pub(super) async fn logged_out(&self, body: Carried) -> Result<Response<Body>, Problem> {
        let body = body.read(MAX_FORM_BYTES, FORM_PATIENCE).await?;
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
        let token = one(&form, "logout_token")?.ok_or(NOT_ONE)?;
        let gone = match self.0.provider.logged_out(&token).await {
            Ok(gone) => gone,
            Err(why) if why.is_passing() => return Err(UNAVAILABLE),
            Err(why) => {
                let cause: &Failed = &why;
                tracing::warn!(%cause, "a logout token was refused");
                return Err(NOT_ONE);
            }
        };
        let ended = match (&gone.session, &gone.subject) {
            (Some(session), _) => {
                let issuer_session = self.issuer_session(session);
                let end = EndOfIssuerSession { issuer_session };
                self.store().act(end).await
            }
            (None, Some(subject)) => {
                let (slot, subject) = self.subject(subject);
                let before = gone.at + SECOND;
                let end = EndBrowserSessionsOf {
                    slot,
                    subject,
                    before,
                };
                self.store().act(end).await
            }
            (None, None) => return Err(NOT_ONE),
        };
        self.0.recent.forget_all();
        let ended = ended.map_err(unavailable)?;
        tracing::info!(ended, "the issuer signed somebody out");
        Ok(Response::new(full(String::new())))
    }
}
