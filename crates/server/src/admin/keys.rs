//! Keys, as far as anybody may see them, and what administrators do to them.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_store::{Distrusted, KeyState, WorkingKey};
use symbolon_token::rotation::{Change, Planned};

use crate::cx::Cx;
use crate::failure::Broken;
use crate::keys::policy::{KeyPurpose, kid};
use crate::keys::rotate::{Asker, ask, keep, plan};
use crate::keys::{KeyRow, KeysError, LoadedKeys, distrust as take_back, rows};
use crate::respond;

use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::follow;

pub(super) async fn list(cx: Cx, _: Call) -> Outcome {
    let rows = rows(&cx.app.keys.load(), &cx.app.ages());
    let items: Vec<Value> = rows.iter().map(shown).collect();
    Ok(respond::json(StatusCode::OK, &json!({ "items": items })))
}

pub(super) fn shown(row: &KeyRow) -> Value {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    json!({
        "kid": row.kid,
        "purpose": row.purpose.word(),
        "algorithm": row.purpose.algorithm(),
        "state": row.state.as_str(),
        "created": row.created.to_string(),
        "activated": time(row.activated),
        "ends": time(row.ends),
    })
}

/// Whose keys change: by default all that sign.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Rotation {
    purpose: Option<String>,
    algorithm: Option<SigningAlgorithm>,
    #[serde(default)]
    plan: bool,
}

impl Rotation {
    fn purposes(&self, cx: &Cx) -> Result<Vec<KeyPurpose>, Refused> {
        let mut all = KeyPurpose::all(&cx.settings.keys);
        all.retain(|one| one.changes());
        let word = self.purpose.as_deref().unwrap_or("signing");
        all.retain(|one| word == one.word());
        if let Some(algorithm) = self.algorithm {
            all.retain(|one| one.algorithm() == Some(algorithm));
        }
        if all.is_empty() {
            return Err(Refused::invalid(
                "`purpose` and `algorithm` name no keys that change; `symbolon keys list` shows them",
            ));
        }
        Ok(all)
    }
}

pub(super) async fn rotate(cx: Cx, call: Call) -> Outcome {
    let asked: Rotation = call.optional_document()?;
    let purposes = asked.purposes(&cx)?;
    if asked.plan {
        return planned(&cx, &purposes);
    }
    rotated(&cx, &purposes).await
}

/// What would happen and when.
fn planned(cx: &Cx, purposes: &[KeyPurpose]) -> Outcome {
    let (loaded, ages) = (cx.app.keys.load(), cx.app.ages());
    let mut items = Vec::new();
    for purpose in purposes {
        for one in plan(&loaded, *purpose, &ages, cx.now) {
            items.extend(steps(&loaded, *purpose, &one));
        }
    }
    items.sort_by(|one, other| one["at"].as_str().cmp(&other["at"].as_str()));
    Ok(respond::json(StatusCode::OK, &json!({ "items": items })))
}

/// A planned change, step by step. A key that is yet to be made has no name.
fn steps(loaded: &LoadedKeys, purpose: KeyPurpose, planned: &Planned) -> Vec<Value> {
    let name = purpose.to_string();
    let named = |number: i64| {
        let mut own = loaded.stored.iter().filter(|key| key.purpose == name);
        own.find(|key| key.number == number)
            .map(|key| kid(key).to_owned())
    };
    let step = |does: &str, number: i64| {
        json!({
            "at": planned.at.to_string(),
            "purpose": purpose.word(),
            "algorithm": purpose.algorithm(),
            "does": does,
            "number": number,
            "kid": named(number),
        })
    };
    match planned.change {
        Change::Begin { number } => vec![step("activate", number)],
        Change::Announce { number } => vec![step("announce", number)],
        Change::Rotate {
            from, to, announce, ..
        } => {
            let mut steps = vec![step("activate", to)];
            steps.extend(from.map(|from| step("replace", from)));
            steps.push(step("announce", announce));
            steps
        }
        Change::Retire { number, .. } => vec![step("retire", number)],
        Change::Forget { number } => vec![step("delete", number)],
    }
}

