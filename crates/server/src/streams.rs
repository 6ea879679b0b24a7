//! A stream of security events as its receiver asked for it: what is stored of
//! it, and how it is shown.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.1

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use symbolon_store::{Event, SignalStream, StreamStatus};

use crate::cx::Cx;
use crate::failure::Refusal;
use crate::outbox::security_event;

/// How a receiver is told by being called (RFC 8935).
pub(crate) const PUSH: &str = "urn:ietf:rfc:8935";
/// How a receiver is told by asking (RFC 8936).
pub(crate) const POLL: &str = "urn:ietf:rfc:8936";

/// How many seconds have to lie between two verifications of a stream.
pub(crate) const MIN_VERIFICATION_SECONDS: u64 = 60;

/// How many events a receiver may ask for.
const MAX_EVENTS: usize = 64;
/// How long the name of an event may be, in bytes.
const MAX_EVENT_BYTES: usize = 256;
/// How long a description may be, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 512;
/// How long what a receiver wants to be shown may be, in bytes.
const MAX_SHOWN_BYTES: usize = 4096;

/// What a receiver said of its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamDocument {
    /// The events it asked for, known here or not.
    #[serde(default)]
    events_requested: Vec<String>,
    /// Where it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint_url: Option<String>,
    /// What the stream is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Why it stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// What a receiver wants changed, read and bounded.
pub(crate) struct Wish {
    pub(crate) document: StreamDocument,
    /// Whether it fetches.
    pub(crate) fetches: bool,
    /// What it wants to be shown when it is called; where it says nothing, what
    /// it wanted before.
    pub(crate) shown: Option<String>,
}

impl StreamDocument {
    /// What was stored.
    pub(crate) fn read(stream: &SignalStream) -> Option<Self> {
        serde_json::from_str(&stream.document).ok()
    }

    /// As it is stored.
    pub(crate) fn write(&self) -> String {
        // Texts and lists of texts always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Where the receiver is called.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.endpoint_url.as_deref()
    }

    /// The events that are told: those asked for that are known.
    fn delivered(&self) -> impl Iterator<Item = Event> {
        let asked = self.events_requested.iter();
        asked.filter_map(|name| security_event::named(name))
    }

    /// Their bits.
    pub(crate) fn bits(&self) -> i64 {
        self.delivered().fold(0, |bits, event| bits | event.bit())
    }
}

impl Wish {
    /// Reads what a receiver supplies, over what stood there before.
    pub(crate) fn read(
        cx: &Cx,
        body: &Map<String, Value>,
        before: Option<(&StreamDocument, bool)>,
    ) -> Result<Self, Refusal> {
        let mut document = before.map(|(own, _)| own.clone()).unwrap_or_default();
        let mut fetches = before.is_none_or(|(_, fetches)| fetches);
        let mut shown = None;
        if let Some(value) = body.get("events_requested") {
            document.events_requested = events(value)?;
        }
        if let Some(value) = body.get("description") {
            document.description = text(value, MAX_DESCRIPTION_BYTES)
                .ok_or(Refusal::invalid_request("description is a short text"))?;
        }
        if let Some(value) = body.get("delivery") {
            let delivery = value.as_object();
            let delivery = delivery.ok_or(Refusal::invalid_request("delivery is an object"))?;
            (fetches, document.endpoint_url, shown) = self::delivery(cx, delivery)?;
        }
        Ok(Self {
            document,
            fetches,
            shown,
        })
    }
}

fn events(value: &Value) -> Result<Vec<String>, Refusal> {
    let wrong = Refusal::invalid_request("events_requested is a list of names of events");
    let list = value.as_array().filter(|list| list.len() <= MAX_EVENTS);
    let list = list.ok_or(wrong.clone())?;
    let name = |value: &Value| {
        let name = value.as_str().filter(|name| name.len() <= MAX_EVENT_BYTES);
        name.map(str::to_owned).ok_or(wrong.clone())
    };
    list.iter().map(name).collect()
}

/// A text within bounds, or nothing for `null`.
fn text(value: &Value, most: usize) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) if text.len() <= most && !text.contains(char::is_control) => {
            Some(Some(text.clone()))
        }
        _ => None,
    }
}

/// Whether the receiver fetches, where it is called, and what it is shown then.
fn delivery(
    cx: &Cx,
    delivery: &Map<String, Value>,
) -> Result<(bool, Option<String>, Option<String>), Refusal> {
    match delivery.get("method").and_then(Value::as_str) {
        // Where a receiver fetches is this server's to say.
        Some(POLL) => Ok((true, None, None)),
        Some(PUSH) => {
            let url = delivery.get("endpoint_url").and_then(Value::as_str);
            let url = url.ok_or(Refusal::invalid_request("endpoint_url is missing"))?;
            if !cx.fetcher.admits(url) {
                return Err(Refusal::invalid_request(
                    "endpoint_url is not an address that this server calls",
                ));
            }
            let shown = delivery.get("authorization_header");
            let shown = shown.map(|value| {
                let shown = text(value, MAX_SHOWN_BYTES).flatten();
                shown.filter(|own| own.is_ascii() && !own.is_empty())
            });
            if shown == Some(None) {
                return Err(Refusal::invalid_request(
                    "authorization_header is not the value of a header",
                ));
            }
            Ok((false, Some(url.to_owned()), shown.flatten()))
        }
        _ => Err(Refusal::invalid_request(
            "delivery has a method that is not offered",
        )),
    }
}

/// A stream as its receiver sees it. What it is shown when it is called is not
/// told again.
pub(crate) fn shown(cx: &Cx, stream: &SignalStream, document: &StreamDocument) -> Value {
    let issuer = &cx.settings.issuer;
    let delivered: Vec<&str> = Event::OF_STREAMS
        .into_iter()
        .filter(|event| stream.events & event.bit() != 0)
        .map(security_event::uri)
        .collect();
    let supported = Event::OF_STREAMS.map(security_event::uri);
    let delivery = match document.endpoint() {
        Some(url) if !stream.fetches => json!({ "method": PUSH, "endpoint_url": url }),
        _ => {
            let url = issuer.endpoint(&format!("/ssf/poll/{}", stream.id));
            json!({ "method": POLL, "endpoint_url": url })
        }
    };
    let mut shown = json!({
        "stream_id": stream.id,
        "iss": issuer.as_str(),
        "aud": stream.client.as_str(),
        "events_supported": supported,
        "events_requested": document.events_requested,
        "events_delivered": delivered,
        "delivery": delivery,
        "min_verification_interval": MIN_VERIFICATION_SECONDS,
    });
    if let Some(description) = &document.description {
        shown["description"] = description.as_str().into();
    }
    shown
}

/// The word for a status.
pub(crate) const fn status_word(status: StreamStatus) -> &'static str {
    match status {
        StreamStatus::Enabled => "enabled",
        StreamStatus::Paused => "paused",
        StreamStatus::Disabled => "disabled",
    }
}

/// The status of a word.
pub(crate) fn status_named(word: &str) -> Option<StreamStatus> {
    use StreamStatus as S;
    [S::Enabled, S::Paused, S::Disabled]
        .into_iter()
        .find(|status| status_word(*status) == word)
}
