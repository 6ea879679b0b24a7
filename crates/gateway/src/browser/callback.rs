//! `/callback`: takes a person back from the issuer, and opens a session under
//! a new name.
//!
//! Spec: RFC 6749 §4.1.2, §10.12
//! Spec: RFC 9207 §2.4
//! Spec: RFC 9700 §2.1, §4.7

use http::request::Parts;
use http::{Response, StatusCode};
use symbolon_client::sign_in::{Failed, Identity, Returned, Tokens};
use symbolon_store::OpenBrowserSession;

use super::cookie::Ticket;
use super::held::Held;
use super::sign_in::Kept;
use super::{Browser, one, query, redirect, unavailable, with_cookie};
use crate::body::Body;
use crate::problem::Problem;

impl Browser {
    pub(super) async fn callback(
        &self,
        parts: &Parts,
        request_id: &str,
    ) -> Result<Response<Body>, Problem> {
        let query = query(parts);
        let state = one(&query, "state")?.unwrap_or_default();
        let (code, error) = (one(&query, "code")?, one(&query, "error")?);
        let iss = one(&query, "iss")?;
        let kept = self.0.names.kept(&parts.headers, &state);
        let Some(kept) = kept.and_then(|text| self.unseal(text, &state)) else {
            return Ok(self.lost(request_id));
        };
        let provider = &self.0.provider;
        let came = provider.check_returned(&kept.begun, &state, iss.as_deref());
        let outcome = match (came.await, code, error) {
            (Err(why), ..) => Err(why),
            (Ok(()), _, Some(error)) => {
                let plain = |own: &char| own.is_ascii_graphic();
                Err(Failed::Refused(
                    error.chars().filter(plain).take(64).collect(),
                ))
            }
            (Ok(()), None, None) => Err(Failed::Malformed("a code")),
            (Ok(()), Some(code), None) => {
                let returned = Returned {
                    code: &code,
                    state: &state,
                    iss: iss.as_deref(),
                };
                provider.finish(&kept.begun, &returned).await
            }
        };
        let response = match outcome {
            Ok((tokens, identity)) => self.begin(parts, &kept, &tokens, identity).await?,
            Err(why) => self.not_signed_in(&why, &kept.return_to, request_id),
        };
        Ok(with_cookie(response, self.0.names.forget(&state)))
    }

    /// Opens the session. The one that this browser had ends.
    async fn begin(
        &self,
        parts: &Parts,
        kept: &Kept,
        tokens: &Tokens,
        identity: Identity,
    ) -> Result<Response<Body>, Problem> {
        let edge = &self.0.edge;
        let settings = &self.0.settings;
        let (slot, subject) = self.subject(&identity.subject);
        let before = self.find(parts).await?;
        let ticket = Ticket::new(slot, &*edge.entropy);
        let resource = settings.resources.first().map_or("", String::as_str);
        let issuer_session = identity.session.as_deref();
        let issuer_session = issuer_session.map(|own| self.issuer_session(own));
        let (now, signed_in) = (edge.clock.now(), identity.issued);
        let held = Held::new(tokens, identity.claims, resource, now);
        let open = OpenBrowserSession {
            id: ticket.id,
            secret: ticket.digest(),
            subject,
            issuer_session,
            signed_in,
            held: held.seal(&ticket, &*edge.entropy),
            idle_ends: now + settings.session_idle,
            absolute_ends: now + settings.session_absolute,
            replaces: before.as_ref().map(|(old, ..)| (old.id, old.digest())),
            now,
        };
        self.store().act(open).await.map_err(unavailable)?;
        if let Some((gone, _, old)) = before {
            self.0.recent.forget(&gone.id);
            self.take_back(&old);
        }
        tracing::info!(session = %ticket.id, "signed in");
        let response = redirect(StatusCode::SEE_OTHER, &kept.return_to)?;
        let cookie = self.0.names.set_session(&ticket, settings.session_absolute);
        Ok(with_cookie(response, cookie))
    }
}
