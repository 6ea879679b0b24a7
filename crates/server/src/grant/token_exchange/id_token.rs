//! An ID token as a subject or actor token: it says who signed in and opens
//! nothing, so what comes of it has no scopes. Only the client that it was
//! made for may show it.
//!
//! Spec: RFC 8693 §3
//! Spec: OpenID Connect Core 1.0 §2, §3.1.3.7

use std::sync::Arc;

use serde_json::{Map, Value};
use symbolon_protocol::{Agreement, Client, OrganizationId, Scopes, Timestamp};
use symbolon_store::{FindPerson, FindSession, GrantsOf, MembershipsOf};
use symbolon_token::jose::Unverified;
use symbolon_token::revocation::{Marks, Position, Target};
use symbolon_token::{
    Actor, Ancestor, Authentication, Authority, Binding, Granted, Id, Person, Session, Subject, jwt,
};

use super::opened::{Asking, Holder, Opened, Reach};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::subject;

pub(super) async fn open(
    asking: Asking<'_>,
    text: &str,
) -> Result<Result<Opened, &'static str>, Failure> {
    let (cx, client) = (asking.cx, asking.client);
    let said = match read(cx, client, text) {
        Ok(said) => said,
        Err(cause) => return Ok(Err(cause)),
    };
    let ancestors = match standing(cx, client, &said).await? {
        Ok(ancestors) => ancestors,
        Err(cause) => return Ok(Err(cause)),
    };
    Ok(Ok(Opened {
        name: Actor {
            subject: subject::of_person(&cx.keys, client, said.person),
            issuer: None,
        },
        authority: Authority::granted(Granted {
            subject: Subject::Person(said.person),
            client: client.id.clone(),
            audiences: Vec::new(),
            scopes: Scopes::empty(),
            agreement: Agreement::default(),
            expires: said.expires,
            organization: client.organization.clone(),
            roles: Vec::new(),
            grant: None,
            family: None,
            session: None,
            authentication: said.authentication,
            binding: Binding::NONE,
            actors: Vec::new(),
            may_act: None,
            lineage: said.marks.lineage,
            position: cx.position,
        }),
        known: cx.position,
        ancestors,
        holder: Holder::Client(client.id.clone()),
        sector: subject::sector(client),
        bound_like: Binding::NONE,
        reach: Reach::Moving,
        says_scopes: false,
    }))
}

/// What an ID token says.
struct Said {
    person: Id<Person>,
    session: Id<Session>,
    expires: Timestamp,
    authentication: Option<Authentication>,
    /// What a record could hit it by, and where the feed stood.
    marks: Marks,
    position: Position,
}

/// Reads an ID token that was made for this client and has not expired.
fn read(cx: &Cx, client: &Client, text: &str) -> Result<Said, &'static str> {
    let (claims, kid) = verified(cx, text).ok_or("it is no ID token of this server")?;
    let say = |name: &str| claims.get(name).and_then(Value::as_str);
    if say("aud") != Some(client.id.as_str()) {
        return Err("it was made for another client");
    }
    let expires = claims.get("exp").and_then(Value::as_i64);
    let expires = expires.map(Timestamp::from_seconds);
    let person = say("sub").and_then(|sub| subject::person(&cx.keys, client, sub));
    let session = say("sid").and_then(|sid| match subject::sector(client) {
        Some(sector) => cx.keys.session_of(&sector, sid),
        None => sid.parse().ok(),
    });
    let (person, session) = (
        person.ok_or("it names no person")?,
        session.ok_or("it names no session")?,
    );
    let rev = jwt::rev(&claims, Some(&kid)).ok().flatten();
    let (marks, position) = rev.ok_or("it does not say what it hangs on")?;
    let name = |target, bytes: &[u8]| Some(cx.keys.blinding().name(target, bytes));
    Ok(Said {
        person,
        session,
        marks: Marks {
            session: name(Target::Session, session.as_bytes()),
            subject: name(Target::Subject, person.as_bytes()),
            // Its audience is a client.
            resource: None,
            ..marks
        },
        position,
        expires: expires
            .filter(|end| *end > cx.now)
            .ok_or("it has expired")?,
        authentication: authentication(&claims),
    })
}

/// Whether what an ID token hangs on still stands, and by which names it could
/// be taken back. What was taken back since it was issued counts, though it may
/// be there again: a client that goes on, a person who is let in again and a
/// member who comes back got nothing back of what they had.
async fn standing(
    cx: &Cx,
    client: &Client,
    said: &Said,
) -> Result<Result<Vec<Ancestor>, &'static str>, Failure> {
    cx.check_fresh()?;
    let mut marks = said.marks.clone();
    let name = |target, bytes: &[u8]| cx.keys.blinding().name(target, bytes);
    if let Some(own) = &client.organization {
        marks.organization = Some(name(Target::Organization, own.as_str().as_bytes()));
    }
    if [&said.marks, &marks]
        .iter()
        .any(|marks| cx.feed.hit(marks, said.position).is_some())
    {
        return Ok(Err("what it was given for was taken back since"));
    }
    let (person, session) = (said.person, said.session);
    let found = cx.store.read(FindSession { id: session }).await?;
    if !found.is_some_and(|found| found.is_live(cx.now) && found.person == person) {
        return Ok(Err("the session has ended"));
    }
    let found = cx.store.read(FindPerson { id: person }).await?;
    if !found.is_some_and(|found| found.enabled) {
        return Ok(Err("the person is gone or disabled"));
    }
    let grants = cx.store.read(GrantsOf { person }).await?;
    let is_own = |id: &[u8]| Some(name(Target::Grant, id)) == marks.grant;
    if !grants.iter().any(|grant| is_own(grant.id.as_bytes())) {
        return Ok(Err("the person withdrew what they granted"));
    }
    if let Some(own) = &client.organization
        && !is_member(cx, person, own).await?
    {
        return Ok(Err("the person is no member any more"));
    }
    let mut ancestors = said.marks.ancestors();
    let more = marks.ancestors();
    let known = ancestors.clone();
    ancestors.extend(more.into_iter().filter(|own| !known.contains(own)));
    Ok(Ok(ancestors))
}

async fn is_member(
    cx: &Cx,
    person: Id<Person>,
    organization: &OrganizationId,
) -> Result<bool, Failure> {
    let all = cx.store.read(MembershipsOf { person }).await?;
    let mut all = all.into_iter().map(|own| own.organization);
    Ok(all.any(|own| own.id == *organization && own.enabled))
}

/// The claims of an ID token of this server, whenever it was made.
fn verified(cx: &Cx, text: &str) -> Option<(Map<String, Value>, String)> {
    let token = Unverified::parse(text).ok()?;
    if token.claimed_type() != Some("jwt") {
        return None;
    }
    let own = Arc::clone(&cx.app.keys.load().own);
    let kid = token.claimed_kid()?;
    let key = own.candidates(Some(kid), token.algorithm()?).next()?;
    let claims = token.verify(key).ok()?;
    let is_own = claims.get("iss")?.as_str()? == cx.settings.issuer.as_str();
    is_own.then(|| (claims, kid.to_owned()))
}

fn authentication(claims: &Map<String, Value>) -> Option<Authentication> {
    let seconds = claims.get("auth_time")?.as_i64()?;
    let methods = claims.get("amr").and_then(Value::as_array);
    Some(Authentication {
        time: Timestamp::from_seconds(seconds),
        acr: claims
            .get("acr")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .into(),
        amr: methods
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(Arc::from)
            .collect(),
    })
}
