//! Takes everything back that a person has running, for a partner that knows
//! them by a subject identifier.
//!
//! The caller is a client whose `scopes` hold `global-token-revocation`. It shows
//! an access token of this issuer for this issuer with that scope, or, as a
//! client with `private_key_jwt`, its assertion as the bearer.
//!
//! The answer is 204 each time, 404 for whom nobody knows, 400 for what is no
//! subject identifier of a known format.
//!
//! Spec: draft-parecki-oauth-global-token-revocation-05 §2, §3

use axum::response::Response;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use symbolon_protocol::{Client, ClientAuthentication, Parameters, SubjectIdentifier};
use symbolon_store::{AuditEvent, MembershipsOf, Person, StoredClient, Updated};
use symbolon_token::jose::{Unverified, json};

use super::bearer::{self, bad_token};
use crate::authn::client::authenticate;
use crate::cx::Cx;
use crate::departure;
use crate::failure::{Failure, Refusal};
use crate::holder::Scheme;
use crate::received::{Authorization, Received};
use crate::respond;
use crate::subject_identifier;

/// Lets a client take back everything that people have running.
pub(crate) const SCOPE: &str = "global-token-revocation";

/// Answers `POST /global-token-revocation`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = caller(&cx, &received).await?;
    let named = named(&received)?;
    let found = subject_identifier::find(&cx, &client, &named).await?;
    let nobody = || Refusal::invalid_request("nobody is known by that").with_status(404);
    let person = found.ok_or_else(nobody)?;
    if !is_in_reach(&cx, &client, &person).await? {
        return Err(nobody().into());
    }
    let mut audit = AuditEvent::new("user.revoke", client.id.to_string());
    audit.subject = Some(person.id.to_string());
    audit.client = Some(client.id.to_string());
    audit.request = cx.request.to_string();
    if departure::revoke(&cx, person.id, audit).await? == Updated::Missing {
        return Err(nobody().into());
    }
    let response = respond::empty(StatusCode::NO_CONTENT);
    Ok(bearer::with_nonce(&cx, &received, response))
}

/// The client that calls, whichever way it shows who it is.
async fn caller(cx: &Cx, received: &Received) -> Result<Client, Failure> {
    let bearer = match received.authorization("Bearer") {
        Authorization::Given(token) => token,
        Authorization::Absent | Authorization::Other => "",
    };
    if !is_assertion(bearer) {
        let live = bearer::client_with_scope(cx, received, &[SCOPE]).await?;
        let StoredClient { client, .. } = &*live.client;
        return Ok(client.clone());
    }
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_assertion_type", ASSERTION_TYPE)
        .append_pair("client_assertion", bearer)
        .finish();
    let form = Parameters::parse(form.as_bytes())
        .map_err(|_| Refusal::invalid_request("the assertion is malformed"))?;
    // The header was the assertion, and is nothing besides.
    let mut headers = received.headers.clone();
    headers.remove(AUTHORIZATION);
    let without = Received {
        method: received.method.clone(),
        uri: received.uri.clone(),
        headers,
        body: received.body.clone(),
        certificate: None,
    };
    let proved = authenticate(cx, &without, &form).await?;
    let client = proved.client();
    if client.authentication() != ClientAuthentication::PrivateKeyJwt {
        return Err(bad_token(
            Scheme::Bearer,
            "only a client with a key of its own may use this",
        )
        .into());
    }
    if !client.scopes.contains(SCOPE) {
        let why = "the client may not take back what people have";
        return Err(Refusal::access_denied(why).into());
    }
    Ok(client.clone())
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Whether a bearer says of itself that it is a client's own assertion. Nothing
/// is decided by it: either way is proved.
fn is_assertion(bearer: &str) -> bool {
    let Ok(unverified) = Unverified::parse(bearer) else {
        return false;
    };
    let claims = unverified
        .dangerous_claims_without_key()
        .unwrap_or_default();
    let issuer = claims.get("iss").and_then(Value::as_str);
    issuer.is_some() && issuer == claims.get("sub").and_then(Value::as_str)
}

fn named(received: &Received) -> Result<SubjectIdentifier, Refusal> {
    let kind = received.header(&CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::invalid_request("the body must be application/json").with_status(415));
    }
    let body = json::object(&received.body)
        .map_err(|_| Refusal::invalid_request("the body is not one JSON object"))?;
    let named = body
        .get("sub_id")
        .ok_or(Refusal::invalid_request("sub_id is missing"))?;
    match SubjectIdentifier::read(named) {
        // A session is less than a person: whoever means it gets nothing else.
        Ok(SubjectIdentifier::Complex { .. }) | Err(_) => Err(Refusal::invalid_request(
            "sub_id is no identifier of a person that is known here",
        )),
        Ok(named) => Ok(named),
    }
}

/// A client of an organization reaches its members alone.
async fn is_in_reach(cx: &Cx, client: &Client, person: &Person) -> Result<bool, Failure> {
    let Some(organization) = &client.organization else {
        return Ok(true);
    };
    let read = MembershipsOf { person: person.id };
    let memberships = cx.store.read(read).await?;
    let mut own = memberships.iter().map(|own| &own.organization.id);
    Ok(own.any(|own| own == organization))
}
