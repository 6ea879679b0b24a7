//! Assertions: a JWT by which a client proves itself, once.
//!
//! Spec: RFC 7521 §4.2, §5.2
//! Spec: RFC 7523 §3
//! Spec: RFC 10070
//!
//! 1. The header's algorithm and type have to be the client's own.
//! 2. The signature is checked with the client's keys, or its secret.
//! 3. The claims are checked.
//! 4. The `jti` is spent: the only write, and the last thing that can refuse.

use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::{
    AssertionAudience, Client, ClientAuthentication, ClientId, Timestamp, planted,
};
use symbolon_store::{CLIENT_ASSERTION, SpendOnce, StoredClient};
use symbolon_token::jose::{Algorithm, Invalid, KeySet, Unverified};
use symbolon_token::{Digest, Slot};

use super::{failed, secret};
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};

/// How far ahead an assertion may expire.
const MAX_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// How long a `jti` may be, in bytes.
const MAX_JTI_BYTES: usize = 256;
/// How many keys are tried where the header names none.
const MAX_TRIES: usize = 8;

type Claims = Map<String, Value>;

/// Checks an assertion of a client that is registered for one.
pub(super) async fn prove(
    cx: &Cx,
    stored: &StoredClient,
    unverified: &Unverified<'_>,
) -> Result<(), Failure> {
    let client = &stored.client;
    check_type(unverified)?;
    let claims = match client.authentication() {
        ClientAuthentication::ClientSecretJwt => verify_mac(cx, stored, unverified)?,
        _ => verify_signature(cx, client, unverified).await?,
    };
    let token_endpoint = cx.settings.issuer.endpoint("/token");
    let rules = Rules {
        client: &client.id,
        issuer: cx.settings.issuer.as_str(),
        token_endpoint: &token_endpoint,
        audience: client.assertion_audience,
        skew: cx.settings.clock_skew,
    };
    let checked = check_claims(&claims, &rules, cx.now).map_err(Refusal::invalid_client)?;
    let spend = SpendOnce {
        kind: CLIENT_ASSERTION,
        slot: Slot::of_client(&client.id),
        key: once(&client.id, checked.jti),
        expires: checked.acceptable_until,
    };
    if !cx.store.act(spend).await? {
        return Err(Refusal::invalid_client("the assertion was already used").into());
    }
    Ok(())
}

/// Tokens of other kinds are not assertions, even with the right signature.
fn check_type(unverified: &Unverified<'_>) -> Result<(), Refusal> {
    match unverified.claimed_type() {
        None | Some("jwt" | "client-authentication+jwt") => Ok(()),
        Some(_) => Err(refused(Invalid::Type)),
    }
}

fn verify_mac(
    cx: &Cx,
    stored: &StoredClient,
    unverified: &Unverified<'_>,
) -> Result<Claims, Failure> {
    let client = &stored.client;
    let algorithm = client.token_endpoint_auth_signing_alg.as_deref();
    if algorithm.is_some_and(|algorithm| algorithm != "HS256") {
        return Err(refused(Invalid::Algorithm).into());
    }
    let counting = stored
        .secrets
        .iter()
        .filter(|own| secret::counts(own, cx.now));
    for sealed in counting.filter_map(|own| own.sealed.as_deref()) {
        let opened = cx.keys.open_secret(client.id.as_str(), sealed);
        let opened = opened.map_err(|_| Broken::Impossible("a client secret cannot be opened"))?;
        match unverified.verify_mac(&opened) {
            Ok(claims) => return Ok(claims),
            Err(Invalid::Signature) => {}
            Err(other) => return Err(refused(other).into()),
        }
    }
    Err(failed().into())
}

async fn verify_signature(
    cx: &Cx,
    client: &Client,
    unverified: &Unverified<'_>,
) -> Result<Claims, Failure> {
    let algorithm = algorithm(client, unverified).map_err(refused)?;
    let kid = unverified.claimed_kid();
    let keys = match (&client.jwks, &client.jwks_uri) {
        (Some(document), _) => cx.fetcher.inline_key_set(document),
        (None, Some(uri)) => cx
            .fetcher
            .key_set(uri, kid, cx.edge.clock.monotonic())
            .await
            .ok(),
        (None, None) => None,
    };
    // Keys that cannot be had are no fault of ours, and the fetcher said so.
    let keys = keys.ok_or_else(failed)?;
    verify_by(&keys, algorithm, unverified).map_err(|invalid| refused(invalid).into())
}

