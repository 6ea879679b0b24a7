//! A security event of somebody else's: checked like any JWT of a trusted
//! issuer before a word of it is believed.
//!
//! Spec: RFC 8417 §2.2, §4.5, §4.6
//! Spec: RFC 8725 §3.11
//! Spec: OpenID Shared Signals Framework 1.0 §4, §10

use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::{SubjectIdentifier, Timestamp};
use symbolon_token::jose::{Algorithm, Invalid, Unverified};

use super::NotTaken;
use crate::config::SignalSource;
use crate::cx::Cx;
use crate::outbox::security_event::SECURITY_EVENT_TYPE;

/// How old an event may be: as long its `jti` is remembered. The day on which that
/// ends is part of what remembers it, so another age would forget.
pub(super) const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a `jti` may be, in bytes.
const MAX_JTI_BYTES: usize = 256;
/// How many audiences one event may name.
const MAX_AUDIENCES: usize = 16;
/// How many keys are tried where the header names none.
const MAX_TRIES: usize = 8;

/// An event whose signature and claims are good. Only [`verify`] makes one.
pub(super) struct VerifiedEvent {
    pub(super) jti: String,
    pub(super) issued: Timestamp,
    /// What happened.
    pub(super) name: String,
    /// What is said of it.
    pub(super) payload: Map<String, Value>,
    /// To whom; nothing where the identifier is not understood.
    pub(super) subject: Option<SubjectIdentifier>,
}

/// Checks an event of a source that arrived at a time.
pub(super) async fn verify(
    cx: &Cx,
    source: &SignalSource,
    text: &str,
    arrived: Duration,
) -> Result<VerifiedEvent, NotTaken> {
    let malformed = |_| NotTaken::Request("the body is no signed token");
    let unverified = Unverified::parse(text).map_err(malformed)?;
    if unverified.claimed_type() != Some(SECURITY_EVENT_TYPE) {
        return Err(NotTaken::Request("the token is of another kind"));
    }
    let claims = verified(cx, source, &unverified, arrived).await?;
    check(source, cx.settings.clock_skew, &claims, cx.now)
}

async fn verified(
    cx: &Cx,
    source: &SignalSource,
    unverified: &Unverified<'_>,
    arrived: Duration,
) -> Result<Map<String, Value>, NotTaken> {
    let wrong = NotTaken::Key("the algorithm is not allowed");
    let algorithm = unverified.algorithm().ok_or(wrong)?;
    let allowed = |name: &String| Algorithm::named(name) == Some(algorithm);
    if !source.algorithms.is_empty() && !source.algorithms.iter().any(allowed) {
        return Err(wrong);
    }
    let kid = unverified.claimed_kid();
    let uri = &source.jwks_uri;
    let keys = cx.fetcher.key_set_knowing(uri, kid, arrived).await;
    // Whatever went wrong says nothing of the event: a refusal would have it dropped.
    let keys = keys.map_err(|_| NotTaken::NotNow("the keys of the source cannot be had now"))?;
    let mut outcome = Err(Invalid::UnknownKey);
    for key in keys.candidates(kid, algorithm).take(MAX_TRIES) {
        outcome = unverified.verify(key);
        if !matches!(outcome, Err(Invalid::Signature)) {
            break;
        }
    }
    outcome.map_err(|invalid| match invalid {
        Invalid::Payload => NotTaken::Request("the claims are malformed"),
        _ => NotTaken::Key("no key of the source has signed it"),
    })
}

fn check(
    source: &SignalSource,
    skew: Duration,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<VerifiedEvent, NotTaken> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(source.issuer.as_str()) {
        return Err(NotTaken::Issuer);
    }
    check_audience(claims.get("aud"), &source.audience)?;
    // With either it could be taken for a token about somebody.
    if claims.contains_key("sub") || claims.contains_key("exp") {
        return Err(NotTaken::Request("an event has neither sub nor exp"));
    }
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI_BYTES);
    let jti = jti.ok_or(NotTaken::Request("jti is a text of 1 to 256 bytes"))?;
    let issued = claims.get("iat").and_then(Value::as_i64);
    let issued = issued.filter(|at| (0..=Timestamp::FAR.seconds()).contains(at));
    let issued = issued.map(Timestamp::from_seconds);
    let issued = issued.ok_or(NotTaken::Request("iat is a number of seconds"))?;
    if issued > now + skew {
        return Err(NotTaken::Request("iat is in the future"));
    }
    if issued + MAX_AGE < now {
        return Err(NotTaken::Request("iat is more than a week ago"));
    }
    let events = claims.get("events").and_then(Value::as_object);
    let mut events = events.into_iter().flatten();
    let (Some((name, payload)), None) = (events.next(), events.next()) else {
        return Err(NotTaken::Request("events has one member"));
    };
    let payload = payload.as_object();
    let payload = payload.ok_or(NotTaken::Request("an event is an object"))?;
    let sub_id = claims.get("sub_id");
    let sub_id = sub_id.ok_or(NotTaken::Request("sub_id is missing"))?;
    Ok(VerifiedEvent {
        jti: jti.to_owned(),
        issued,
        name: name.clone(),
        payload: payload.clone(),
        subject: SubjectIdentifier::read(sub_id).ok(),
    })
}

