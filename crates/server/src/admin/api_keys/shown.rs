//! An API key as administrators see it: everything but its text and digest.

use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_store::StoredApiKey;

pub(super) fn shown(key: &StoredApiKey, now: Timestamp) -> Value {
    let (owner, document) = (&key.owner, &key.document);
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": key.id,
        "name": document.name,
        "client": owner.client,
        "user": owner.person,
        "organization": owner.organization,
        "scopes": document.scopes,
        "resources": document.resources,
        "environment": document.environment,
        "networks": document.networks,
        "plan": document.plan,
        "imported": document.imported,
        "status": status(key, now),
        "enabled": key.enabled,
        "created": key.created.to_string(),
        "updated": key.updated.to_string(),
        "expires": time(key.expires),
        "revoked": time(key.revoked),
        "last_used": time(key.last_used),
        "replaces": document.replaces,
        "replaced_by": key.replaced_by,
    })
}

fn status(key: &StoredApiKey, now: Timestamp) -> &'static str {
    let has_ended = key.expires.is_some_and(|expires| expires <= now);
    match key.revoked {
        // What has run out is marked as ended when its time is over.
        _ if has_ended => "expired",
        Some(_) => "revoked",
        None if !key.enabled => "disabled",
        None if key.replaced_by.is_some() => "replaced",
        None => "live",
    }
}
