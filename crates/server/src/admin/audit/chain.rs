//! The audit chain in its own order, with what is needed to check it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon_store::{LinkedRow, ListAuditChain};
use symbolon_token::audit::{Anchor, AnchorKey, Record};

use crate::admin::call::Call;
use crate::admin::failed::Outcome;
use crate::cx::Cx;
use crate::respond;

pub(in crate::admin) async fn chain(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<i64>()?;
    let after = page.after.unwrap_or(0);
    let limit = page.limit;
    let found = cx.store.read(ListAuditChain { after, limit }).await?;
    let is_full = found.rows.len() >= limit as usize;
    let next = found.rows.last().map(|row| row.link).filter(|_| is_full);
    let strays = found.strays.iter();
    let mut body = json!({
        "items": found.rows.iter().map(shown).collect::<Vec<_>>(),
        "anchors": found.anchors.iter().map(anchor).collect::<Vec<_>>(),
        "keys": cx.keys.anchor_keys().iter().map(key).collect::<Vec<_>>(),
        "start": found.start.as_ref().map(anchor),
        "head": { "link": found.head.link, "hash": found.head.hash.map(|hash| written(&hash)) },
        "strays": strays.map(|(node, counter)| format!("{node}.{counter}")).collect::<Vec<_>>(),
    });
    if let Some(next) = next {
        body["next"] = next.to_string().into();
    }
    Ok(respond::json(StatusCode::OK, &body))
}

fn shown(row: &LinkedRow) -> Value {
    match &row.record {
        None => json!({ "link": row.link, "hash": written(&row.hash), "removed": true }),
        Some(record) => record_shown(record, &written(&row.hash)),
    }
}

/// Numbers of processes are texts: JSON's own numbers do not hold 64 bits
/// everywhere.
fn record_shown(record: &Record, hash: &str) -> Value {
    json!({
        "link": record.link,
        "hash": hash,
        "node": record.node.to_string(),
        "counter": record.counter,
        "at": record.at.to_string(),
        "at_ms": record.at.millis(),
        "action": record.action,
        "actor": record.actor,
        "subject": record.subject,
        "client": record.client,
        "detail": record.detail,
        "request": record.request,
    })
}

fn anchor(anchor: &Anchor) -> Value {
    json!({
        "link": anchor.link,
        "hash": written(&anchor.hash),
        "at": anchor.at.to_string(),
        "at_ms": anchor.at.millis(),
        "key": anchor.key,
        "signature": written(&anchor.signature),
    })
}

fn key((name, public): &AnchorKey) -> Value {
    json!({ "name": name, "public": written(public) })
}

fn written(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
