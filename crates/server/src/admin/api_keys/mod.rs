//! API keys: made, shown once, changed, replaced with an overlap, taken back.
//!
//! Whatever makes a key permit less kills what was made of it; the key goes on.

mod check;
mod import;
mod new;
mod shown;

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use symbolon_protocol::{ClientId, Lifetime, OrganizationId, Timestamp};
use symbolon_store::{
    ApiKeyChange, ApiKeyChanged, ApiKeyDocument, ApiKeyMade, FindApiKey, KeyOwner, ListApiKeys,
    MakeApiKeys, RevokeApiKey, RotateApiKey, StoredApiKey, ThenRead, UpdateApiKey,
};
use symbolon_token::{ApiKey, Id, Secret};

use crate::api_key::is_another;
use crate::cx::Cx;
use crate::failure::Broken;
use crate::grant::target;
use crate::respond;

use self::shown::shown;
use super::body;
use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::{MERGES, event, follow, users};

pub(super) use self::import::import;

type KeyId = Id<ApiKey>;

/// How long a replaced key stays good where the caller does not say.
const OVERLAP: Lifetime = Lifetime::seconds(24 * 60 * 60);
/// How long it stays good at most.
const MAX_OVERLAP: Lifetime = Lifetime::seconds(90 * 24 * 60 * 60);
/// What of a key never changes.
const FIXED: [(&str, &str); 6] = [
    ("id", "cannot be changed"),
    ("client", "cannot be changed; make another key"),
    ("user", "cannot be changed; make another key"),
    ("organization", "cannot be changed; make another key"),
    ("environment", "stands in the key; make another"),
    ("enabled", "is changed by `enable` and `disable`"),
];

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<KeyId>()?;
    let query = call.query()?;
    let client = query.one("client").map(str::parse::<ClientId>).transpose();
    let of = query.one("organization").map(str::parse::<OrganizationId>);
    let read = ListApiKeys {
        after: page.after,
        limit: page.limit,
        client: client.map_err(|_| Refused::member("client", "is no client id"))?,
        person: match query.one("user") {
            Some(user) => Some(users::find(&cx, user).await?.id),
            None => None,
        },
        organization: of
            .transpose()
            .map_err(|_| Refused::member("organization", "is no organization id"))?,
    };
    let (found, now) = (cx.store.read(read).await?, cx.now);
    let found: Vec<_> = found.into_iter().map(|key| (key, now)).collect();
    page.answer(
        &found,
        |(key, _)| key.id.to_string(),
        |(key, now)| shown(key, *now),
    )
}

pub(super) async fn create(cx: Cx, call: Call) -> Outcome {
    let wanted = new::read(&cx, call.object()?).await?;
    let (key, text) = wanted.make(&cx);
    let mut audit = event_of(&cx, "api_key.create", (&key.id, &key.owner));
    audit.detail["scopes"] = json!(key.document.scopes);
    let id = key.id;
    let act = MakeApiKeys {
        keys: vec![(key, audit)],
        now: cx.now,
    };
    let read = FindApiKey { id };
    let (made, stored) = cx.store.act(ThenRead { act, read }).await?;
    check_made(made.first().copied().unwrap_or(ApiKeyMade::Exists))?;
    made_answer(&cx, stored, &text)
}

fn check_made(made: ApiKeyMade) -> Result<(), Refused> {
    match new::problem(made) {
        None => Ok(()),
        Some((member, why)) => Err(Refused::member(member, why)),
    }
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("id", "API key")?).await?;
    Ok(respond::json(StatusCode::OK, &shown(&found, cx.now)))
}

pub(super) async fn update(cx: Cx, call: Call) -> Outcome {
    for _ in 0..MERGES {
        if let Some(response) = merge(&cx, &call).await? {
            return Ok(response);
        }
    }
    Err(Refused::crowded().into())
}

