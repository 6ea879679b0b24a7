//! What is inside a token of this server, as far as an administrator may know:
//! ids, times, names; and the records that took back what it came of.

use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_store::Target;
use symbolon_token::jose::Unverified;
use symbolon_token::{Authority, Id, Subject, Token};

use crate::cx::Cx;
use crate::endpoint::presented::{self, Body, Read};

use super::super::explanations::{records_of, shown, targets_of};
use super::super::failed::Failed;

/// What is known of a token, inside of which another may be signed, and what
/// was taken back of it.
pub(super) async fn of(cx: &Cx, (text, signed): (&str, &str)) -> Result<(Value, Value), Failed> {
    // Of a macaroon the root is read: what it came of, whatever was added.
    let Ok(read) = presented::read_to_revoke(cx, text) else {
        return Ok((Value::Null, json!([])));
    };
    let token = read.jti.parse::<Id<Token>>().ok();
    let issued = token.and_then(|token| cx.recent.find(token));
    let mut targets: Vec<Target> = token.map(Target::Token).into_iter().collect();
    let known = match (&read.body, &issued) {
        (Body::Opaque(own), _) => {
            targets.extend(of_authority(&own.authority));
            inside(&read, &own.authority, own.issued)
        }
        (Body::Jwt(_), Some(issued)) => {
            targets.extend(targets_of(issued));
            let mut known = shown(issued);
            known["jti"] = read.jti.clone().into();
            known
        }
        (Body::Jwt(own), None) => {
            targets.extend(own.client.parse().ok().map(Target::Client));
            targets.extend(own.subject.parse().ok().map(Target::Subject));
            json!({
                "jti": read.jti, "at": own.issued.to_string(), "expires": own.expires.to_string(),
                "client": own.client, "subject": own.subject, "audience": own.claims.get("aud"),
                "scope": own.scopes.to_string(), "organization": own.claims.get("organization"),
                "bound": own.binding.is_bound(),
            })
        }
    };
    let kid = Unverified::parse(signed).ok();
    targets.extend(kid.and_then(|own| own.claimed_kid().map(|kid| Target::Key(kid.to_owned()))));
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
    let subject = match authority.subject() {
        Subject::Person(person) => person.to_string(),
        Subject::Client(client) => client.to_string(),
        Subject::Foreign(text) => text.to_string(),
    };
    json!({
        "jti": read.jti,
        "at": issued.to_string(),
        "expires": read.expires.to_string(),
        "client": authority.client(),
        "subject": subject,
        "audience": authority.audiences().first(),
        "scope": authority.scopes().to_string(),
        "family": authority.family(),
        "grant": authority.grant(),
        "session": authority.session(),
        "organization": authority.organization(),
        "bound": authority.binding().is_bound(),
    })
}

fn of_authority(own: &Authority) -> Vec<Target> {
    let mut all = vec![Target::Client(own.client().clone())];
    all.extend(own.family().map(Target::Family));
    all.extend(own.grant().map(Target::Grant));
    all.extend(own.session().map(Target::Session));
    all.extend(own.organization().cloned().map(Target::Organization));
    all.extend(own.person().map(Target::Subject));
    let membership = own.organization().cloned().zip(own.person());
    all.extend(membership.map(|(of, person)| Target::Membership(of, person)));
    all
}
