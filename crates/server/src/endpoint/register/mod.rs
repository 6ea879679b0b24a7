//! Registration: a client that nobody configured says what it is.
//!
//! 1. Whoever may register is counted by network; where a token is asked for,
//!    it has to be shown.
//! 2. What the client says is read by an allow-list, and cut to what the
//!    installation grants to all such clients.
//! 3. A small public one stands in its own identifier, and nothing is written.
//!    Any other gets a row; one that proves itself, a secret and the token of
//!    its registration too.
//!
//! Spec: RFC 7591 §3, §3.1, §3.2.1, §5

pub(crate) mod manage;

use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use symbolon_protocol::self_description::{self, Told};
use symbolon_protocol::{Client, ClientId, ErrorCode};
use symbolon_store::{AuditEvent, RegisterClient, Registered};
use symbolon_token::client_identifier::ClientIdentifier;
use symbolon_token::jose::json::object;
use symbolon_token::mark::{self, write_fixed};
use symbolon_token::{Digest, Secret, random};

use crate::admin::secrets::{make_secret, needs_secret, to_be_stored};
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::holder::Scheme;
use crate::received::{Authorization, Received};
use crate::registration::document::may_be_asked;
use crate::registration::{pace, refusal, sealed, terms};
use crate::respond;

/// How large what a client says may be, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// How many clients with a row may register within the hour, wherever they
/// come from: what is written by strangers has an end.
const MOST: u32 = 1000;
const HOUR: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// Answers `POST /register`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    check_may_register(&cx, &received)?;
    let said = said(&received)?;
    let client = described(&cx, &said, "registering".parse().ok())?;
    if let Some(inside) = sealed::write(&client, &said)
        && let Some(id) = identifier(&cx, &ClientIdentifier::Whole(inside))
    {
        let body = shown(&Client { id, ..client });
        return Ok(respond::json(StatusCode::CREATED, &body));
    }
    register(&cx, client, &said).await
}

fn check_may_register(cx: &Cx, received: &Received) -> Result<(), Refusal> {
    let config = &cx.settings.registration;
    if !config.enabled {
        let refusal = Refusal::access_denied("clients do not register themselves here");
        return Err(refusal);
    }
    if cx.registrations.is_exceeded_by(cx.address) {
        let seconds = u32::try_from(pace::WINDOW.as_secs()).unwrap_or(u32::MAX);
        let refusal = Refusal::invalid_request("too many registrations from this network");
        return Err(refusal.with_status(429).with_retry_after(seconds));
    }
    let Some(token) = &config.initial_access_token else {
        return Ok(());
    };
    let wanted = Digest::of(token.expose());
    match received.authorization("Bearer") {
        Authorization::Given(own) if Digest::of(own.as_bytes()).matches(&wanted) => Ok(()),
        Authorization::Given(_) => Err(bad_token()),
        _ => Err(no_token()),
    }
}

/// The token that would open this is missing: a challenge names no error then
/// (RFC 6750 §3.1).
fn no_token() -> Refusal {
    let refusal = Refusal::new(ErrorCode::InvalidToken, "the token for this is not shown");
    refusal.with_challenge(http::HeaderValue::from_static("Bearer"))
}

/// It is another one.
fn bad_token() -> Refusal {
    let refusal = Refusal::new(ErrorCode::InvalidToken, "this is not the token for this");
    Scheme::Bearer.challenge(refusal, "")
}

/// What a client says of itself: one JSON object in which nothing stands twice.
fn said(received: &Received) -> Result<Map<String, Value>, Refusal> {
    let kind = received.header(&CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let refusal = Refusal::invalid_request("the body must be application/json");
        return Err(refusal.with_status(415));
    }
    let bad = |why| Refusal::new(ErrorCode::InvalidClientMetadata, why);
    if received.body.len() > MAX_BYTES {
        return Err(bad("the metadata is too large").with_status(413));
    }
    object(&received.body)
        .map_err(|_| bad("the metadata is not one JSON object without repeated members"))
}

/// The client that a description makes, whose addresses may be called.
fn described(cx: &Cx, said: &Map<String, Value>, id: Option<ClientId>) -> Result<Client, Failure> {
    let id = id.ok_or(Broken::Impossible("an identifier that is none"))?;
    let terms = terms(cx);
    let client = self_description::client(said, id, (Told::Registration, &terms));
    let client = client.map_err(refusal)?;
    let uri = client.jwks_uri.as_deref();
    if uri.is_some_and(|uri| !may_be_asked(cx, uri)) {
        let why = "jwks_uri is a public https URL on the usual port";
        return Err(Refusal::new(ErrorCode::InvalidClientMetadata, why).into());
    }
    Ok(client)
}

