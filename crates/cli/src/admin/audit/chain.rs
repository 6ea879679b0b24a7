//! The audit chain as the admin API answers it and as an export has it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_token::audit::{Anchor, AnchorKey, LinkHash, Record};

use crate::admin::Failed;
use crate::admin::connection::Connection;

/// How many links one call asks for.
const PAGE: u32 = 1000;

/// A part of the chain.
#[derive(Deserialize)]
pub(super) struct Part {
    pub(super) items: Vec<Value>,
    pub(super) anchors: Vec<Value>,
    pub(super) keys: Value,
    /// What the chain begins after, where its beginning was let go.
    #[serde(default)]
    pub(super) start: Option<Value>,
    pub(super) head: Value,
    pub(super) strays: Vec<String>,
    pub(super) next: Option<String>,
}

/// Asks for what comes after a link.
pub(super) async fn part(connection: &Connection, after: i64) -> Result<Part, Failed> {
    let query = [("after", after.to_string()), ("limit", PAGE.to_string())];
    let answer = connection.read(&["audit", "chain"], &query).await?;
    serde_json::from_value(answer).map_err(|_| unreadable("the server's answer"))
}

/// A link: its record, or that it is gone.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) link: i64,
    hash: String,
    #[serde(default)]
    removed: bool,
    node: Option<String>,
    counter: Option<i64>,
    at_ms: Option<i64>,
    action: Option<String>,
    actor: Option<String>,
    subject: Option<String>,
    client: Option<String>,
    detail: Option<String>,
    request: Option<String>,
}

impl Line {
    /// The digest that was stored.
    pub(super) fn hash(&self) -> Option<LinkHash> {
        digest(&self.hash)
    }

    /// The record, where it is there.
    pub(super) fn record(self) -> Option<Option<Record>> {
        if self.removed {
            return Some(None);
        }
        Some(Some(Record {
            link: self.link,
            node: self.node?.parse().ok()?,
            counter: self.counter?,
            at: Timestamp::from_millis(self.at_ms?),
            action: self.action?,
            actor: self.actor?,
            subject: self.subject,
            client: self.client,
            detail: self.detail?,
            request: self.request?,
        }))
    }
}

#[derive(Deserialize)]
struct WrittenAnchor {
    link: i64,
    hash: String,
    at_ms: i64,
    key: String,
    signature: String,
}

/// Reads an anchor.
pub(super) fn anchor(value: Value) -> Option<Anchor> {
    let written: WrittenAnchor = serde_json::from_value(value).ok()?;
    Some(Anchor {
        link: written.link,
        hash: digest(&written.hash)?,
        at: Timestamp::from_millis(written.at_ms),
        key: written.key,
        signature: URL_SAFE_NO_PAD.decode(written.signature).ok()?,
    })
}

/// Reads the keys that anchors are checked with.
pub(super) fn keys(value: &Value) -> Option<Vec<AnchorKey>> {
    let one = |key: &Value| {
        let name = key.get("name")?.as_str()?.to_owned();
        Some((name, digest(key.get("public")?.as_str()?)?))
    };
    value.as_array()?.iter().map(one).collect()
}

/// Thirty-two bytes, as they are written.
pub(super) fn digest(text: &str) -> Option<LinkHash> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// What cannot be read.
pub(super) fn unreadable(what: &str) -> Failed {
    Failed::new("audit.format", format!("{what} is not an audit chain"))
}