/// Writes the stored key with the patch in it; nothing where somebody else
/// wrote in between, whose change would be lost.
async fn merge(cx: &Cx, call: &Call) -> Result<Option<Response>, Failed> {
    let was = find(cx, call.part("id", "API key")?).await?;
    let mut patch = call.object()?;
    body::check_fixed(&patch, &FIXED)?;
    let changed: Vec<String> = patch.keys().cloned().collect();
    let expires = match patch.contains_key("expires") || patch.contains_key("lifetime") {
        true => new::expires(&mut patch, cx.now)?.unwrap_or(was.expires),
        false => was.expires,
    };
    check_patch(&patch)?;
    let mut members = body::object_of(&was.document);
    body::merge(&mut members, patch);
    let mut document: ApiKeyDocument = body::read(&members)?;
    if changed.iter().any(|name| name == "resources") {
        note_named(cx, &was, &mut document);
    }
    check::document(cx, &was.owner, &document).await?;
    let (id, enabled) = (was.id, was.enabled);
    let audit = {
        let mut audit = event_of(cx, "api_key.update", (&id, &was.owner));
        audit.detail["changed"] = json!(changed);
        audit
    };
    if document != was.document || expires != was.expires {
        let change = change(cx, was, (document, enabled, expires));
        let act = UpdateApiKey {
            change,
            audit,
            now: cx.now,
            horizon: cx.token_horizon(cx.now),
        };
        match cx.store.act(act).await? {
            ApiKeyChanged::Otherwise => return Ok(None),
            outcome => written(outcome, id)?,
        }
        follow(cx).await;
    }
    answer(cx, id).await.map(Some)
}

/// Refuses members that no administrator sets.
fn check_patch(patch: &Map<String, Value>) -> Result<(), Refused> {
    let taken = ["name", "scopes", "resources", "networks", "plan"];
    match patch.keys().find(|name| !taken.contains(&name.as_str())) {
        Some(name) => Err(Refused::member(name, "is not a member that can be changed")),
        None => Ok(()),
    }
}

/// Notes that a resource which the key did not name before is meant as it is
/// now, and so is one that was made again since.
fn note_named(cx: &Cx, was: &StoredApiKey, document: &mut ApiKeyDocument) {
    let ApiKeyDocument {
        resources, named, ..
    } = document;
    named.retain(|own, _| resources.contains(own));
    for resource in resources {
        if !was.document.resources.contains(resource) || is_another(cx, was, resource) {
            let begun = cx.directory.begun(resource).max(cx.position);
            named.insert(resource.clone(), begun);
        }
    }
}

/// What is left of a key that is made or enabled again: nothing at a resource
/// that was deleted, whatever has its name now.
fn left_of(cx: &Cx, was: &StoredApiKey) -> Result<ApiKeyDocument, Refused> {
    let mut left = was.document.clone();
    left.named.clear();
    left.resources.retain(|own| !is_another(cx, was, own));
    let known = left.resources.iter();
    let known: Vec<_> = known.filter_map(|own| target::resource(cx, own)).collect();
    let means = |scope: &str| known.iter().any(|own| own.scopes.contains(scope));
    if left.resources.len() < was.document.resources.len() {
        left.scopes = left.scopes.filtered(means);
    }
    let is_empty = left.scopes.is_empty() && !was.document.scopes.is_empty();
    if left.resources.is_empty() || is_empty {
        let why = "what it was made for was deleted; name other resources and scopes first";
        return Err(Refused::conflict(why));
    }
    Ok(left)
}

/// A change that cuts what was made of the key, where it permits less.
fn change(
    cx: &Cx,
    was: StoredApiKey,
    (document, enabled, expires): (ApiKeyDocument, bool, Option<Timestamp>),
) -> ApiKeyChange {
    // Nobody here knows which plan has more.
    let kept = was.document.plan == document.plan
        && was.document.scopes.is_within(&document.scopes)
        && was.document.networks.is_within(&document.networks)
        && was
            .document
            .resources
            .iter()
            .all(|own| document.resources.contains(own));
    let end = |own: Option<Timestamp>| own.unwrap_or(Timestamp::FAR);
    let is_cut = !kept || was.enabled && !enabled || end(expires) < end(was.expires);
    let cut = is_cut.then(|| Id::new(was.id.slot(), cx.entropy()));
    ApiKeyChange {
        was,
        document,
        enabled,
        expires,
        cut,
    }
}

pub(super) async fn enable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, call.part("id", "API key")?, true).await
}

pub(super) async fn disable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, call.part("id", "API key")?, false).await
}

async fn set_enabled(cx: &Cx, id: KeyId, enabled: bool) -> Outcome {
    let was = find(cx, id).await?;
    // One that was taken back stays so, whatever it was before.
    if enabled && !was.is_live(cx.now) {
        written(ApiKeyChanged::Dead, id)?;
    }
    if was.enabled != enabled {
        let action = match enabled {
            true => "api_key.enable",
            false => "api_key.disable",
        };
        let audit = event_of(cx, action, (&id, &was.owner));
        let left = match enabled {
            true => left_of(cx, &was)?,
            false => was.document.clone(),
        };
        let as_it_is = (left, enabled, was.expires);
        let act = UpdateApiKey {
            change: change(cx, was, as_it_is),
            audit,
            now: cx.now,
            horizon: cx.token_horizon(cx.now),
        };
        written(cx.store.act(act).await?, id)?;
        follow(cx).await;
    }
    answer(cx, id).await
}

