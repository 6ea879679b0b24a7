//! The audit chain as the admin API answers it and as an export has it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_token::audit::{Anchor, AnchorKey, LinkHash, Record};

use crate::admin::Failed;
use crate::admin::connection::Connection;

/// How many links one call asks for.
const PAGE: u32 = 1000;
/// What is said where there is more than a server writes: no digest is over it,
/// so somebody else may have put it there.
pub(super) const FOREIGN: &str = "it has a member that none has";

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
    removed: Option<bool>,
    node: Option<String>,
    counter: Option<i64>,
    at: Option<String>,
    at_ms: Option<i64>,
    action: Option<String>,
    actor: Option<String>,
    subject: Option<String>,
    client: Option<String>,
    detail: Option<String>,
    request: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Line {
    /// What is otherwise than a server writes it, where no digest shows it.
    pub(super) fn changed(&self) -> Option<&'static str> {
        changed(self.at.as_deref(), self.at_ms, &self.others)
    }

    /// The digest that was stored.
    pub(super) fn hash(&self) -> Option<LinkHash> {
        digest(&self.hash)
    }

    /// The record, where it is there.
    pub(super) fn record(self) -> Option<Option<Record>> {
        match self.removed {
            Some(true) => return Some(None),
            Some(false) => return None,
            None => {}
        }
        // No other text names the number: `+7` and `07` do not.
        let written = self.node?;
        let node = written.parse::<i64>().ok()?;
        if node.to_string() != written {
            return None;
        }
        Some(Some(Record {
            link: self.link,
            node,
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
    at: Option<String>,
    at_ms: i64,
    key: String,
    signature: String,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Reads an anchor, and what is otherwise in it than a server writes it, where no
/// signature shows it.
pub(super) fn anchor(value: Value) -> Option<(Anchor, Option<&'static str>)> {
    let written: WrittenAnchor = serde_json::from_value(value).ok()?;
    let changed = changed(written.at.as_deref(), Some(written.at_ms), &written.others);
    let anchor = Anchor {
        link: written.link,
        hash: digest(&written.hash)?,
        at: Timestamp::from_millis(written.at_ms),
        key: written.key,
        signature: URL_SAFE_NO_PAD.decode(written.signature).ok()?,
    };
    Some((anchor, changed))
}

/// A digest is over the number of milliseconds, and people read the time in words.
fn changed(
    at: Option<&str>,
    at_ms: Option<i64>,
    others: &Map<String, Value>,
) -> Option<&'static str> {
    if !others.is_empty() {
        return Some(FOREIGN);
    }
    let own = at_ms.map(|at_ms| Timestamp::from_millis(at_ms).to_string());
    (own.as_deref() != at).then_some("`at` is another time than `at_ms`")
}

/// Reads the keys that anchors are checked with.
pub(super) fn keys(value: &Value) -> Option<Vec<AnchorKey>> {
    let one = |key: &Value| {
        let name = key.get("name")?.as_str()?.to_owned();
        let public = digest(key.get("public")?.as_str()?)?;
        (key.as_object()?.len() == 2).then_some((name, public))
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