fn check_audience(audience: Option<&Value>, own: &str) -> Result<(), NotTaken> {
    let is_own = match audience {
        Some(Value::String(one)) => one == own,
        Some(Value::Array(all)) if all.len() <= MAX_AUDIENCES => all.iter().any(|one| *one == own),
        _ => false,
    };
    if is_own {
        Ok(())
    } else {
        Err(NotTaken::Audience)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use symbolon_testkit::START;

    use super::*;

    const SKEW: Duration = Duration::from_secs(10);

    fn source() -> SignalSource {
        SignalSource {
            id: "partner".to_owned(),
            issuer: "https://partner.example.net".parse().unwrap(),
            jwks_uri: "https://partner.example.net/jwks".to_owned(),
            audience: "https://login.example.com".to_owned(),
            algorithms: Vec::new(),
            push: None,
            poll: None,
            subjects: Vec::new(),
            effects: Vec::new(),
            organization: None,
        }
    }

    fn good() -> Value {
        json!({
            "iss": "https://partner.example.net",
            "aud": "https://login.example.com",
            "jti": "1",
            "iat": START.seconds(),
            "sub_id": {"format": "email", "email": "alice@example.com"},
            "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}},
        })
    }

    fn checked(change: impl FnOnce(&mut Value)) -> Result<VerifiedEvent, NotTaken> {
        let mut claims = good();
        change(&mut claims);
        check(&source(), SKEW, claims.as_object().unwrap(), START)
    }

    #[test]
    fn whatever_is_wrong_with_an_event_is_told_by_its_code() {
        assert!(checked(|_| {}).is_ok());
        for (name, value, code) in [
            ("iss", json!("https://other.example.net"), "invalid_issuer"),
            (
                "iss",
                json!(["https://partner.example.net"]),
                "invalid_issuer",
            ),
            (
                "aud",
                json!("https://other.example.com"),
                "invalid_audience",
            ),
            ("aud", json!(null), "invalid_audience"),
            ("aud", json!([]), "invalid_audience"),
            ("sub", json!("usr_1"), "invalid_request"),
            ("exp", json!(START.seconds() + 60), "invalid_request"),
            ("jti", json!(""), "invalid_request"),
            ("jti", json!("x".repeat(257)), "invalid_request"),
            ("jti", json!(7), "invalid_request"),
            ("iat", json!("now"), "invalid_request"),
            ("iat", json!(-1), "invalid_request"),
            ("iat", json!(START.seconds() + 11), "invalid_request"),
            (
                "iat",
                json!(START.seconds() - 7 * 24 * 60 * 60 - 1),
                "invalid_request",
            ),
            ("events", json!({}), "invalid_request"),
            ("events", json!({"a": {}, "b": {}}), "invalid_request"),
            ("events", json!({"a": 1}), "invalid_request"),
            ("events", json!(["a"]), "invalid_request"),
        ] {
            let outcome = checked(|claims| claims[name] = value.clone());
            let refused = outcome.err().map(NotTaken::code);
            assert_eq!(refused, Some(code), "{name} = {value}");
        }
        for name in ["iss", "aud", "jti", "iat", "events", "sub_id"] {
            let outcome = checked(|claims| {
                claims.as_object_mut().unwrap().remove(name);
            });
            assert!(outcome.is_err(), "without {name}");
        }
    }

    #[test]
    fn a_subject_that_is_not_understood_is_nobody() {
        let known = checked(|_| {}).ok().unwrap();
        let other = checked(|claims| {
            claims["sub_id"] = json!({"format": "ip-addresses", "ip-addresses": []});
        });

        assert!(known.subject.is_some());
        assert_eq!(other.ok().unwrap().subject, None);
    }
}