fn identifier(cx: &Cx, of: &ClientIdentifier) -> Option<ClientId> {
    let issuer = cx.settings.issuer.as_str();
    cx.keys.write_client_identifier(issuer, of)?.parse().ok()
}

/// Gives a client a row. A public one is named by what it says, so that the
/// same is one client however often it registers, and nobody can change it.
async fn register(cx: &Cx, client: Client, said: &Map<String, Value>) -> Result<Response, Failure> {
    let proves = client.is_confidential();
    let number = match proves {
        true => random::<16>(cx.entropy()),
        false => {
            let text = serde_json::to_vec(said).unwrap_or_default();
            let mut number = [0; 16];
            number.copy_from_slice(&Digest::of(&text).as_bytes()[..16]);
            number
        }
    };
    let id = identifier(cx, &ClientIdentifier::Row(number));
    let id = id.ok_or(Broken::Impossible("a number that is too long"))?;
    let client = Client { id, ..client };
    let secret = needs_secret(&client).then(|| make_secret(cx.entropy()));
    let stored = secret
        .as_ref()
        .map(|secret| to_be_stored(&client, secret, &cx.keys, cx.entropy()));
    let token = proves.then(|| make_token(cx));
    let mut audit = AuditEvent::new("client.register", client.id.to_string());
    audit.client = Some(client.id.to_string());
    audit.detail = json!({ "redirect_uris": client.redirect_uris });
    audit.request = cx.request.to_string();
    let act = RegisterClient {
        client: client.clone(),
        secret: stored,
        token: token.as_ref().map(|token| Digest::of(token.expose())),
        limit: MOST,
        since: cx.now - HOUR,
        audit,
        now: cx.now,
    };
    if cx.store.act(act).await? == Registered::Full {
        let refusal = Refusal::new(
            ErrorCode::TemporarilyUnavailable,
            "too many clients have registered lately",
        );
        return Err(refusal.with_status(429).with_retry_after(600).into());
    }
    let mut body = shown(&client);
    if proves {
        body["client_id_issued_at"] = cx.now.seconds().into();
    }
    if let Some(secret) = &secret {
        body["client_secret"] = secret.expose_str().into();
        body["client_secret_expires_at"] = 0.into();
    }
    if let Some(token) = &token {
        add_management(cx, &mut body, &client.id, token.expose_str());
    }
    Ok(respond::json(StatusCode::CREATED, &body))
}

fn make_token(cx: &Cx) -> Secret {
    let word = random::<32>(cx.entropy());
    Secret::from(write_fixed(mark::Kind::Registration, &word))
}

fn add_management(cx: &Cx, body: &mut Value, id: &ClientId, token: &str) {
    let at = format!("/register/{id}");
    body["registration_client_uri"] = cx.settings.issuer.endpoint(&at).into();
    body["registration_access_token"] = token.into();
}

/// A client as its registration is answered: all of it, so that the client sees
/// what became of what it said.
fn shown(client: &Client) -> Value {
    let mut body = json!({
        "client_id": client.id,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": client.authentication().as_str(),
        "grant_types": client.grants,
        "response_types": ["code"],
        "scope": client.scopes.to_string(),
    });
    let described = &client.described;
    let texts = [
        ("application_type", &described.application_type),
        ("client_uri", &described.client_uri),
        ("logo_uri", &described.logo_uri),
        ("policy_uri", &described.policy_uri),
        ("tos_uri", &described.tos_uri),
        ("software_id", &described.software_id),
        ("software_version", &described.software_version),
        ("jwks_uri", &client.jwks_uri),
        (
            "token_endpoint_auth_signing_alg",
            &client.token_endpoint_auth_signing_alg,
        ),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            body[name] = text.as_str().into();
        }
    }
    for (name, text) in &described.other {
        body[name] = text.clone();
    }
    if let Some(jwks) = &client.jwks {
        body["jwks"] = jwks.clone();
    }
    if !described.contacts.is_empty() {
        body["contacts"] = json!(described.contacts);
    }
    if !client.post_logout_redirect_uris.is_empty() {
        body["post_logout_redirect_uris"] = json!(client.post_logout_redirect_uris);
    }
    if client.binding.dpop_bound_access_tokens {
        body["dpop_bound_access_tokens"] = true.into();
    }
    body["id_token_signed_response_alg"] = client.id_token_signed_response_alg.as_str().into();
    body
}
