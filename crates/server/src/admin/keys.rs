//! Signing keys, as far as anybody may see them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::cx::Cx;
use crate::keys::KeyRow;
use crate::respond;

use super::call::Call;
use super::failed::Outcome;

pub(super) async fn list(cx: Cx, _: Call) -> Outcome {
    let loaded = cx.app.keys.load();
    let items: Vec<Value> = loaded.rows.iter().map(shown).collect();
    Ok(respond::json(StatusCode::OK, &json!({ "items": items })))
}

pub(super) fn shown(row: &KeyRow) -> Value {
    json!({
        "kid": row.kid,
        "algorithm": row.algorithm,
        "state": row.state.as_str(),
        "created": row.created.to_string(),
    })
}
