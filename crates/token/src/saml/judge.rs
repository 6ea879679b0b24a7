//! Whether what a signed assertion says lets it be accepted here and now.
//!
//! Spec: RFC 7522 §3
//! Spec: SAML 2.0 Core §2.5.1
//! Spec: SAML 2.0 Profiles §4.1.4.2

use std::time::Duration;

use symbolon_protocol::Timestamp;

use super::assertion::{Confirmation, Read};
use super::refused::Refused;

/// What whoever accepts an assertion demands of it.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who accepts it: the identifiers of this party. Any one will do.
    pub audiences: &'a [&'a str],
    /// Where it is handed over: addresses of this endpoint. Any one will do.
    pub recipients: &'a [&'a str],
    /// Which request it answers. Where `None`, it may answer none.
    pub in_response_to: Option<&'a str>,
    /// How long it may still live. What it is remembered for to be used once
    /// ends with it, so this bounds that memory.
    pub longest: Duration,
    /// How far clocks may differ.
    pub skew: Duration,
    /// What time it is.
    pub now: Timestamp,
}

/// Judges conditions and confirmations; the answer is the end that counts.
pub(super) fn judge(read: &Read, expected: &Expected<'_>) -> Result<Timestamp, Refused> {
    let now = expected.now;
    check_beginnings(read, now, expected.skew)?;
    for expires in ends(read) {
        check_end(expires, expected)?;
    }
    check_audience(read, expected)?;
    let confirmed = confirm(read, expected)?;
    let expires = ends(read).fold(confirmed, Timestamp::min);
    if expires > now + expected.longest {
        return Err(Refused::TooLong { expires });
    }
    Ok(expires)
}

/// Judges the dates of an assertion of this server. Another of its nodes may
/// have written it, whose clock is ahead.
pub(super) fn judge_own(
    read: &Read,
    now: Timestamp,
    past_end: Duration,
) -> Result<Timestamp, Refused> {
    check_beginnings(read, now, APART)?;
    let confirmed = read.bearers.iter().filter_map(|bearer| bearer.expires);
    let expires = ends(read).chain(confirmed).min();
    let expires = expires.ok_or(Refused::Schema("NotOnOrAfter"))?;
    if now >= expires + past_end {
        return Err(Refused::Expired { expires, now });
    }
    Ok(expires)
}

/// How far the clocks of two nodes may be apart.
const APART: Duration = Duration::from_secs(60);

/// Where it says that it ends, confirmations aside.
fn ends(read: &Read) -> impl Iterator<Item = Timestamp> {
    let session = read
        .authentication
        .as_ref()
        .and_then(|own| own.session_ends);
    [read.expires, session].into_iter().flatten()
}

fn check_beginnings(read: &Read, now: Timestamp, skew: Duration) -> Result<(), Refused> {
    for begins in [read.begins, Some(read.issued)].into_iter().flatten() {
        if begins > now + skew {
            return Err(Refused::NotYet { begins, now });
        }
    }
    Ok(())
}

fn check_end(expires: Timestamp, expected: &Expected<'_>) -> Result<(), Refused> {
    let now = expected.now;
    if now >= expires + expected.skew {
        return Err(Refused::Expired { expires, now });
    }
    Ok(())
}

/// Every restriction has to name this party, and there has to be one.
fn check_audience(read: &Read, expected: &Expected<'_>) -> Result<(), Refused> {
    let names_us = |restriction: &Vec<String>| {
        restriction
            .iter()
            .any(|own| expected.audiences.contains(&own.as_str()))
    };
    if read.audiences.is_empty() || !read.audiences.iter().all(names_us) {
        return Err(Refused::Audience {
            found: read.audiences.concat(),
        });
    }
    Ok(())
}

/// Finds the confirmations that let a bearer hand it over here; the latest end
/// counts, so that who remembers the assertion until then has seen the last of it.
///
// Differs from RFC 7522 §3, item 5: a confirmation without data, which the
// issuer may write where the conditions have an end, is refused. It would let
// an assertion made for one endpoint be handed over at every other.
fn confirm(read: &Read, expected: &Expected<'_>) -> Result<Timestamp, Refused> {
    let (mut latest, mut refused) = (None, None);
    for bearer in &read.bearers {
        match judge_bearer(bearer, expected) {
            Ok(expires) => latest = latest.max(Some(expires)),
            // The last one is told, unless an earlier one was meant for here.
            Err(found @ Refused::Recipient { .. }) => {
                refused.get_or_insert(found);
            }
            Err(found) => refused = Some(found),
        }
    }
    let refused = refused.unwrap_or(Refused::Recipient { found: Vec::new() });
    latest.ok_or(refused)
}

fn judge_bearer(bearer: &Confirmation, expected: &Expected<'_>) -> Result<Timestamp, Refused> {
    let here = bearer
        .recipient
        .as_deref()
        .is_some_and(|own| expected.recipients.contains(&own));
    if !here {
        return Err(Refused::Recipient {
            found: bearer.recipient.iter().cloned().collect(),
        });
    }
    if bearer.begins.is_some() {
        return Err(Refused::Schema("NotBefore"));
    }
    let expires = bearer.expires.ok_or(Refused::Schema("NotOnOrAfter"))?;
    check_end(expires, expected)?;
    if bearer.in_response_to.as_deref() != expected.in_response_to {
        return Err(Refused::InResponseTo);
    }
    Ok(expires)
}
