//! A status list: which tokens were taken back, for verifiers that read no feed.
//!
//! What it says follows from the revocations that this node knows of and from
//! who has which place, so it is made anew when either may have changed, and
//! at most once a second.
//!
//! Spec: draft-ietf-oauth-status-list-21 §5.1, §8

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_store::{APART, LoadStatusList, StatusEntry};
use symbolon_token::revocation::{Target, public_name};
use symbolon_token::status_list::{StatusBits, StatusList};
use symbolon_token::{Authority, Position, jwt};

use super::jwks::public;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::feed::Feed;
use crate::received::Received;
use crate::status_places::uri;

/// How long a list may be kept before it is asked for again, in seconds.
const TTL_SECONDS: u64 = 10;
/// How long it may be believed where nobody can be asked.
const EXPIRES_AFTER: Duration = Duration::from_secs(5 * 60);
/// How often one list is made at most.
const PACE: Duration = Duration::from_secs(1);
const MEDIA_TYPE: &str = "application/statuslist+jwt";

/// The lists that were made lately. Making one keeps the others waiting, so
/// that strangers cost no more than one at a time.
#[derive(Debug, Default)]
pub(crate) struct StatusLists(tokio::sync::Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    lists: HashMap<i64, MadeList>,
    /// The lists there were, and when that was read.
    there: Option<(Range<i64>, Timestamp)>,
}

#[derive(Debug)]
struct MadeList {
    text: Bytes,
    at: Timestamp,
    /// What was known of revocations.
    known: Position,
}

/// Answers `GET /status/{list}`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    if received.query()?.names("time") {
        // What was said at another time is not kept.
        let refusal = Refusal::invalid_request("lists of the past are not kept");
        return Err(refusal.with_status(501).into());
    }
    let accepted = received.header(&ACCEPT).unwrap_or("*/*");
    let is_accepted = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        [MEDIA_TYPE, "application/*", "*/*"]
            .iter()
            .any(|own| own.eq_ignore_ascii_case(range))
    };
    if !accepted.split(',').any(is_accepted) {
        let refusal = Refusal::invalid_request("a list comes as application/statuslist+jwt");
        return Err(refusal.with_status(406).into());
    }
    cx.check_fresh()?;
    let nothing = || Refusal::invalid_request("there is no such list").with_status(404);
    let list = number(&cx, &received).ok_or_else(nothing)?;
    let text = find(&cx, list).await?.ok_or_else(nothing)?;
    let mut response = public(text, TTL_SECONDS);
    let kind = HeaderValue::from_static(MEDIA_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// The number in the address, in its one spelling.
fn number(cx: &Cx, received: &Received) -> Option<i64> {
    let path = received.uri.path();
    let path = path.strip_prefix(cx.settings.issuer.path()).unwrap_or(path);
    let text = path.strip_prefix("/status/")?;
    let number = text.parse().ok().filter(|number| *number >= 0)?;
    (i64::to_string(&number) == text).then_some(number)
}

async fn find(cx: &Cx, list: i64) -> Result<Option<Bytes>, Failure> {
    let known = cx.feed.position();
    let mut made = cx.status_lists.0.lock().await;
    if let Some(own) = made.lists.get(&list)
        && own.known.epoch == known.epoch
    {
        let lasts = match own.known == known {
            true => Duration::from_secs(TTL_SECONDS),
            false => PACE,
        };
        if is_within(own.at, lasts, cx.now) {
            return Ok(Some(own.text.clone()));
        }
    }
    if let Some((there, at)) = &made.there
        && is_within(*at, PACE, cx.now)
        && !there.contains(&list)
    {
        return Ok(None);
    }
    // What was taken back stays so for verifiers whose clocks are behind this one.
    let now = cx.sure().min(cx.now) - APART;
    let read = cx.store.read(LoadStatusList { list, now }).await?;
    let is_there = read.lists.contains(&list);
    made.there = Some((read.lists, cx.now));
    if !is_there {
        return Ok(None);
    }
    let text = make(cx, list, read.entries).await?;
    let lasts = Duration::from_secs(TTL_SECONDS);
    made.lists.retain(|_, own| is_within(own.at, lasts, cx.now));
    let own = MadeList {
        text: text.clone(),
        at: cx.now,
        known,
    };
    made.lists.insert(list, own);
    Ok(Some(text))
}

/// Whether it is not so long ago; what lies ahead is a clock that was set back.
fn is_within(at: Timestamp, span: Duration, now: Timestamp) -> bool {
    at <= now && now.since(at) < span
}

/// Asks of each token whether it was taken back, and signs what comes out.
async fn make(cx: &Cx, list: i64, entries: Vec<StatusEntry>) -> Result<Bytes, Broken> {
    let (feed, keys) = (Arc::clone(&cx.feed), Arc::clone(&cx.keys));
    let (uri, issued) = (uri(&cx.settings, list), cx.now);
    let made = tokio::task::spawn_blocking(move || {
        let bits = bits(&feed, &entries)?;
        let key = keys
            .signer(SigningAlgorithm::Es256)
            .ok_or(Broken::Impossible("no key for a signing algorithm"))?;
        let list = StatusList {
            uri: &uri,
            issued,
            expires: issued + EXPIRES_AFTER,
            ttl: TTL_SECONDS,
        };
        Ok(Bytes::from(list.sign(key, &bits)))
    });
    made.await
        .map_err(|_| Broken::Impossible("a status list could not be made"))?
}

fn bits(feed: &Feed, entries: &[StatusEntry]) -> Result<StatusBits, Broken> {
    let mut bits = StatusBits::default();
    for entry in entries {
        let authority = Authority::decode(&entry.authority).ok_or(Broken::Impossible(
            "an entry of a status list is unreadable",
        ))?;
        let mut marks = jwt::marks(&authority, Some(entry.token), feed.blinding());
        marks.key = Some(public_name(Target::Key, &entry.kid));
        if feed.hit(&marks, authority.position()).is_some() {
            bits.take_back(u32::try_from(entry.place).unwrap_or(u32::MAX));
        }
    }
    Ok(bits)
}
