//! Gives a resource the root keys of its macaroons, and nobody else.
//!
//! `POST` a form with `resource`, authenticated as one of its introspection
//! clients. The answer is `{"issuer", "resource", "epoch", "keys": [{"id",
//! "key", "begins", "ends"}]}`: `key` is 32 bytes in base64url, `begins` and
//! `ends` are seconds since 1970. A key makes macaroons from `begins` on, for
//! 24 hours; none of them is good after `ends`. The next key is among them
//! before it is used. A resource that is unknown, keeps its keys at the server
//! or belongs to another client is `invalid_target`, whichever it is.
//!
//! Spec: OAuth 2.1 §2.4

use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Serialize;
use symbolon_token::macaroon::{self, Period};

use crate::authn::client::authenticate;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::received::Received;
use crate::respond;

#[derive(Serialize)]
struct Answer<'a> {
    issuer: &'a str,
    resource: &'a str,
    epoch: i64,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    id: String,
    key: String,
    begins: i64,
    ends: i64,
}

/// Answers `POST /macaroon-keys`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let caller = authenticate(&cx, &received, &form).await?;
    if !caller.is_confidential() {
        return Err(Refusal::invalid_client("keys are for clients that prove themselves").into());
    }
    let named = form
        .one("resource")
        .ok_or(Refusal::invalid_request("resource is missing"))?;
    cx.check_fresh()?;
    let own = cx.directory.find_resource(named).filter(|resource| {
        resource.shares_macaroon_keys() && resource.may_introspect(&caller.client().id)
    });
    let resource = own.ok_or(Refusal::invalid_target(
        "there are no keys of this resource for this client",
    ))?;
    let longest = resource
        .access_token_lifetime
        .unwrap_or(cx.settings.lifetimes.access_token);
    // What was made under a longer life is good until it ends.
    let longest = longest.max(cx.noted_lives.longest(cx.now)).duration();
    let now = Period::of(cx.now);
    let first = Period::of(cx.now - longest);
    let keys = macaroon::shared_keys(
        &cx.keys,
        cx.bound(),
        &resource.identifier,
        (first, now.next()),
    );
    let keys = keys.iter().map(|key| Key {
        id: key.id(),
        key: BASE64_URL_SAFE_NO_PAD.encode(key.to_secret().expose()),
        begins: key.period().begins().seconds(),
        ends: (key.period().ends() + longest).seconds(),
    });
    let answer = Answer {
        issuer: cx.settings.issuer.as_str(),
        resource: resource.identifier.as_str(),
        epoch: cx.bound().epoch,
        keys: keys.collect(),
    };
    tracing::info!(request = %cx.request, client = %caller.client().id, "gave out macaroon keys");
    Ok(respond::json(StatusCode::OK, &answer))
}