/// The algorithm of the header, if it is the one that the client registered;
/// one that registered none may use what its keys are for. `EdDSA` and
/// `Ed25519` are different answers here: the registration names one of them,
/// and a key that names one is bound to it (RFC 9864 §2.2).
fn algorithm(client: &Client, unverified: &Unverified<'_>) -> Result<Algorithm, Invalid> {
    let claimed = unverified
        .algorithm()
        .filter(|claimed| *claimed != Algorithm::MlDsa65)
        .ok_or(Invalid::Algorithm)?;
    match client.token_endpoint_auth_signing_alg.as_deref() {
        Some(registered) if Algorithm::named(registered) != Some(claimed) => {
            Err(Invalid::Algorithm)
        }
        _ => Ok(claimed),
    }
}

fn verify_by(
    keys: &KeySet,
    algorithm: Algorithm,
    unverified: &Unverified<'_>,
) -> Result<Claims, Invalid> {
    let mut outcome = Err(Invalid::UnknownKey);
    for key in keys
        .candidates(unverified.claimed_kid(), algorithm)
        .take(MAX_TRIES)
    {
        outcome = unverified.verify(key);
        if !matches!(outcome, Err(Invalid::Signature)) {
            break;
        }
    }
    outcome
}

/// The answer says as little as it does for a wrong secret; the log says more.
fn refused(invalid: Invalid) -> Refusal {
    tracing::debug!(cause = invalid.code(), "client assertion");
    failed()
}

/// What the claims have to say.
struct Rules<'a> {
    client: &'a ClientId,
    issuer: &'a str,
    token_endpoint: &'a str,
    audience: AssertionAudience,
    skew: Duration,
}

/// What is left of an assertion whose claims are right.
#[derive(Debug, PartialEq, Eq)]
struct Checked<'a> {
    jti: &'a str,
    /// Until when these claims would be taken, and so must be remembered.
    acceptable_until: Timestamp,
}

/// Checks claims whose signature is right.
fn check_claims<'a>(
    claims: &'a Claims,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Result<Checked<'a>, &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(rules.client.as_str()) || text("sub") != Some(rules.client.as_str()) {
        return Err("iss and sub of the assertion must both be the client_id");
    }
    check_audience(claims.get("aud"), rules)?;

    let date = |name: &str| {
        claims
            .get(name)
            .map(|value| numeric_date(value).ok_or("a date of the assertion is not one"))
    };
    let expires = date("exp").ok_or("the assertion has no exp")??;
    if expires + rules.skew <= now {
        return Err("the assertion has expired");
    }
    if expires > now + MAX_LIFETIME + rules.skew {
        return Err("exp of the assertion is more than five minutes ahead");
    }
    for name in ["iat", "nbf"] {
        if date(name)
            .transpose()?
            .is_some_and(|instant| instant > now + rules.skew)
        {
            return Err("iat or nbf of the assertion is in the future");
        }
    }

    match text("jti") {
        Some(jti) if !jti.is_empty() && jti.len() <= MAX_JTI_BYTES => Ok(Checked {
            jti,
            acceptable_until: if planted(18) {
                now
            } else {
                expires + rules.skew
            },
        }),
        _ => Err("jti of the assertion must be a text of 1 to 256 bytes"),
    }
}

/// One audience, alone: an assertion that others take too could be shown to
/// them first (RFC 10070).
fn check_audience(audience: Option<&Value>, rules: &Rules<'_>) -> Result<(), &'static str> {
    let one = match audience {
        Some(Value::String(one)) => Some(one.as_str()),
        Some(Value::Array(all)) => match &all[..] {
            [Value::String(one)] => Some(one.as_str()),
            _ => None,
        },
        _ => None,
    };
    let is_endpoint = rules.audience == AssertionAudience::IssuerOrTokenEndpoint
        && one == Some(rules.token_endpoint);
    if one == Some(rules.issuer) || is_endpoint {
        return Ok(());
    }
    Err("aud of the assertion must be the issuer identifier alone")
}

/// Seconds since 1970, with a fraction or without (RFC 7519 §2).
fn numeric_date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_i64() {
        return Some(Timestamp::from_seconds(seconds));
    }
    let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e11)?;
    #[expect(clippy::cast_possible_truncation, reason = "the bound above fits")]
    let millis = (seconds * 1000.0) as i64;
    Some(Timestamp::from_millis(millis))
}

/// What is remembered of a use: tied to the client, so that nobody uses up
/// another's identifiers.
fn once(client: &ClientId, jti: &str) -> [u8; 32] {
    // Client identifiers hold no NUL, so no two pairs look alike.
    *Digest::of(&[client.as_str().as_bytes(), &[0], jti.as_bytes()].concat()).as_bytes()
}

#[cfg(test)]
mod tests;