/// `{"overlap": "24h"}`, and until when the next key is good.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap: Option<Lifetime>,
    lifetime: Option<Lifetime>,
}

pub(super) async fn rotate(cx: Cx, call: Call) -> Outcome {
    let was = find(&cx, call.part("id", "API key")?).await?;
    let rotation: Rotation = call.optional_document()?;
    let overlap = rotation.overlap.unwrap_or(OVERLAP);
    if overlap > MAX_OVERLAP {
        return Err(Refused::member("overlap", format!("is at most `{MAX_OVERLAP}`")).into());
    }
    if was.replaced_by.is_some() {
        return Err(Refused::conflict("another key has its place already; rotate that one").into());
    }
    let whole = was.expires.map(|expires| expires.since(was.created));
    let life = rotation.lifetime.map(Lifetime::duration).or(whole);
    let document = ApiKeyDocument {
        imported: false,
        replaces: Some(was.id),
        ..left_of(&cx, &was)?
    };
    check::document(&cx, &was.owner, &document).await?;
    let wanted = new::Wanted {
        owner: was.owner.clone(),
        document,
        expires: life.map(|life| cx.now + life),
    };
    let (next, text) = wanted.make(&cx);
    let mut audit = event_of(&cx, "api_key.rotate", (&was.id, &was.owner));
    audit.detail["next"] = json!(next.id);
    audit.detail["overlap"] = json!(overlap);
    let ends = cx.now + overlap.duration();
    let ends = was.expires.map_or(ends, |expires| expires.min(ends));
    let as_it_is = (was.document.clone(), was.enabled, Some(ends));
    let (old, id) = (was.id, next.id);
    let act = RotateApiKey {
        change: change(&cx, was, as_it_is),
        next,
        audit,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    };
    let read = FindApiKey { id };
    let (outcome, stored) = cx.store.act(ThenRead { act, read }).await?;
    written(outcome, old)?;
    follow(&cx).await;
    made_answer(&cx, stored, &text)
}

pub(super) async fn revoke(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("id", "API key")?).await?;
    let act = RevokeApiKey {
        id: found.id,
        audit: event_of(&cx, "api_key.revoke", (&found.id, &found.owner)),
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    };
    // One that is dead stays so.
    cx.store.act(act).await?;
    follow(&cx).await;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

async fn find(cx: &Cx, id: KeyId) -> Result<StoredApiKey, Failed> {
    let found = cx.store.read(FindApiKey { id }).await?;
    found.ok_or_else(|| missing(id).into())
}

fn missing(id: KeyId) -> Refused {
    Refused::not_found(format!("there is no API key `{id}`"))
}

fn written(outcome: ApiKeyChanged, id: KeyId) -> Result<(), Refused> {
    match outcome {
        ApiKeyChanged::Changed => Ok(()),
        ApiKeyChanged::Missing => Err(missing(id)),
        ApiKeyChanged::Otherwise => Err(Refused::crowded()),
        ApiKeyChanged::Dead => {
            let why = format!("`{id}` was taken back, replaced, or has ended; make another key");
            Err(Refused::conflict(why))
        }
        ApiKeyChanged::NotMade(made) => check_made(made),
    }
}

fn event_of(
    cx: &Cx,
    action: &'static str,
    (id, owner): (&KeyId, &KeyOwner),
) -> symbolon_store::AuditEvent {
    let mut audit = event(cx, action);
    audit.client = Some(owner.client.to_string());
    audit.subject = owner.person.map(|person| person.to_string());
    audit.detail = json!({ "api_key": id, "organization": owner.organization });
    audit
}

async fn answer(cx: &Cx, id: KeyId) -> Outcome {
    let stored = find(cx, id).await?;
    Ok(respond::json(StatusCode::OK, &shown(&stored, cx.now)))
}

/// A key as its act left it, and its text, which is shown this once.
fn made_answer(cx: &Cx, stored: Option<StoredApiKey>, text: &Secret) -> Outcome {
    let gone = Broken::Impossible("an API key is gone that was just written");
    let mut body = shown(&stored.ok_or(gone)?, cx.now);
    body["key"] = text.expose_str().into();
    Ok(respond::json(StatusCode::CREATED, &body))
}
