//! Revocation by the client that a token was issued to, and by administrators.
//!
//! Spec: RFC 7009 §2
//! Spec: RFC 7522 §3

use axum::response::Response;
use http::StatusCode;
use symbolon_protocol::{Client, ClientId, planted};
use symbolon_store::{ApiKeyChanged, AuditEvent, EndFamily, FindFamily, RevokeApiKey, RevokeToken};
use symbolon_token::explain::Refused;
use symbolon_token::mark::Kind;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::revocation::Hit;
use symbolon_token::{Id, Token};

use super::presented::{self, Read};
use crate::api_key::{self, Asked};
use crate::authn::client::authenticate;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::grant::subject;
use crate::received::Received;
use crate::respond;

/// Answers `POST /revoke`.
///
/// A token that is unknown, expired or not one of ours is already as dead as
/// can be, so the answer is 200 (RFC 7009 §2.2). One of another client is
/// refused, and stays as it was. A macaroon stands for its root, whatever was
/// added to it: the root and all that was made of it die together. So does an
/// assertion of this server with all that was made of it.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let caller = authenticate(&cx, &received, &form).await?;
    let token = form
        .one("token")
        .ok_or(Refusal::invalid_request("token is missing"))?;
    revoke(
        &cx,
        token,
        Some(caller.client()),
        caller.client().id.as_str(),
    )
    .await?;
    Ok(respond::empty(StatusCode::OK))
}

/// What became of a token that was to be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TakenBack {
    /// It is refused from now on.
    Now,
    /// It was dead before: expired, or nothing is left of what it came from.
    Before,
    /// It is no access or refresh token of this server, as far as it can be
    /// read: another's, cut off or changed.
    NotOurs,
}

/// Takes back any token of this server.
pub(crate) async fn by_administrator(cx: &Cx, token: &str) -> Result<TakenBack, Failure> {
    revoke(cx, token, None, "administrator").await
}

async fn revoke(
    cx: &Cx,
    token: &str,
    caller: Option<&Client>,
    actor: &str,
) -> Result<TakenBack, Failure> {
    if Kind::claimed_by(token) == Some(Kind::RefreshToken) {
        return end_family(cx, token, caller, actor).await;
    }
    if api_key::is_shown(cx, token) {
        return Box::pin(end_key(cx, token, caller, actor)).await;
    }
    let cx = &cx.taking_back();
    let read = match read(cx, token) {
        Ok(read) => read,
        Err(refused) if is_over(&refused) => return Ok(TakenBack::Before),
        Err(_) => return Ok(TakenBack::NotOurs),
    };
    let is_foreign = caller.is_some_and(|caller| caller.id.as_str() != read.client);
    if is_foreign && !planted(32) {
        return Err(Refusal::invalid_grant("token belongs to another client").into());
    }
    if let Some(Hit::Record(_)) = cx.feed.hit(&read.marks, read.position) {
        // It died, or what it belongs to.
        return Ok(TakenBack::Before);
    }
    let Some(act) = revoke_token(cx, &read, actor).await? else {
        return Ok(TakenBack::Before);
    };
    cx.store.act(act).await?;
    if is_foreign {
        return Err(Refusal::invalid_grant("token belongs to another client").into());
    }
    Ok(TakenBack::Now)
}

fn read(cx: &Cx, token: &str) -> Result<Read, Refused> {
    #[cfg(feature = "saml")]
    if let Some(assertion) = crate::grant::saml2::own(cx, token) {
        return crate::grant::saml2::read(cx, &assertion);
    }
    presented::read_to_revoke(cx, token)
}

/// Whether what was read was ours and is dead by its own end.
fn is_over(refused: &Refused) -> bool {
    match refused {
        Refused::Expired { .. } => true,
        #[cfg(feature = "saml")]
        Refused::Assertion(symbolon_token::saml::Refused::Expired { .. }) => true,
        _ => false,
    }
}

async fn revoke_token(cx: &Cx, read: &Read, actor: &str) -> Result<Option<RevokeToken>, Failure> {
    let (Ok(token), Ok(client)) = (
        read.jti.parse::<Id<Token>>(),
        read.client.parse::<ClientId>(),
    ) else {
        return Ok(None);
    };
    let Some(subject) = subject_of(cx, read, &client).await? else {
        return Ok(None);
    };
    let mut audit = AuditEvent::new("token.revoke", actor);
    audit.subject = Some(subject.clone());
    audit.client = Some(client.to_string());
    audit.detail = serde_json::json!({ "jti": token });
    audit.request = cx.request.to_string();
    Ok(Some(RevokeToken {
        token,
        client,
        subject,
        expires: read.expires,
        horizon: cx.token_horizon(cx.now),
        now: cx.sure().min(cx.now),
        audit: Some(audit),
    }))
}

/// The subject by which tokens are counted: the person's own id, never the
/// sector's.
async fn subject_of(cx: &Cx, read: &Read, client: &ClientId) -> Result<Option<String>, Failure> {
    if let Some(subject) = read.subject() {
        return Ok(Some(subject));
    }
    let Some(found) = cx.known_client(client).await? else {
        return Ok(None);
    };
    let Some(claimed) = read.claimed_subject() else {
        return Ok(None);
    };
    let person = subject::person(&cx.keys, &found.client, claimed).map(|person| person.to_string());
    // Whoever is no person is named as the token names them: a client, or
    // somebody of a trusted issuer.
    Ok(Some(person.unwrap_or_else(|| claimed.to_owned())))
}

async fn end_family(
    cx: &Cx,
    token: &str,
    caller: Option<&Client>,
    actor: &str,
) -> Result<TakenBack, Failure> {
    let Ok(token) = RefreshToken::open(&cx.keys, token) else {
        return Ok(TakenBack::NotOurs);
    };
    // A family that is not there any more is as dead as can be.
    let Some(found) = cx.store.read(FindFamily { id: token.family }).await? else {
        return Ok(TakenBack::Before);
    };
    if caller.is_some_and(|caller| caller.id != found.authority.client) {
        return Err(Refusal::invalid_grant("token belongs to another client").into());
    }
    let mut audit = AuditEvent::new("family.revoke", actor);
    audit.client = caller.map(|caller| caller.id.to_string());
    audit.detail = serde_json::json!({ "family": token.family });
    audit.request = cx.request.to_string();
    let act = EndFamily {
        id: token.family,
        client: caller.map(|caller| caller.id.clone()),
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
        audit,
    };
    cx.store.act(act).await?;
    Ok(TakenBack::Now)
}

/// An API key, by whoever holds its text: its client or an administrator.
async fn end_key(
    cx: &Cx,
    text: &str,
    caller: Option<&Client>,
    actor: &str,
) -> Result<TakenBack, Failure> {
    let source = caller.map(|_| cx.address);
    let Ok(found) = api_key::look_up(cx, text, Asked { source, by: actor }).await? else {
        return Ok(TakenBack::NotOurs);
    };
    let facts = &found.kept.facts;
    if caller.is_some_and(|caller| caller.id != facts.owner.client) {
        return Err(Refusal::invalid_grant("token belongs to another client").into());
    }
    let mut audit = AuditEvent::new("api_key.revoke", actor);
    audit.client = Some(facts.owner.client.to_string());
    audit.subject = facts.owner.person.map(|person| person.to_string());
    audit.detail = serde_json::json!({ "api_key": facts.id });
    audit.request = cx.request.to_string();
    let act = RevokeApiKey {
        id: facts.id,
        audit,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    };
    match cx.store.act(act).await? {
        ApiKeyChanged::Changed => Ok(TakenBack::Now),
        _ => Ok(TakenBack::Before),
    }
}
