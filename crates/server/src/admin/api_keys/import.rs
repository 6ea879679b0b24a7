//! Keys that are brought along from elsewhere, by the SHA-256 digests of their
//! texts: each is taken or not, and the answer says which and why.
//!
//! Nothing here can tell how the texts were drawn. A digest of one that can be
//! guessed is as good as the text to whoever holds it; so keys with less than
//! 128 random bits do not belong here.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use symbolon_store::{ApiKeyMade, MakeApiKeys};
use symbolon_token::api_key::ForeignDigest;

use crate::cx::Cx;
use crate::respond;

use super::super::body;
use super::super::call::Call;
use super::super::failed::{Failed, Outcome, Refused};
use super::super::follow;
use super::{event_of, new};

/// How many keys one call brings.
const MAX_KEYS: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    keys: Vec<Map<String, Value>>,
}

pub(in super::super) async fn import(cx: Cx, call: Call) -> Outcome {
    let Import { keys } = call.document()?;
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(Refused::member("keys", format!("has 1 to {MAX_KEYS} entries")).into());
    }
    let mut outcomes = Vec::with_capacity(keys.len());
    let mut act = MakeApiKeys {
        keys: Vec::new(),
        now: cx.now,
    };
    for object in keys {
        match read(&cx, object).await {
            Ok(key) => {
                let audit = event_of(&cx, "api_key.import", (&key.id, &key.owner));
                outcomes.push(Ok(key.id));
                act.keys.push((key, audit));
            }
            Err(Failed::Refused(refused)) => outcomes.push(Err(refused.description().to_owned())),
            Err(broken) => return Err(broken),
        }
    }
    let mut made = match act.keys.is_empty() {
        true => Vec::new(),
        false => cx.store.act(act).await?,
    }
    .into_iter();
    let items = outcomes.into_iter().map(|outcome| match outcome {
        Err(why) => json!({ "taken": false, "why": why }),
        Ok(id) => match new::problem(made.next().unwrap_or(ApiKeyMade::Exists)) {
            None => json!({ "taken": true, "id": id }),
            Some((member, why)) => json!({ "taken": false, "why": format!("`{member}`: {why}") }),
        },
    });
    let items: Vec<Value> = items.collect();
    follow(&cx).await;
    Ok(respond::json(StatusCode::OK, &json!({ "items": items })))
}

async fn read(
    cx: &Cx,
    mut object: Map<String, Value>,
) -> Result<symbolon_store::NewApiKey, Failed> {
    let digest = body::take_text(&mut object, "digest")?;
    let digest = digest.ok_or_else(|| Refused::member("digest", "is missing"))?;
    let digest = digest.parse::<ForeignDigest>();
    let digest = digest.map_err(|why| Refused::member("digest", why))?;
    let wanted = new::read(cx, object).await?;
    Ok(wanted.bring(cx, &digest))
}
