//! What is inside a token of this server, as far as an administrator may know:
//! ids, times, names; and the records that took back what it came of.

use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_store::Target;
use symbolon_token::{Authority, Id, Token};

use crate::cx::Cx;
use crate::endpoint::presented::{self, Body, Read};

use super::super::explanations::{records_of, shown, subject};
use super::super::failed::Failed;
use super::{Named, claimed_key};

/// What is known of a token, inside of which another may be signed, and what
/// was taken back of it.
pub(super) async fn of(cx: &Cx, (text, signed): (&str, &str)) -> Result<(Value, Value), Failed> {
    let key = claimed_key::of(signed).map(Target::Key);
    // Of a macaroon the root is read: what it came of, whatever was added.
    let Ok(read) = presented::read_to_revoke(cx, text) else {
        let records = records_of(cx, key.into_iter().collect(), Timestamp::EPOCH).await?;
        return Ok((Value::Null, records.into()));
    };
    let token = read.jti.parse::<Id<Token>>().ok();
    let issued = token.and_then(|token| cx.recent.find(token));
    let mut targets: Vec<Target> = token.map(Target::Token).into_iter().collect();
    let known = match (&read.body, &issued) {
        (Body::Opaque(own), _) => {
            targets.extend(Named::of_authority(&own.authority).targets());
            inside(&read, &own.authority, own.issued)
        }
        (Body::Jwt(_), Some(issued)) => {
            targets.extend(Named::of_authority(&issued.authority).targets());
            let mut known = shown(issued);
            known["jti"] = read.jti.clone().into();
            known
        }
        (Body::Jwt(own), None) => {
            targets.extend(Named::of_claims(cx, own).await?.targets());
            json!({
                "jti": read.jti, "at": own.issued.to_string(), "expires": own.expires.to_string(),
                "client": own.client, "subject": own.subject, "audience": own.claims.get("aud"),
                "scope": own.scopes.to_string(), "organization": own.claims.get("organization"),
                "bound": own.binding.is_bound(),
            })
        }
    };
    targets.extend(key);
    let records = records_of(cx, targets, issued_at(&read)).await?;
    Ok((known, records.into()))
}

fn issued_at(read: &Read) -> Timestamp {
    match &read.body {
        Body::Opaque(own) => own.issued,
        Body::Jwt(own) => own.issued,
    }
}

fn inside(read: &Read, authority: &Authority, issued: Timestamp) -> Value {
    json!({
        "jti": read.jti,
        "at": issued.to_string(),
        "expires": read.expires.to_string(),
        "client": authority.client(),
        "subject": subject(authority.subject()),
        "audience": authority.audiences().first(),
        "scope": authority.scopes().to_string(),
        "family": authority.family(),
        "grant": authority.grant(),
        "session": authority.session(),
        "organization": authority.organization(),
        "bound": authority.binding().is_bound(),
    })
}
