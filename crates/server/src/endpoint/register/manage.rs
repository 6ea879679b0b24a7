//! What a client that registered itself may look at, change and end of its own
//! registration, by the token that it was given.
//!
//! - A change gives another token; the one that was shown opens nothing more.
//! - Where answers go elsewhere after a change, people are asked again, and
//!   what the client was given so far is dead.
//! - What an administrator gave or took stays so. Where one has changed what the
//!   client says of itself, the client may say less, and nothing else.
//! - Unknown client, other token, no token: one answer.
//!
//! Spec: RFC 7592 §2.1, §2.2, §2.3, §3

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon_protocol::{Client, ClientId, ErrorCode};
use symbolon_store::{
    AuditEvent, ClientOrigin, DeleteClient, FindClient, FindRegistration, ReplaceRegistration,
    RevokeClient, StoredClient, Updated, Whole,
};
use symbolon_token::mark::{self, read_fixed};
use symbolon_token::{Digest, Secret};

use super::{add_management, bad_token, described, make_token, no_token, said, shown};
use crate::authn::client::is_right;
use crate::cx::Cx;
use crate::departure;
use crate::ending::{self, Leaves};
use crate::failure::{Failure, Refusal};
use crate::outbox::part;
use crate::received::{Authorization, Received};
use crate::respond;

/// A registration whose token was shown.
struct Own {
    stored: StoredClient,
    origin: ClientOrigin,
    token: Digest,
}

/// How often a change is made again where somebody else wrote in between.
const CHANGES: usize = 8;

async fn own(cx: &Cx, received: &Received) -> Result<Own, Failure> {
    let Authorization::Given(presented) = received.authorization("Bearer") else {
        return Err(no_token().into());
    };
    // A typo needs no database.
    if read_fixed::<36>(mark::Kind::Registration, presented).is_none() {
        return Err(bad_token().into());
    }
    let digest = Digest::of(presented.as_bytes());
    let path = received.uri.path();
    let id = path.rsplit('/').next().and_then(|own| own.parse().ok());
    let id: ClientId = id.ok_or_else(bad_token)?;
    let stored = cx.store.read(FindClient { id: id.clone() }).await?;
    // Behind the client: whoever changed what was read of it is known here.
    let found = cx.store.read(FindRegistration { id }).await?;
    let is_own = |token: &Digest| token.matches(&digest);
    let found = found.filter(|found| found.token.as_ref().is_some_and(is_own));
    let found = found.ok_or_else(bad_token)?;
    let stored = stored.filter(|own| own.enabled).ok_or_else(bad_token)?;
    Ok(Own {
        stored,
        origin: found.origin,
        token: digest,
    })
}

/// Answers `GET /register/{id}`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let own = own(&cx, &received).await?;
    let Authorization::Given(token) = received.authorization("Bearer") else {
        return Err(no_token().into());
    };
    Ok(respond::json(
        StatusCode::OK,
        &body(&cx, &own.stored, token),
    ))
}

fn body(cx: &Cx, stored: &StoredClient, token: &str) -> Value {
    let mut body = shown(&stored.client);
    body["client_id_issued_at"] = stored.created.seconds().into();
    if !stored.secrets.is_empty() {
        body["client_secret_expires_at"] = 0.into();
    }
    add_management(cx, &mut body, &stored.client.id, token);
    body
}

/// Answers `PUT /register/{id}`.
pub(crate) async fn put(cx: Cx, received: Received) -> Result<Response, Failure> {
    for _ in 0..CHANGES {
        if let Some(response) = replace(&cx, &received).await? {
            return Ok(response);
        }
    }
    let why = "others change this client at the same time; nothing was written";
    let refusal = Refusal::new(ErrorCode::TemporarilyUnavailable, why);
    Err(refusal.with_retry_after(1).into())
}

