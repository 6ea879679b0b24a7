//! An ID token as a subject or actor token: it says who signed in and opens
//! nothing, so what comes of it has no scopes. Only the client that it was
//! made for may show it.
//!
//! Spec: RFC 8693 §3
//! Spec: OpenID Connect Core 1.0 §2, §3.1.3.7

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::{Agreement, Client, OrganizationId, Scopes, Timestamp};
use symbolon_store::{
    Engine, FindPerson, FindRevocations, FindSession, GrantsOf, MembershipsOf, Target as Record,
};
use symbolon_token::jose::Unverified;
use symbolon_token::revocation::{Target, pair_name, public_name};
use symbolon_token::{
    Actor, Ancestor, Authentication, Authority, Binding, Granted, Id, Person, Session, Subject,
};

use super::opened::{Asking, Holder, Opened, Reach};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::subject;

/// How many grants of one person to one client are put on record.
const MAX_GRANTS: usize = 8;

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
            lineage: Vec::new(),
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
    issued: Timestamp,
    expires: Timestamp,
    authentication: Option<Authentication>,
    kid: String,
}

/// Reads an ID token that was made for this client and has not expired.
fn read(cx: &Cx, client: &Client, text: &str) -> Result<Said, &'static str> {
    let (claims, kid) = verified(cx, text).ok_or("it is no ID token of this server")?;
    let say = |name: &str| claims.get(name).and_then(Value::as_str);
    if say("aud") != Some(client.id.as_str()) {
        return Err("it was made for another client");
    }
    let instant = |name: &str| {
        let seconds = claims.get(name).and_then(Value::as_i64);
        seconds.map(Timestamp::from_seconds)
    };
    let expires = instant("exp");
    let person = say("sub").and_then(|sub| subject::person(&cx.keys, client, sub));
    let session = say("sid").and_then(|sid| match subject::sector(client) {
        Some(sector) => cx.keys.session_of(&sector, sid),
        None => sid.parse().ok(),
    });
    Ok(Said {
        person: person.ok_or("it names no person")?,
        session: session.ok_or("it names no session")?,
        issued: instant("iat").ok_or("it does not say when it was issued")?,
        expires: expires
            .filter(|end| *end > cx.now)
            .ok_or("it has expired")?,
        authentication: authentication(&claims),
        kid,
    })
}

/// Whether what an ID token hangs on still stands, and by which names it could
/// be taken back. It carries no place in the feed, so the store is asked.
async fn standing(
    cx: &Cx,
    client: &Client,
    said: &Said,
) -> Result<Result<Vec<Ancestor>, &'static str>, Failure> {
    let (person, session) = (said.person, said.session);
    let found = cx.store.read(FindSession { id: session }).await?;
    if !found.is_some_and(|found| found.is_live(cx.now) && found.person == person) {
        return Ok(Err("the session has ended"));
    }
    let found = cx.store.read(FindPerson { id: person }).await?;
    if !found.is_some_and(|found| found.enabled) {
        return Ok(Err("the person is gone or disabled"));
    }
    let mut grants = cx.store.read(GrantsOf { person }).await?;
    // What was granted later was granted to others.
    let margin = margin(cx);
    let is_older = |created: Timestamp| created.seconds() <= (said.issued + margin).seconds();
    grants.retain(|grant| grant.client == client.id && is_older(grant.created));
    if grants.is_empty() || grants.len() > MAX_GRANTS {
        return Ok(Err("the person withdrew what they granted"));
    }
    if was_taken_back(cx, client, said).await? {
        return Ok(Err("what it was given for was taken back since"));
    }
    let name = |target, bytes: &[u8]| Ancestor {
        target,
        name: cx.keys.blinding().name(target, bytes),
    };
    let organization = match &client.organization {
        None => None,
        Some(own) if is_member(cx, person, own).await? => {
            Some(name(Target::Organization, own.as_str().as_bytes()))
        }
        Some(_) => return Ok(Err("the person is no member any more")),
    };
    let membership = organization.map(|own| Ancestor {
        target: Target::Membership,
        name: pair_name(
            Target::Membership,
            own.name,
            cx.keys.blinding().name(Target::Subject, person.as_bytes()),
        ),
    });
    let mut ancestors = vec![
        name(Target::Session, session.as_bytes()),
        name(Target::Subject, person.as_bytes()),
        name(Target::Client, client.id.as_str().as_bytes()),
        Ancestor {
            target: Target::Key,
            name: public_name(Target::Key, &said.kid),
        },
    ];
    ancestors.extend(organization);
    ancestors.extend(membership);
    let granted = grants.iter();
    ancestors.extend(granted.map(|grant| name(Target::Grant, grant.id.as_bytes())));
    Ok(Ok(ancestors))
}

/// How much later than an ID token something may seem to be that was before it:
/// what two clocks are apart.
fn margin(cx: &Cx) -> Duration {
    match cx.store.engine() {
        Engine::Sqlite => Duration::ZERO,
        Engine::Postgres => cx.settings.clock_skew,
    }
}

/// Whether anything that an ID token hangs on was taken back since it was
/// issued, though it stands again. A client that goes on, a person who is let in
/// again and a member who comes back got nothing back of what they had.
async fn was_taken_back(cx: &Cx, client: &Client, said: &Said) -> Result<bool, Failure> {
    let mut targets = vec![
        Record::Client(client.id.clone()),
        Record::Subject(said.person),
        Record::Session(said.session),
    ];
    if let Some(own) = &client.organization {
        targets.push(Record::Organization(own.clone()));
        targets.push(Record::Membership(own.clone(), said.person));
    }
    let found = cx.store.read(FindRevocations { targets }).await?;
    let since = (said.issued - margin(cx)).seconds();
    Ok(found.iter().any(|record| record.at.seconds() >= since))
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
