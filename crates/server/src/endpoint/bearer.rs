//! An access token that is shown to this server itself: how it is sent, and
//! whether whoever sends it holds what it is bound to.
//!
//! Spec: RFC 6750 §2.1, §3
//! Spec: RFC 9449 §7.1, §9

use axum::response::Response;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use symbolon_protocol::ErrorCode;
use symbolon_token::dpop::algorithm_names;
use symbolon_token::explain::Refused;
use symbolon_token::macaroon::Request;

use super::live::Live;
use super::macaroon::Use;
use super::presented;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::holder::{Scheme, Shown, check_presented, next_nonce};
use crate::received::{Authorization, Received};
use crate::respond;

/// The token of the header and the scheme that it was sent under. Credentials of
/// another scheme are no token at all, and one that was sent twice, or in the
/// address, is none that could be told (RFC 6750 §2, §3.1).
pub(super) fn in_header(received: &Received) -> Result<Option<Shown<'_>>, Refusal> {
    let malformed = |scheme: Scheme, reason| {
        let refusal = Refusal::invalid_request(reason);
        Err(scheme.challenge(refusal, ""))
    };
    if received.headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return malformed(Scheme::Bearer, "there are several Authorization headers");
    }
    match received.query() {
        Ok(query) if query.one("access_token").is_none() => {}
        Ok(_) => return malformed(Scheme::Bearer, "a token in the address is not taken"),
        // One that stands there twice is among what cannot be read.
        Err(refusal) => return Err(Scheme::Bearer.challenge(refusal, "")),
    }
    let (scheme, sent) = match received.authorization("DPoP") {
        Authorization::Other => (Scheme::Bearer, received.authorization("Bearer")),
        sent => (Scheme::Dpop, sent),
    };
    match sent {
        Authorization::Given("") => malformed(scheme, "the Authorization header has no token"),
        Authorization::Given(token) => Ok(Some(Shown { scheme, token })),
        Authorization::Absent | Authorization::Other => Ok(None),
    }
}

/// The token, whose holder holds what it is bound to, and which is one for what
/// is asked for. A macaroon's conditions are judged for this very request, and a
/// use is counted last.
pub(super) async fn open(
    cx: &Cx,
    received: &Received,
    shown: Shown<'_>,
    check: impl FnOnce(&Live) -> Result<(), Refusal>,
) -> Result<Result<Live, Refused>, Failure> {
    let request = Request {
        method: Some(received.method.as_str()),
        path: Some(received.uri.path()),
        address: Some(cx.address),
    };
    match presented::open_for(cx, shown.token, &Use::Here(request)).await? {
        Ok(pending) => {
            let live = pending.before_counting();
            check_presented(cx, received, shown, &live.binding)?;
            check(live)?;
            pending.settle(cx).await
        }
        Err(refused) => Ok(Err(refused)),
    }
}

/// A client that acts for itself, by an access token that is for this server
/// and carries one of some scopes.
pub(super) async fn client_with_scope(
    cx: &Cx,
    received: &Received,
    scopes: &[&'static str],
) -> Result<Live, Failure> {
    let shown = in_header(received)?.ok_or_else(no_token)?;
    let check = |live: &Live| {
        if live.audience != cx.settings.issuer.as_str() {
            let why = "the access token is for another audience";
            return Err(bad_token(shown.scheme, why));
        }
        check_client(shown.scheme, live, scopes)
    };
    match open(cx, received, shown, check).await? {
        Ok(live) => Ok(live),
        Err(refused) => {
            tracing::debug!(request = %cx.request, check = refused.check().name(), code = refused.code(), "refused");
            cx.recent
                .token(cx, &refused, presented::claimed_jti(shown.token));
            Err(bad_token(shown.scheme, "the access token is not good").into())
        }
    }
}

/// Whether a token is a client's own and carries one of some scopes.
fn check_client(scheme: Scheme, live: &Live, scopes: &[&'static str]) -> Result<(), Refusal> {
    let client = &live.client.client;
    if live.person.is_some() || live.subject != client.id.as_str() || !client.is_confidential() {
        let why = "this is for clients that act for themselves";
        return Err(bad_token(scheme, why));
    }
    // What was taken from the client since is gone from its tokens, too.
    let carries =
        |scope: &&&'static str| live.scopes.contains(scope) && client.scopes.contains(scope);
    if !scopes.iter().any(|scope| carries(&scope)) {
        let refusal = Refusal::new(ErrorCode::InsufficientScope, "the token lacks a scope");
        let needed = format!(r#", scope="{}""#, scopes.first().unwrap_or(&""));
        return Err(scheme.challenge(refusal, &needed));
    }
    Ok(())
}

/// Refuses whoever waits with a token that was good when they came and is not any
/// more: it has expired or was taken back, or its client or all of some scopes
/// were. That they hold what it is bound to was shown then.
pub(super) async fn check_still_good(
    cx: &Cx,
    received: &Received,
    scopes: &[&'static str],
) -> Result<(), Failure> {
    let shown = in_header(received)?.ok_or_else(no_token)?;
    let cx = Cx {
        now: cx.edge.clock.now(),
        ..cx.clone()
    };
    let request = Request {
        method: Some(received.method.as_str()),
        path: Some(received.uri.path()),
        address: Some(cx.address),
    };
    match presented::open_for(&cx, shown.token, &Use::Here(request)).await? {
        // Nothing is counted: it is the same use.
        Ok(pending) => Ok(check_client(
            shown.scheme,
            pending.before_counting(),
            scopes,
        )?),
        Err(_) => Err(bad_token(shown.scheme, "the access token is not good any more").into()),
    }
}

/// The same answer with the nonce for the caller's next proof, where it sent one.
pub(super) fn with_nonce(cx: &Cx, received: &Received, mut response: Response) -> Response {
    if matches!(received.authorization("DPoP"), Authorization::Given(_))
        && let Some(nonce) = next_nonce(cx)
    {
        response.headers_mut().insert(respond::DPOP_NONCE, nonce);
    }
    response
}

/// No token at all is told no error code (RFC 6750 §3.1), and both schemes
/// (RFC 9449 §7.1).
pub(super) fn no_token() -> Refusal {
    let refusal = Refusal::new(ErrorCode::InvalidToken, "an access token is needed");
    let schemes = format!(r#"Bearer, DPoP algs="{}""#, algorithm_names());
    let bearer = HeaderValue::from_static("Bearer");
    refusal.with_challenge(HeaderValue::from_str(&schemes).unwrap_or(bearer))
}

/// A token that came under a scheme and is not good.
pub(super) fn bad_token(scheme: Scheme, reason: &'static str) -> Refusal {
    scheme.challenge(Refusal::new(ErrorCode::InvalidToken, reason), "")
}