/// Replaces what the client says of itself; nothing where somebody else wrote in
/// between, whose change would be lost.
async fn replace(cx: &Cx, received: &Received) -> Result<Option<Response>, Failure> {
    let own = own(cx, received).await?;
    let client = wanted(cx, received, &own)?;
    let before = own.stored.client.clone();
    let next = make_token(cx);
    let moved =
        client.redirect_uris != before.redirect_uris || client.names_in() != before.names_in();
    let mut audit = event(cx, "client.reregister", &before.id);
    audit.detail = json!({ "redirect_uris": client.redirect_uris, "asks_again": moved });
    let of = Whole::Client(client.id.clone());
    if moved {
        take_back(cx, &of, Leaves::Itself, &client.id).await?;
    }
    let act = ReplaceRegistration {
        client: client.clone(),
        was: before,
        tokens: (own.token, Digest::of(next.expose())),
        asks_again: moved,
        audit,
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    match cx.store.act(act).await? {
        Updated::Updated => {}
        Updated::Changed => return Ok(None),
        Updated::Missing => return Err(bad_token().into()),
    }
    if moved {
        // The token is shown by this answer alone, and all was taken back already.
        if let Err(fault) = ending::finish(&cx.app, &of, Leaves::Itself).await {
            tracing::warn!(client = %client.id, cause = %fault, "could not end all of a client");
        }
    }
    departure::follow(cx).await;
    let stored = StoredClient {
        client,
        ..own.stored
    };
    let body = body(cx, &stored, next.expose_str());
    Ok(Some(respond::json(StatusCode::OK, &body)))
}

/// The client as it wants to be, as far as that is its own to say.
fn wanted(cx: &Cx, received: &Received, own: &Own) -> Result<Client, Failure> {
    let said = said(received)?;
    let before = &own.stored.client;
    let wrong = |why| Refusal::new(ErrorCode::InvalidClientMetadata, why);
    if said.get("client_id").and_then(Value::as_str) != Some(before.id.as_str()) {
        return Err(wrong("client_id is that of the registration").into());
    }
    // Neither is the client's to choose, nor are the times (RFC 7592 §2.2).
    let fixed = [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ];
    if fixed.iter().any(|name| said.contains_key(*name)) {
        return Err(wrong("what the registration was answered with is not sent back").into());
    }
    // It may say the secret that it has, and chooses none.
    if let Some(shown) = said.get("client_secret") {
        let shown = Secret::from(shown.as_str().unwrap_or_default());
        if !is_right(&cx.keys, &own.stored.secrets, &shown, cx.now) {
            return Err(wrong("client_secret is the one that was given").into());
        }
    }
    let client = described(cx, &said, Some(before.id.clone()))?;
    if client.authentication() != before.authentication() {
        return Err(wrong("token_endpoint_auth_method is changed by registering again").into());
    }
    let mut client = before.described_anew(client);
    let is_administered = own.origin == ClientOrigin::Administered;
    if is_administered {
        client.kind = before.kind;
    }
    if !client.problems().is_empty() {
        return Err(wrong("the members do not fit what the client is here").into());
    }
    if is_administered && !client.says_no_more_than(before) {
        let why = "an administrator has changed this client: it may say less, and nothing else";
        return Err(Refusal::access_denied(why).into());
    }
    Ok(client)
}

/// Where so many have agreed that their grants do not end in one act, they end
/// before the client changes or goes. Until then its token is good, and whoever is
/// interrupted asks again.
async fn take_back(cx: &Cx, of: &Whole, leaves: Leaves, id: &ClientId) -> Result<(), Failure> {
    let first = RevokeClient {
        id: id.clone(),
        audit: event(cx, "client.revoke", id),
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    Ok(ending::empty(cx, of, leaves, first).await?)
}

/// Answers `DELETE /register/{id}`.
pub(crate) async fn delete(cx: Cx, received: Received) -> Result<Response, Failure> {
    let own = own(&cx, &received).await?;
    let id = own.stored.client.id.clone();
    let leaves = match &own.stored.client.logout.backchannel_logout_uri {
        Some(_) => Leaves::Nothing,
        None => Leaves::Itself,
    };
    take_back(&cx, &Whole::Client(id.clone()), leaves, &id).await?;
    let act = DeleteClient {
        audit: event(&cx, "client.unregister", &id),
        id: id.clone(),
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    cx.store.act(act).await?;
    ending::finish(&cx.app, &Whole::Client(id), Leaves::Itself).await?;
    part::follow_deletion(&cx).await;
    departure::follow(&cx).await;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

fn event(cx: &Cx, action: &'static str, id: &ClientId) -> AuditEvent {
    let mut audit = AuditEvent::new(action, id.to_string());
    audit.client = Some(id.to_string());
    audit.request = cx.request.to_string();
    audit
}
