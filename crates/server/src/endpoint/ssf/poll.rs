//! What waits in a stream, for a receiver that asks.
//!
//! What was taken is forgotten, what cannot be taken is a dead letter, and what
//! is answered comes again until one of both is said of it. Until then nothing
//! else is answered of the same person: `sets` has no order.
//!
//! Spec: RFC 8936 §2.2, §2.3, §2.4, §2.5, §2.6

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};
use symbolon_store::{
    FetchMessages, MessageId, Refusal as Refused, STREAM, SignalStream, StoredClient, StreamStatus,
};

use super::{Right, body, find, no_stream, receiver};
use crate::cx::Cx;
use crate::endpoint::bearer::{check_still_good, with_nonce};
use crate::failure::{Failure, Refusal};
use crate::outbox::security_event;
use crate::received::Received;
use crate::respond;

/// How many events one answer holds at most.
const MAX_EVENTS: u32 = 100;
/// How many events a request may speak of.
const MAX_NAMED: usize = 1000;
/// How long a receiver waits that does not want to be answered at once.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// What a receiver asks.
struct Asked {
    limit: u32,
    waits: bool,
    taken: Vec<MessageId>,
    refused: Vec<Refused>,
}

/// Answers `POST /ssf/poll/{stream}`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Look).await?;
    let id = received.uri.path().rsplit('/').next().unwrap_or_default();
    let mut stream = fetched(&cx, &client, id).await?;
    let mut asked = Asked::read(&body(&received)?)?;
    let mut left = PATIENCE;
    // Whoever waits holds a place of its own, and there are not many.
    let place = cx.long_polls.try_acquire();
    loop {
        let (sets, more) = fetch(&cx, &client, &stream, &mut asked).await?;
        // All that was read is withheld, and something waits behind it.
        let looks_on = sets.is_empty() && !asked.taken.is_empty() && more;
        let waits = asked.waits && place.is_ok() && sets.is_empty() && asked.limit > 0;
        if !(looks_on || waits) || left.is_zero() || cx.is_draining() {
            forget(&cx, &stream, asked.taken).await?;
            let answer = json!({ "sets": sets, "moreAvailable": more });
            let response = respond::json(StatusCode::OK, &answer);
            return Ok(with_nonce(&cx, &received, response));
        }
        if !looks_on {
            tokio::time::sleep(LOOK).await;
        }
        // Looking on counts as a wait does: a request looks only so often.
        left = left.saturating_sub(LOOK);
        // Whoever waits may have lost what let them ask.
        check_still_good(&cx, &received, Right::Look.scopes()).await?;
        stream = fetched(&cx, &client, id).await?;
    }
}

/// The stream, if it is fetched.
async fn fetched(cx: &Cx, client: &StoredClient, id: &str) -> Result<SignalStream, Failure> {
    let (stream, _) = find(cx, client, id).await?;
    if stream.fetches {
        Ok(stream)
    } else {
        Err(no_stream().into())
    }
}

/// Says what was taken, once, and reads what waits; whether more does. What the
/// client may not know any more is passed over.
async fn fetch(
    cx: &Cx,
    client: &StoredClient,
    stream: &SignalStream,
    asked: &mut Asked,
) -> Result<(Map<String, Value>, bool), Failure> {
    let receiver = format!("{STREAM}{}", stream.id);
    let is_on = stream.status == StreamStatus::Enabled;
    let speaks = !asked.taken.is_empty() || !asked.refused.is_empty();
    let act = FetchMessages {
        receiver: receiver.clone(),
        taken: std::mem::take(&mut asked.taken),
        refused: std::mem::take(&mut asked.refused),
        // One more than is answered tells whether there is more.
        limit: if is_on { asked.limit + 1 } else { 0 },
        now: cx.now,
    };
    // Looking alone writes nothing.
    let mut found = match speaks {
        true => cx.store.act(act).await?,
        false => cx.store.read(act).await?,
    };
    let most = asked.limit as usize;
    let more = match found.len() {
        0 => false,
        count if count > most => true,
        count => {
            let more = FetchMessages::more_than(count, receiver);
            cx.store.read(more).await?
        }
    };
    found.truncate(most);
    let mut sets = Map::new();
    for waiting in &found {
        match security_event::mint(cx, &client.client, stream, waiting).await? {
            Some(event) => {
                sets.insert(waiting.id.to_string(), event.into());
            }
            None => asked.taken.push(waiting.id),
        }
    }
    Ok((sets, more))
}

