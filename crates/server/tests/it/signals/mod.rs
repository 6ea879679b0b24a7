//! What others are told, and what they tell: logout tokens, streams of security
//! events, sources of them, and the one call that takes all of a person back.

mod apart;
mod bearer;
mod failing;
mod global;
mod inbox;
mod logout;
mod outage;
mod peer;
mod polled;
mod queued;
mod source;
mod stream;
mod unjudged;
mod waiting;

use reqwest::Method;
use serde_json::{Map, Value, json};
use symbolon_token::jose::Unverified;

use crate::harness::{Answer, SECRET, Server, read};

/// Carries an operation of the admin API out.
pub(crate) async fn admin(
    server: &Server,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let answer = server
        .admin(method, &format!("/admin/v1/{path}"), body)
        .await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
    answer
}

/// What a JWT says, whoever signed it.
pub(crate) fn claims(jwt: &str) -> Map<String, Value> {
    Unverified::parse(jwt)
        .unwrap()
        .dangerous_claims_without_key()
        .unwrap()
}

/// The kind that a JWT says it is.
pub(crate) fn kind(jwt: &str) -> String {
    let unverified = Unverified::parse(jwt).unwrap();
    unverified.claimed_type().unwrap_or_default().to_owned()
}

/// A client that acts for itself, with a scope.
pub(crate) async fn machine(server: &Server, id: &str, scope: &str) {
    let document = json!({
        "id": id, "kind": "service", "secret": SECRET,
        "grants": ["client_credentials"], "scopes": [scope],
    });
    admin(server, Method::POST, "clients", Some(document)).await;
}

/// An access token of such a client.
pub(crate) async fn token_of(server: &Server, id: &str) -> String {
    let form = [("grant_type", "client_credentials")];
    let answer = server.token(id, &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

/// A call with a bearer and a document.
pub(crate) async fn call(
    server: &Server,
    method: Method,
    path: &str,
    (token, body): (&str, Option<&Value>),
) -> Answer {
    let mut request = server.request(method, path);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    read(request.send().await.unwrap()).await
}
