//! Asks for the discharge of a caveat, and waits for it.
//!
//! `POST /discharge` with `id`, the caveat's identifier in base64url. Where it
//! is known at once, the answer is 200 `{"discharge"}`. Where a person has to
//! decide it is 202 `{"interaction_uri", "poll_token", "interval",
//! "expires_in"}` (seconds): whoever waits shows the person the address, and
//! sends `poll_token` to `POST /discharge/poll`, which answers 202 while nobody
//! has decided, 200 `{"discharge"}` once, or 403 `access_denied`.
//!
//! Whoever has the identifier may ask: it is sealed, and what comes of it is
//! worth nothing without the macaroon that it is bound to.
//!
//! Spec: Macaroons NDSS 2014 §2.2

use std::time::Duration;

use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::json;
use symbolon_protocol::Timestamp;
use symbolon_store::{
    Attempt, CountAttempt, FindPerson, MembershipsOf, OpenDischarge, PollDischarge, Polled,
    TakeDischarge, Taken,
};
use symbolon_token::macaroon::{Asked, Caveat, Given, OpenedCaveat, discharge, open_caveat};
use symbolon_token::mark::{Kind, read_fixed, write_fixed};
use symbolon_token::{Digest, Id, Marks, random};

use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::limit::network;
use crate::received::Received;
use crate::respond;

/// How long a person has.
const WAIT: Duration = Duration::from_secs(10 * 60);
/// How often to ask, in seconds.
const INTERVAL_SECONDS: u64 = 2;
/// How long an identifier may be, in characters.
const MAX_ID_CHARACTERS: usize = 4096;
/// How many times one caveat may be asked for, and one network may ask, in an
/// hour: each brings a question before a person.
const ASKED_PER_CAVEAT: u32 = 10;
const ASKED_PER_NETWORK: u32 = 100;
const WINDOW_SECONDS: u32 = 60 * 60;

/// Answers `POST /discharge`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    cx.check_fresh()?;
    let id = form
        .one("id")
        .filter(|id| id.len() <= MAX_ID_CHARACTERS)
        .and_then(|id| BASE64_URL_SAFE_NO_PAD.decode(id).ok());
    let foreign = || Refusal::invalid_request("id is not a caveat of this server");
    let id = id.ok_or_else(foreign)?;
    let opened = open_caveat(&cx.keys, cx.bound(), &id).map_err(|_| foreign())?;
    match &opened.asked {
        Asked::Member { .. } => member(&cx, &opened, &id).await,
        Asked::SignedIn { .. } | Asked::Approved { .. } => wait(&cx, &opened, id).await,
    }
}

async fn member(cx: &Cx, opened: &OpenedCaveat, id: &[u8]) -> Result<Response, Failure> {
    let Asked::Member {
        person,
        organization,
    } = &opened.asked
    else {
        return Err(Broken::Impossible("a caveat about something else").into());
    };
    let found = cx.store.read(FindPerson { id: *person }).await?;
    let lives = found.is_some_and(|person| person.enabled);
    let all = cx.store.read(MembershipsOf { person: *person }).await?;
    let is_member = all
        .iter()
        .any(|own| own.organization.id == *organization && own.organization.enabled);
    if lives && is_member {
        let end = cx.now + cx.settings.lifetimes.access_token.duration();
        return give(cx, opened, id, end);
    }
    Err(Refusal::access_denied("the person is no member of this organization").into())
}

/// Gives a discharge, unless the word or membership that it would rest on was
/// taken back since the caveat was made: it would be dead already.
fn give(cx: &Cx, opened: &OpenedCaveat, id: &[u8], end: Timestamp) -> Result<Response, Failure> {
    let given = Given::of(&opened.asked, opened.since);
    let marks = Marks {
        lineage: given.ancestors(cx.keys.blinding()),
        ..Marks::default()
    };
    if cx.feed.hit(&marks, opened.since).is_some() {
        let why = "what this rests on was taken back since the caveat was made; make another";
        return Err(Refusal::access_denied(why).into());
    }
    // An end is written to the second, so it is brought down to one.
    let end = Timestamp::from_seconds(end.seconds());
    let text = discharge(opened, id, &super::location(cx), &[Caveat::Before(end)]);
    let text = text.map_err(|_| Broken::Impossible("a caveat that was opened is too large"))?;
    Ok(respond::json(StatusCode::OK, &json!({ "discharge": text })))
}

async fn wait(cx: &Cx, opened: &OpenedCaveat, caveat: Vec<u8>) -> Result<Response, Failure> {
    let place = network(cx.address).to_string();
    for (label, part, limit) in [
        ("discharge-network", place.as_bytes(), ASKED_PER_NETWORK),
        ("discharge-caveat", &*caveat, ASKED_PER_CAVEAT),
    ] {
        let act = CountAttempt {
            name: cx.keys.form_mac(label, &[part]),
            window_seconds: WINDOW_SECONDS,
            limit,
            now: cx.now,
        };
        if let Attempt::Limited { until } = cx.store.act(act).await? {
            let seconds = until.since(cx.now).as_secs().max(1);
            let refusal = Refusal::access_denied("this was asked for too often");
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            return Err(refusal.with_status(429).with_retry_after(seconds).into());
        }
    }
    let id = Id::new(opened.asked.person().slot(), cx.entropy());
    let secret: [u8; 24] = random(cx.entropy());
    let act = OpenDischarge {
        id,
        secret: Digest::of(&secret),
        caveat,
        place,
        expires: cx.now + WAIT,
    };
    cx.store.act(act).await?;
    let page = cx.settings.issuer.endpoint("/approve");
    let answer = json!({
        "interaction_uri": format!("{page}?request={id}"),
        "poll_token": write_fixed(Kind::Transaction, &[&id.as_bytes()[..], &secret].concat()),
        "interval": INTERVAL_SECONDS,
        "expires_in": WAIT.as_secs(),
    });
    Ok(respond::json(StatusCode::ACCEPTED, &answer))
}

/// Answers `POST /discharge/poll`.
pub(crate) async fn poll(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    cx.check_fresh()?;
    let over = || Refusal::invalid_grant("nobody waits for this any more");
    let presented = form
        .one("poll_token")
        .and_then(|text| read_fixed::<44>(Kind::Transaction, text))
        .ok_or_else(over)?;
    let mut id = [0; 16];
    id.copy_from_slice(&presented[..16]);
    let (id, now) = (Id::from_bytes(id).ok_or_else(over)?, cx.now);
    let secret = Digest::of(&presented[16..40]);
    let waiting = || {
        let answer = json!({ "interval": INTERVAL_SECONDS });
        Ok(respond::json(StatusCode::ACCEPTED, &answer))
    };
    let look = PollDischarge { id, secret, now };
    match cx.store.read(look).await? {
        Polled::Waiting => return waiting(),
        Polled::Unknown => return Err(over().into()),
        Polled::Decided => {}
    }
    let act = TakeDischarge { id, secret, now };
    match cx.store.act(act).await? {
        Taken::Waiting => waiting(),
        Taken::Denied => Err(Refusal::access_denied("the person said no").into()),
        Taken::Unknown => Err(over().into()),
        Taken::Given { caveat, decided } => {
            let opened = open_caveat(&cx.keys, cx.bound(), &caveat).map_err(|_| over())?;
            let lasts = match &opened.asked {
                Asked::SignedIn { within, .. } => *within,
                _ => cx.settings.lifetimes.access_token.duration(),
            };
            give(&cx, &opened, &caveat, decided + lasts)
        }
    }
}
