//! An access token of this server as a subject or actor token: its authority,
//! read back from however it was written down.
//!
//! Spec: RFC 8693 §3
//! Spec: RFC 9068 §4

use std::sync::Arc;

use symbolon_protocol::{Agreement, Client};
use symbolon_store::StoredClient;
use symbolon_token::authority::FOREIGN;
use symbolon_token::jwt::AccessToken;
use symbolon_token::{Actor, Authentication, Authority, Binding, Granted, Subject, act};

use super::opened::{Asking, Holder, Opened, Reach};
use crate::endpoint::presented::{self, Body, Read};
use crate::failure::Failure;
use crate::grant::subject;

pub(super) async fn open(
    asking: Asking<'_>,
    text: &str,
) -> Result<Result<Opened, &'static str>, Failure> {
    let opened = presented::open_read(asking.cx, text).await?;
    Ok(opened
        .map_err(|refused| refused.code())
        .and_then(|(read, issued_to)| of_read(asking, &read, &issued_to)))
}

/// What a token of ours permits now, whichever way it was written down.
pub(super) fn of_read(
    asking: Asking<'_>,
    read: &Read,
    issued_to: &StoredClient,
) -> Result<Opened, &'static str> {
    let (cx, client) = (asking.cx, asking.client);
    let issued_to = &issued_to.client;
    let authority = match &read.body {
        Body::Opaque(token) => Some(token.authority.kept(|_, _| Some(read.scopes.clone()))),
        Body::Jwt(token) => {
            let person = |sub: &str| subject::person(&cx.keys, issued_to, sub).map(Subject::Person);
            of_jwt(token, issued_to, read, person)
        }
    };
    let Some(authority) = authority else {
        return Err("a claim does not read back");
    };
    Ok(Opened {
        name: Actor {
            subject: subject::of(&cx.keys, client, authority.subject()),
            issuer: None,
        },
        authority,
        known: cx.position,
        ancestors: read.ancestors(cx),
        holder: Holder::Client(issued_to.id.clone()),
        sector: subject::sector(issued_to),
        bound_like: Binding::NONE,
        // However often it was exchanged since: a key is for its own APIs.
        reach: match cx.keys.made_api_key_of(&read.marks.lineage) {
            true => Reach::OwnApis,
            false => Reach::Moving,
        },
        says_scopes: true,
    })
}

/// The authority that a JWT of ours wrote down. Ids that it names only blinded
/// come along as the names of its ancestors.
fn of_jwt(
    token: &AccessToken,
    client: &Client,
    read: &Read,
    person: impl Fn(&str) -> Option<Subject>,
) -> Option<Authority> {
    let text = |name: &str| token.claims.get(name).and_then(|own| own.as_str());
    let texts = |name: &str| -> Option<Vec<String>> {
        let Some(value) = token.claims.get(name) else {
            return Some(Vec::new());
        };
        let all = value.as_array()?.iter();
        all.map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let time = token.claims.get("auth_time").and_then(|own| own.as_i64());
    let authentication = match time {
        None => None,
        Some(seconds) => Some(Authentication {
            time: symbolon_protocol::Timestamp::from_seconds(seconds),
            acr: text("acr").unwrap_or_default().into(),
            amr: texts("amr")?.into_iter().map(Arc::from).collect(),
        }),
    };
    Some(Authority::granted(Granted {
        subject: subject_of(&token.subject, client, person)?,
        client: client.id.clone(),
        audiences: vec![text("aud")?.parse().ok()?],
        scopes: read.scopes.clone(),
        agreement: Agreement::default(),
        expires: token.expires,
        organization: text("organization").map(str::parse).transpose().ok()?,
        roles: texts("roles")?,
        grant: None,
        family: None,
        session: None,
        authentication,
        binding: token.binding,
        actors: act::chain(&token.claims).ok()?,
        may_act: act::may_act(&token.claims).ok()?,
        lineage: read.marks.lineage.clone(),
        position: read.position,
    }))
}

fn subject_of(
    sub: &str,
    client: &Client,
    person: impl Fn(&str) -> Option<Subject>,
) -> Option<Subject> {
    if sub == client.id.as_str() {
        return Some(Subject::Client(client.id.clone()));
    }
    if sub.starts_with(FOREIGN) {
        return Some(Subject::Foreign(sub.into()));
    }
    // A client's identifier never begins as a person's does.
    person(sub).or_else(|| sub.parse().ok().map(Subject::Client))
}
