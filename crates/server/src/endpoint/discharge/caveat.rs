//! Makes a third-party caveat for a macaroon of the client that asks.
//!
//! `POST` a form with `token`, the macaroon; `require`, which is `sign-in`,
//! `membership` or `approval`; and what that needs: `within` (a span as in
//! `10m`, an hour at most), `organization`, or `person` (a user name or e-mail
//! address) with `purpose` (words for that person) and `scope` (what is to be
//! approved; else all that the macaroon began with and still has). The answer is
//! `{"location", "caveat_id", "caveat_key"}`, the last two in base64url:
//! whoever adds the caveat needs the key for it, and forgets it then.
//!
//! Whether a person exists is not told: a caveat about nobody is one that
//! nobody discharges.
//!
//! Spec: Macaroons NDSS 2014 §3.1

use std::time::Duration;

use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::json;
use symbolon_protocol::{Client, Lifetime, Parameters, Scopes};
use symbolon_store::FindPersonByName;
use symbolon_token::macaroon::{Asked, Permits, is_macaroon, make_caveat};
use symbolon_token::{Id, Person, Slot};

use crate::authn::client::authenticate;
use crate::cx::Cx;
use crate::endpoint::login::canonical_name;
use crate::endpoint::presented::{self, Read};
use crate::failure::{Failure, Refusal};
use crate::grant::subject;
use crate::received::Received;
use crate::respond;

/// How long ago a sign-in may be at most.
const MAX_WITHIN: Duration = Duration::from_secs(60 * 60);
/// How long the words for a person may be, in bytes.
const MAX_PURPOSE_BYTES: usize = 300;

/// Answers `POST /discharge/caveats`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let caller = authenticate(&cx, &received, &form).await?;
    let token = form
        .one("token")
        .ok_or(Refusal::invalid_request("token is missing"))?;
    let asked = asked(&cx, caller.client(), token, &form).await?;
    let made = make_caveat(
        &cx.keys,
        cx.bound(),
        (&asked, cx.position.sequence),
        cx.entropy(),
    );
    let answer = json!({
        "location": super::location(&cx),
        "caveat_id": BASE64_URL_SAFE_NO_PAD.encode(&made.id),
        "caveat_key": BASE64_URL_SAFE_NO_PAD.encode(made.key.expose()),
    });
    Ok(respond::json(StatusCode::OK, &answer))
}

async fn asked(cx: &Cx, client: &Client, token: &str, form: &Parameters) -> Result<Asked, Failure> {
    let dead = Refusal::invalid_grant("this is no live macaroon of this client");
    // Conditions and discharges do not matter: nothing is done with it here.
    let opened = presented::open_root(cx, token).await?;
    let root = opened
        .ok()
        .filter(|(read, _)| is_macaroon(token) && read.client == client.id.as_str());
    let (read, _) = root.ok_or(dead)?;
    let own = || {
        person(cx, client, &read).ok_or(Refusal::invalid_request(
            "the macaroon is not one of a person",
        ))
    };
    match form.one("require") {
        Some("sign-in") => Ok(Asked::SignedIn {
            person: own()?,
            client: client.id.clone(),
            within: within(form)?,
        }),
        Some("membership") => {
            let organization = form.one("organization").and_then(|id| id.parse().ok());
            Ok(Asked::Member {
                person: own()?,
                organization: organization.ok_or(Refusal::invalid_request(
                    "organization is missing or is none",
                ))?,
            })
        }
        Some("approval") => approval(cx, client, &read, form).await,
        _ => Err(Refusal::invalid_request("require is sign-in, membership or approval").into()),
    }
}

async fn approval(
    cx: &Cx,
    client: &Client,
    read: &Read,
    form: &Parameters,
) -> Result<Asked, Failure> {
    let name = form
        .one("person")
        .and_then(canonical_name)
        .ok_or(Refusal::invalid_request("person is missing"))?;
    let purpose = form.one("purpose").unwrap_or_default().to_owned();
    if purpose.len() > MAX_PURPOSE_BYTES || purpose.chars().any(char::is_control) {
        return Err(Refusal::invalid_request("purpose is too long, or not plain text").into());
    }
    let found = cx.store.read(FindPersonByName { name }).await?;
    let nobody = || Id::new(Slot::random(cx.entropy()), cx.entropy());
    let subject = match person(cx, client, read) {
        Some(id) => {
            let found = cx.store.read(symbolon_store::FindPerson { id }).await?;
            found.map(|person| person.username).unwrap_or_default()
        }
        None => String::new(),
    };
    let permits = permits(read, form)?;
    Ok(Asked::Approved {
        person: found.map_or_else(nobody, |person| person.id),
        client: client.id.clone(),
        subject,
        purpose,
        permits: Some(permits),
    })
}

/// What is to be approved: scopes of the macaroon, at its resource.
fn permits(read: &Read, form: &Parameters) -> Result<Permits, Refusal> {
    let audience = read.audience().and_then(|own| own.parse().ok());
    let audience = audience.ok_or(Refusal::invalid_request("the macaroon is for no resource"))?;
    let scopes = match form.one("scope") {
        // Scopes that come back later were not approved.
        None if read.scopes.is_empty() && !read.written_scopes().is_empty() => {
            return Err(Refusal::invalid_scope("the macaroon has no scope just now"));
        }
        None => read.scopes.clone(),
        Some(text) => {
            let asked: Scopes = text
                .parse()
                .map_err(|_| Refusal::invalid_scope("scope cannot be read"))?;
            if asked.is_empty() || !asked.is_within(&read.scopes) {
                let why = "scope is to be some of what the macaroon has";
                return Err(Refusal::invalid_scope(why));
            }
            asked
        }
    };
    let permits = Permits { audience, scopes };
    match permits.is_writable() {
        true => Ok(permits),
        false => Err(Refusal::invalid_scope(
            "too many scopes for one caveat: name in `scope` those that are needed",
        )),
    }
}

/// The person that a macaroon is about, whoever may know them by which name.
fn person(cx: &Cx, client: &Client, read: &Read) -> Option<Id<Person>> {
    match read.subject() {
        Some(subject) => subject.parse().ok(),
        None => subject::person(&cx.keys, client, read.claimed_subject()?),
    }
}

fn within(form: &Parameters) -> Result<Duration, Refusal> {
    let span: Option<Lifetime> = form.one("within").and_then(|span| span.parse().ok());
    let span = span.map(Lifetime::duration);
    span.filter(|span| !span.is_zero() && *span <= MAX_WITHIN)
        .ok_or(Refusal::invalid_request(
            "within is a span from 1s to 60m, as in 10m",
        ))
}
