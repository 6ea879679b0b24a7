//! Userinfo: what the person agreed to tell, to whoever holds a token with
//! `openid`.
//!
//! The audience check here is "one of ours": any access token of this issuer
//! that carries `openid` is good, whatever API it is meant for.
//!
//! Spec: OpenID Connect Core 1.0 §5.3
//! Spec: RFC 6750 §2.1, §2.2, §3
//! Spec: RFC 9449 §7.1, §9

use axum::response::Response;
use http::StatusCode;
use symbolon_protocol::{EncryptedAnswer, ErrorCode};
use symbolon_store::FindPerson;

use super::bearer::{bad_token, in_header, no_token, open};
use super::live::Live;
use super::presented;
use crate::cx::Cx;
use crate::encryption;
use crate::failure::{Broken, Failure, Refusal};
use crate::grant::id_token;
use crate::grant::mapped_claims::{self, Facts};
use crate::holder::{Scheme, Shown, next_nonce};
use crate::received::Received;
use crate::respond;

/// Answers `GET /userinfo`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let shown = in_header(&received)?.ok_or_else(no_token)?;
    answer(&cx, &received, shown).await
}

/// Answers `POST /userinfo`, with the token in the header or in the form.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let in_header = in_header(&received)?;
    let in_body = if received.is_form() {
        let form = received.form();
        let form = form.map_err(|refusal| Scheme::Bearer.challenge(refusal, ""))?;
        form.one("access_token").map(str::to_owned)
    } else {
        None
    };
    if let (Some(shown), Some(_)) = (&in_header, &in_body) {
        let refusal = Refusal::invalid_request("the token was sent in two ways");
        return Err(shown.scheme.challenge(refusal, "").into());
    }
    let in_body = in_body.as_deref().map(|token| Shown {
        scheme: Scheme::Bearer,
        token,
    });
    let shown = in_header.or(in_body).ok_or_else(no_token)?;
    answer(&cx, &received, shown).await
}

async fn answer(cx: &Cx, received: &Received, shown: Shown<'_>) -> Result<Response, Failure> {
    let check = |live: &Live| match live.person.is_some() && live.scopes.contains("openid") {
        true => Ok(()),
        false => {
            let refusal = Refusal::new(ErrorCode::InsufficientScope, "this needs the scope openid");
            Err(shown.scheme.challenge(refusal, r#", scope="openid""#))
        }
    };
    let live = match open(cx, received, shown, check).await? {
        Ok(live) => live,
        Err(refused) => {
            tracing::debug!(request = %cx.request, check = refused.check().name(), code = refused.code(), "refused");
            cx.recent
                .token(cx, &refused, presented::claimed_jti(shown.token));
            return Err(bad_token(shown.scheme, "the access token is not good").into());
        }
    };
    let gone = Broken::Impossible("userinfo of a token without a person");
    let person = live.person.ok_or(gone)?;
    let Some(found) = cx
        .store
        .read(FindPerson { id: person })
        .await?
        .filter(|found| found.enabled)
    else {
        return Err(bad_token(shown.scheme, "the access token is not good").into());
    };
    let client = &live.client.client;
    let mut claims = id_token::for_userinfo(&found, &live.scopes, client, &live.claims);
    let facts = Facts {
        person: Some(&found),
        organization: live.organization.as_deref(),
        roles: &live.roles,
    };
    claims.extend(mapped_claims::for_client(cx, client, &live.scopes, facts)?);
    claims.insert("sub".to_owned(), live.subject.as_str().into());
    let mut response = respond_with(cx, &live, claims).await?;
    if shown.scheme == Scheme::Dpop
        && let Some(nonce) = next_nonce(cx)
    {
        response.headers_mut().insert(respond::DPOP_NONCE, nonce);
    }
    Ok(response)
}

/// Plain JSON, or a JWT where the client registered one. What is encrypted is
/// signed first, whether that was asked for or not: a public key is no secret,
/// so what is encrypted alone could be anybody's.
async fn respond_with(
    cx: &Cx,
    live: &Live,
    mut claims: serde_json::Map<String, serde_json::Value>,
) -> Result<Response, Failure> {
    let client = &live.client.client;
    let encrypted = client.encryption.of(EncryptedAnswer::Userinfo);
    let always = encrypted.map(|_| client.id_token_signed_response_alg);
    let Some(algorithm) = client.userinfo_signed_response_alg.or(always) else {
        return Ok(respond::json(StatusCode::OK, &claims));
    };
    let key = cx
        .keys
        .signer(algorithm)
        .ok_or(Broken::Impossible("no key for a signing algorithm"))?;
    claims.insert("iss".to_owned(), cx.settings.issuer.as_str().into());
    claims.insert("aud".to_owned(), client.id.as_str().into());
    // A map of strings and numbers always serialises.
    let payload = serde_json::to_vec(&claims).unwrap_or_default();
    let signed = key.sign("userinfo+jwt", &payload);
    let text = encryption::to_client(cx, client, EncryptedAnswer::Userinfo, signed).await?;
    Ok(respond::typed("application/jwt", text))
}