/// Forgets what was passed over: it would be read first again, and keep back what
/// waits behind it.
async fn forget(cx: &Cx, stream: &SignalStream, passed: Vec<MessageId>) -> Result<(), Failure> {
    if passed.is_empty() {
        return Ok(());
    }
    let act = FetchMessages {
        receiver: format!("{STREAM}{}", stream.id),
        taken: passed,
        refused: Vec::new(),
        limit: 0,
        now: cx.now,
    };
    cx.store.act(act).await?;
    Ok(())
}

impl Asked {
    fn read(body: &Map<String, Value>) -> Result<Self, Refusal> {
        let limit = match body.get("maxEvents") {
            None => MAX_EVENTS,
            Some(value) => {
                let number = value.as_u64();
                let number = number.ok_or(Refusal::invalid_request("maxEvents is a number"))?;
                u32::try_from(number).unwrap_or(u32::MAX).min(MAX_EVENTS)
            }
        };
        let waits = match body.get("returnImmediately") {
            None => true,
            Some(Value::Bool(at_once)) => !at_once,
            Some(_) => {
                return Err(Refusal::invalid_request(
                    "returnImmediately is true or false",
                ));
            }
        };
        Ok(Self {
            limit,
            waits,
            taken: taken(body.get("ack"))?,
            refused: refused(body.get("setErrs"))?,
        })
    }
}

/// A name that is none of ours is nothing that waits.
fn taken(value: Option<&Value>) -> Result<Vec<MessageId>, Refusal> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let list = value.as_array().filter(|list| list.len() <= MAX_NAMED);
    let list = list.ok_or(Refusal::invalid_request("ack is a list of at most 1000"))?;
    let texts = list.iter().map(|one| one.as_str());
    let texts: Option<Vec<&str>> = texts.collect();
    let texts = texts.ok_or(Refusal::invalid_request("ack is a list of texts"))?;
    Ok(texts.into_iter().filter_map(MessageId::parse).collect())
}

fn refused(value: Option<&Value>) -> Result<Vec<Refused>, Refusal> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let all = value.as_object().filter(|all| all.len() <= MAX_NAMED);
    let all = all.ok_or(Refusal::invalid_request("setErrs has at most 1000 members"))?;
    let one = |(name, value): (&String, &Value)| {
        let reason = match value["err"].as_str() {
            Some("invalid_request") => "invalid_request",
            Some("invalid_key") => "invalid_key",
            Some("invalid_issuer") => "invalid_issuer",
            Some("invalid_audience") => "invalid_audience",
            Some("authentication_failed") => "authentication_failed",
            Some("access_denied") => "access_denied",
            _ => "the receiver cannot take it",
        };
        MessageId::parse(name).map(|id| Refused { id, reason })
    };
    Ok(all.iter().filter_map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: Value) -> Result<Asked, Refusal> {
        Asked::read(body.as_object().unwrap())
    }

    #[test]
    fn a_request_says_how_much_and_whether_it_waits() {
        let whole = asked(json!({})).ok().unwrap();
        assert_eq!((whole.limit, whole.waits), (100, true));
        let bounded = asked(json!({"maxEvents": 5, "returnImmediately": true}));
        let bounded = bounded.ok().unwrap();
        assert_eq!((bounded.limit, bounded.waits), (5, false));
        let many = asked(json!({"maxEvents": 1_000_000_000_000_u64}));
        assert_eq!(many.ok().unwrap().limit, 100);
    }

    #[test]
    fn garbage_is_refused_and_names_that_are_not_ours_are_passed_over() {
        for wrong in [
            json!({"maxEvents": -1}),
            json!({"maxEvents": "5"}),
            json!({"returnImmediately": "yes"}),
            json!({"ack": "a"}),
            json!({"ack": [1]}),
            json!({"setErrs": []}),
        ] {
            assert!(asked(wrong.clone()).is_err(), "{wrong}");
        }
        let own = "0a".repeat(16);
        let read = asked(json!({
            "ack": [own, "not ours", ""],
            "setErrs": { own: {"err": "invalid_key"}, "x": 7 },
        }));
        let read = read.ok().unwrap();
        assert_eq!(read.taken.len(), 1);
        assert_eq!(read.refused.len(), 1);
        assert_eq!(read.refused[0].reason, "invalid_key");
    }
}
