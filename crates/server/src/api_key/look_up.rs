//! The row that a text names, if the text is its own.
//!
//! A source that guesses is shut out from what would cost a look-up; keys that
//! are kept in memory pass, so nobody locks another's key out.
//!
//! Spec: RFC 6749 §10.10

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use symbolon_token::api_key::{self, ForeignDigest, KeyFlaw};
use symbolon_token::mark::Kind;
use symbolon_token::{ApiKey, Digest, Id};

use super::Kept;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::limit::WINDOW;

/// Who shows a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// From where the key came, where that is known. A resource server that
    /// does not say is counted as nobody: strangers must not use up its guesses.
    pub(crate) source: Option<IpAddr>,
    /// Which client asks.
    pub(crate) by: &'a str,
}

impl Asked<'_> {
    fn name(&self) -> String {
        // No client identifier holds a blank.
        format!("API key at {}", self.by)
    }

    fn check(&self, cx: &Cx) -> Result<(), Refusal> {
        let is_shut_out = |source| cx.guesses.is_shut_out(source, &self.name(), cx.now);
        if !self.source.is_some_and(is_shut_out) {
            return Ok(());
        }
        let seconds = u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX);
        let refusal = Refusal::invalid_request("too many wrong API keys from this address");
        Err(refusal.with_status(429).with_retry_after(seconds))
    }

    fn count(&self, cx: &Cx) {
        if let Some(source) = self.source {
            cx.guesses.count(source, &self.name());
        }
    }
}

/// A row whose key was shown.
pub(crate) struct Found {
    /// The facts.
    pub(crate) kept: Arc<Kept>,
    /// The mark of the key under which the digest is stored.
    pub(crate) key_mark: u64,
}

/// Whether a text is to be looked at as an API key.
pub(crate) fn is_shown(cx: &Cx, text: &str) -> bool {
    Kind::claimed_by(text) == Some(Kind::ApiKey)
        || cx.api_keys.has_imported() && api_key::is_foreign(text)
}

/// Finds the row of a key that was shown. It may be dead.
pub(crate) async fn look_up(
    cx: &Cx,
    text: &str,
    asked: Asked<'_>,
) -> Result<Result<Found, KeyFlaw>, Failure> {
    let found = match Kind::claimed_by(text) {
        Some(Kind::ApiKey) => {
            // A typo costs nobody a guess: a guess has a right checksum.
            let Some(claimed) = api_key::read(text) else {
                return Ok(Err(KeyFlaw::Form));
            };
            own(cx, text, (claimed.id, asked)).await?
        }
        _ if is_shown(cx, text) => foreign(cx, &ForeignDigest::of(text), asked).await?,
        _ => return Ok(Err(KeyFlaw::Form)),
    };
    if found.is_none() {
        asked.count(cx);
    }
    Ok(found.ok_or(KeyFlaw::Unknown))
}

async fn own(
    cx: &Cx,
    text: &str,
    (id, asked): (Id<ApiKey>, Asked<'_>),
) -> Result<Option<Found>, Failure> {
    let kept = match cx.api_keys.kept(id) {
        Some(kept) => Some(kept),
        None => {
            asked.check(cx)?;
            cx.api_keys.read(cx, id).await?
        }
    };
    let kept = kept.filter(|kept| !kept.facts.document.imported);
    Ok(same(kept, cx.keys.api_key_digests(text)))
}

async fn foreign(
    cx: &Cx,
    digest: &ForeignDigest,
    asked: Asked<'_>,
) -> Result<Option<Found>, Failure> {
    let current = cx.keys.digest_foreign_key(digest);
    let kept = match cx.api_keys.remembered(&current) {
        Some(None) => None,
        Some(Some(id)) => match cx.api_keys.kept(id) {
            Some(kept) => Some(kept),
            None => cx.api_keys.read(cx, id).await?,
        },
        None => {
            asked.check(cx)?;
            cx.api_keys.read_foreign(cx, digest).await?
        }
    };
    let kept = kept.filter(|kept| kept.facts.document.imported);
    Ok(same(kept, cx.keys.foreign_key_digests(digest)))
}

/// The row, if one of the digests is its own. A wrong one costs the same work
/// whether there is a row or not.
fn same(kept: Option<Arc<Kept>>, digests: impl Iterator<Item = (Digest, u64)>) -> Option<Found> {
    let nothing = Digest::from_bytes([0; 32]);
    let stored = kept.as_ref().map_or(nothing, |kept| kept.facts.digest);
    let mut right = None;
    for (digest, mark) in digests {
        if black_box(digest.matches(&stored)) {
            right = Some(mark);
        }
    }
    Some(Found {
        kept: kept?,
        key_mark: right?,
    })
}