/// Asks for the next keys and does what can be done at once.
async fn rotated(cx: &Cx, purposes: &[KeyPurpose]) -> Outcome {
    let before = cx.app.keys.load_full();
    let asker = asker(cx);
    for purpose in purposes {
        ask(&cx.app, *purpose, &asker).await.map_err(broken)?;
    }
    cx.app.reload_keys().await.map_err(broken)?;
    keep(&cx.app).await.map_err(broken)?;
    follow(cx).await;
    let after = cx.app.keys.load_full();
    let now = rows(&after, &cx.app.ages());
    let items: Vec<Value> = purposes
        .iter()
        .map(|purpose| {
            let active = named(&after, *purpose, KeyState::Active);
            let next = now
                .iter()
                .find(|row| row.purpose == *purpose && row.state == KeyState::Next);
            json!({
                "purpose": purpose.word(),
                "algorithm": purpose.algorithm(),
                "rotated": active != named(&before, *purpose, KeyState::Active),
                "active": active,
                "next": next.map(|row| &row.kid),
                "takes_over": next.and_then(|row| row.activated).map(|at| at.to_string()),
            })
        })
        .collect();
    Ok(respond::json(StatusCode::OK, &json!({ "items": items })))
}

fn named(loaded: &LoadedKeys, purpose: KeyPurpose, state: KeyState) -> Option<String> {
    let name = purpose.to_string();
    let mut own = loaded.stored.iter().filter(|key| key.purpose == name);
    own.find(|key| key.state == state)
        .map(|key| kid(key).to_owned())
}

pub(super) async fn retire(cx: Cx, call: Call) -> Outcome {
    let key = find(&cx, &call)?;
    let purpose = changing(&key)?;
    if key.state != KeyState::Active {
        let ends = key.retires.map(|ends| format!(" until {ends}"));
        return Err(Refused::conflict(format!(
            "the key is {}{}: it makes nothing; `distrust` takes back what it made",
            key.state.as_str(),
            ends.unwrap_or_default()
        ))
        .into());
    }
    rotated(&cx, &[purpose]).await
}

pub(super) async fn distrust(cx: Cx, call: Call) -> Outcome {
    let key = find(&cx, &call)?;
    let purpose = changing(&key)?;
    let outcome = take_back(&cx.app, &key, &asker(&cx)).await;
    let mut warnings = Vec::new();
    match outcome.map_err(broken)? {
        Distrusted::Now => {}
        Distrusted::Before => return Err(Refused::conflict("the key is distrusted already").into()),
        Distrusted::OtherMaster => warnings.push(
            "the key is dead; this node lacks the master key that the store is sealed under, so another node makes the next one: restart this one with that master key".to_owned(),
        ),
    }
    follow(&cx).await;
    let loaded = cx.app.keys.load();
    warnings.extend(unannounced(&cx, &loaded, purpose));
    let rows = rows(&loaded, &cx.app.ages());
    let own = rows.iter().filter(|row| row.purpose == purpose);
    let items: Vec<Value> = own.map(shown).collect();
    let answer = json!({ "items": items, "warnings": warnings });
    Ok(respond::json(StatusCode::OK, &answer))
}

/// What happens where no key was left that everybody knows: the compromised
/// one dies all the same, and what takes its place signs before it is known.
fn unannounced(cx: &Cx, loaded: &LoadedKeys, purpose: KeyPurpose) -> Option<String> {
    purpose.algorithm()?;
    let name = purpose.to_string();
    let mut own = loaded.stored.iter().filter(|key| key.purpose == name);
    let Some(active) = own.find(|key| key.state == KeyState::Active) else {
        return Some(
            "no key of this purpose is left: nothing is signed until one is made".to_owned(),
        );
    };
    let known = active.created + cx.app.ages().policy(purpose)?.announced;
    (known > cx.now).then(|| {
        format!(
            "no announced key was left, so `{}` signs at once: a verifier that keeps the key set and does not fetch it for a key that it does not know refuses its tokens until {known}",
            kid(active)
        )
    })
}

fn find(cx: &Cx, call: &Call) -> Result<WorkingKey, Refused> {
    let named = call.text_part("kid");
    let loaded = cx.app.keys.load();
    let found = loaded.stored.iter().find(|key| kid(key) == named);
    found
        .cloned()
        .ok_or_else(|| Refused::not_found(format!("there is no key `{named}`")))
}

fn changing(key: &WorkingKey) -> Result<KeyPurpose, Refused> {
    let purpose = KeyPurpose::named(&key.purpose).filter(|purpose| purpose.changes());
    purpose.ok_or_else(|| {
        Refused::conflict(format!(
            "a key for `{}` never changes: names that others keep depend on it",
            key.purpose
        ))
    })
}

fn asker(cx: &Cx) -> Asker {
    Asker {
        actor: "administrator",
        request: cx.request.to_string(),
    }
}

fn broken(error: KeysError) -> Failed {
    match error {
        KeysError::Store(fault) => fault.into(),
        other => {
            tracing::error!(cause = %other, "could not change keys");
            Failed::Broken(Broken::Impossible("keys could not be changed"))
        }
    }
}
