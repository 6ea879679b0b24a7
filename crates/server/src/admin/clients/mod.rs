//! Clients.

pub(super) mod check;
mod unlisted;

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use symbolon_protocol::client::Problem;
use symbolon_protocol::{Client, ClientAuthentication, ClientId, Lifetime, registration};
use symbolon_store::{
    AddClientSecret, CreateClient, Created, DeleteClient, Deleted, FindClient, FindRegistration,
    ListClients, NamersOf, SetClientEnabled, StoredClient, ThenRead, UpdateClient, Updated, Whole,
};
use symbolon_token::Secret;

use crate::cx::Cx;
use crate::ending::{self, Leaves};
use crate::outbox::part;
use crate::respond;

use super::body;
use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::secrets::{has_its_secret, make_secret, needs_secret, to_be_stored};
use super::{MERGES, event, follow, named};

/// How long an old secret holds beside the new one where nobody says.
const OVERLAP: Lifetime = Lifetime::seconds(60 * 60);
/// How long it may.
const MAX_OVERLAP: Lifetime = Lifetime::seconds(30 * 24 * 60 * 60);

/// How long a secret is at least that somebody else made, in characters, where
/// the server is not for this machine alone.
const MIN_SECRET_CHARACTERS: usize = 32;

/// Members that a patch cannot change.
const FIXED: [(&str, &str); 5] = [
    ("id", "cannot be changed: create another client"),
    ("enabled", "is changed by `enable` and `disable`"),
    ("secret", "is changed by `secret`"),
    ("created", "cannot be changed"),
    ("updated", "cannot be changed"),
];

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<ClientId>()?;
    let read = ListClients {
        after: page.after.clone(),
        limit: page.limit,
    };
    let found = cx.store.read(read).await?;
    page.answer(&found, |stored| stored.client.id.to_string(), shown)
}

pub(super) async fn create(cx: Cx, call: Call) -> Outcome {
    let mut object = call.object()?;
    normalize(&mut object)?;
    registration::add_grants_of_kind(&mut object);
    let enabled = body::take_bool(&mut object, "enabled")?.unwrap_or(true);
    let given = body::take_text(&mut object, "secret")?.map(Secret::from);
    let mut client: Client = body::read(&object)?;
    if client.name.is_empty() {
        client.name = client.id.to_string();
    }
    check::client(&cx, &client, None).await?;
    if let Some(given) = &given {
        check_given(&cx, &client, given)?;
    }
    let is_made = given.is_none() && needs_secret(&client);
    let made = is_made.then(|| make_secret(cx.entropy()));
    let secret = given.as_ref().or(made.as_ref());
    let stored = secret.map(|secret| to_be_stored(&client, secret, &cx.keys, cx.entropy()));
    let id = client.id.clone();
    let mut audit = event(&cx, "client.create");
    audit.client = Some(id.to_string());
    let act = CreateClient {
        client,
        secret: stored,
        enabled,
        audit,
        now: cx.now,
    };
    let read = FindClient { id: id.clone() };
    let (created, stored) = cx.store.act(ThenRead { act, read }).await?;
    if created == Created::Exists {
        return Err(Refused::conflict(format!("there is a client `{id}` already")).into());
    }
    if created == Created::Changed {
        return Err(Refused::crowded().into());
    }
    follow(&cx).await;
    Ok(made_answer(&stored.ok_or_else(|| missing(&id))?, made))
}

/// Refuses a secret that nobody asks for, or that can be found by trying.
fn check_given(cx: &Cx, client: &Client, secret: &Secret) -> Result<(), Refused> {
    if !needs_secret(client) {
        let why = format!("`{}` never asks for one", client.authentication());
        return Err(Refused::member("secret", why));
    }
    let is_local = cx.settings.issuer.is_plain_http();
    let is_short = secret.expose_str().chars().count() < MIN_SECRET_CHARACTERS;
    if secret.is_empty() || is_short && !is_local {
        let why = format!(
            "has at least {MIN_SECRET_CHARACTERS} characters; leave it out to have one made"
        );
        return Err(Refused::member("secret", why));
    }
    Ok(())
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("id", "client")?).await?;
    Ok(respond::json(StatusCode::OK, &shown(&found)))
}

pub(super) async fn update(cx: Cx, call: Call) -> Outcome {
    for _ in 0..MERGES {
        if let Some(response) = merge(&cx, &call).await? {
            return Ok(response);
        }
    }
    Err(Refused::crowded().into())
}

/// Writes the stored document with the patch in it; nothing where somebody else
/// wrote in between, whose change would be lost.
async fn merge(cx: &Cx, call: &Call) -> Result<Option<Response>, Failed> {
    let stored = find(cx, call.part("id", "client")?).await?;
    let mut patch = call.object()?;
    normalize(&mut patch)?;
    body::check_fixed(&patch, &FIXED)?;
    let changed: Vec<String> = patch.keys().cloned().collect();
    let mut document = body::object_of(&stored.client);
    body::merge(&mut document, patch);
    let mut client: Client = body::read(&document)?;
    // A name that is taken away leaves the one that every client has.
    if client.name.is_empty() {
        client.name = client.id.to_string();
    }
    check::client(cx, &client, Some(&stored.client)).await?;
    check_method(cx, &client, &stored)?;
    let id = client.id.clone();
    if client != stored.client {
        let mut audit = event(cx, "client.update");
        audit.client = Some(id.to_string());
        audit.detail = json!({ "changed": changed });
        let is_renaming = client.names_in() != stored.client.names_in();
        let act = UpdateClient {
            client,
            was: Some(stored.client),
            audit,
            now: cx.now,
            horizon: cx.horizon(cx.now),
        };
        let outcome = cx.store.act(act).await?;
        if outcome == Updated::Changed {
            return Ok(None);
        }
        written(outcome, &id)?;
        if is_renaming {
            ending::finish(&cx.app, &Whole::Client(id.clone()), Leaves::Itself).await?;
        }
        follow(cx).await;
    }
    answer(cx, id).await.map(Some)
}

/// Refuses another method that nothing stored can be proved by: nobody would
/// see it until the client is refused.
fn check_method(cx: &Cx, client: &Client, stored: &StoredClient) -> Result<(), Refused> {
    let method = client.authentication();
    let is_another = method != stored.client.authentication();
    if !is_another || has_its_secret(client, &stored.secrets, cx.now) {
        return Ok(());
    }
    let id = &client.id;
    Err(Refused::conflict(format!(
        "the client has no secret that `{method}` can use: make one first by `POST /admin/v1/clients/{id}/secret` with `{{\"authentication\": \"{method}\"}}`"
    )))
}

pub(super) async fn delete(cx: Cx, call: Call) -> Outcome {
    let id: ClientId = call.part("id", "client")?;
    let own = Whole::Client(id.clone());
    let what = format!("client `{id}`");
    let find = FindRegistration { id: id.clone() };
    if cx.store.read(find).await?.is_none() {
        let named = own.clone();
        named::check(&what, &cx.store.read(NamersOf { named }).await?)?;
    }
    let mut audit = event(&cx, "client.delete");
    audit.client = Some(id.to_string());
    let (now, horizon) = (cx.now, cx.horizon(cx.now));
    let mut disabled = event(&cx, "client.disable");
    disabled.client.clone_from(&audit.client);
    let first = SetClientEnabled {
        id: id.clone(),
        enabled: false,
        audit: disabled,
        now,
        horizon,
    };
    ending::empty(&cx, &own, Leaves::Nothing, first).await?;
    let act = DeleteClient {
        id: id.clone(),
        audit,
        now,
        horizon,
    };
    match cx.store.act(act).await? {
        Deleted::Deleted => {}
        Deleted::Missing => return Err(missing(&id).into()),
        Deleted::Named(namers) => named::check(&what, &namers)?,
    }
    ending::finish(&cx.app, &own, Leaves::Itself).await?;
    part::follow_deletion(&cx).await;
    follow(&cx).await;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `{"overlap": "1h"}`, and the method that the client is about to get.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap: Option<Lifetime>,
    authentication: Option<ClientAuthentication>,
}

pub(super) async fn rotate_secret(cx: Cx, call: Call) -> Outcome {
    let stored = find(&cx, call.part("id", "client")?).await?;
    let rotation: Rotation = call.optional_document()?;
    let overlap = rotation.overlap.unwrap_or(OVERLAP);
    if overlap > MAX_OVERLAP {
        return Err(Refused::member("overlap", format!("is at most `{MAX_OVERLAP}`")).into());
    }
    let mut client = stored.client;
    let method = rotation.authentication;
    client.authentication = method.or(client.authentication);
    if !needs_secret(&client) {
        let method = client.authentication();
        return Err(Refused::conflict(format!(
            "by `{method}` a client proves itself without a secret; say in `authentication` which method the secret is for"
        ))
        .into());
    }
    let id = client.id.clone();
    let secret = make_secret(cx.entropy());
    let mut audit = event(&cx, "client.rotate_secret");
    audit.client = Some(id.to_string());
    audit.detail = json!({ "overlap": overlap });
    if let Some(method) = method {
        audit.detail["authentication"] = json!(method);
    }
    let act = AddClientSecret {
        id: id.clone(),
        secret: to_be_stored(&client, &secret, &cx.keys, cx.entropy()),
        old_expires: Some(cx.now + overlap.duration()),
        audit,
        now: cx.now,
    };
    let read = FindClient { id: id.clone() };
    let (outcome, stored) = cx.store.act(ThenRead { act, read }).await?;
    written(outcome, &id)?;
    follow(&cx).await;
    Ok(made_answer(
        &stored.ok_or_else(|| missing(&id))?,
        Some(secret),
    ))
}

pub(super) async fn enable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, call.part("id", "client")?, true).await
}

pub(super) async fn disable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, call.part("id", "client")?, false).await
}

async fn set_enabled(cx: &Cx, id: ClientId, enabled: bool) -> Outcome {
    if unlisted::set_enabled(cx, &id, enabled).await? {
        if !enabled {
            end_what_is_left(cx, &id).await?;
        }
        follow(cx).await;
        return answer(cx, id).await;
    }
    if find(cx, id.clone()).await?.enabled != enabled {
        let mut audit = event(
            cx,
            if enabled {
                "client.enable"
            } else {
                "client.disable"
            },
        );
        audit.client = Some(id.to_string());
        let act = SetClientEnabled {
            id: id.clone(),
            enabled,
            audit,
            now: cx.now,
            horizon: cx.horizon(cx.now),
        };
        // Once it goes on, what was left can no longer be told from what it gets.
        if enabled {
            end_what_is_left(cx, &id).await?;
        }
        written(cx.store.act(act).await?, &id)?;
        follow(cx).await;
    }
    if !enabled {
        end_what_is_left(cx, &id).await?;
    }
    answer(cx, id).await
}

/// Also where the client was disabled before: who did may have been interrupted.
async fn end_what_is_left(cx: &Cx, id: &ClientId) -> Result<(), Failed> {
    ending::finish(&cx.app, &Whole::Client(id.clone()), Leaves::Grants).await?;
    Ok(())
}

pub(super) async fn find(cx: &Cx, id: ClientId) -> Result<StoredClient, Failed> {
    let found = cx.store.read(FindClient { id: id.clone() }).await?;
    match found {
        Some(found) => Ok(found),
        None => unlisted::find(cx, &id).await,
    }
}

fn missing(id: &ClientId) -> Refused {
    Refused::not_found(format!("there is no client `{id}`"))
}

pub(super) use unlisted::revoke as revoke_unlisted;

pub(super) fn written(outcome: Updated, id: &ClientId) -> Result<(), Refused> {
    match outcome {
        Updated::Updated => Ok(()),
        Updated::Missing => Err(missing(id)),
        Updated::Changed => Err(Refused::crowded()),
    }
}

async fn answer(cx: &Cx, id: ClientId) -> Outcome {
    Ok(respond::json(StatusCode::OK, &shown(&find(cx, id).await?)))
}

/// A client as its act left it, and the secret that is shown this once. Nothing
/// is read for it that could fail and leave a secret that nobody knows.
fn made_answer(stored: &StoredClient, secret: Option<Secret>) -> Response {
    let mut body = shown(stored);
    if let Some(secret) = &secret {
        body["secret"] = secret.expose_str().into();
    }
    respond::json(StatusCode::CREATED, &body)
}

fn shown(stored: &StoredClient) -> Value {
    let mut body = body::object_of(&stored.client);
    let secrets = stored.secrets.iter().map(|secret| {
        let expires = secret.expires.map(|expires| expires.to_string());
        json!({ "id": secret.id, "created": secret.created.to_string(), "expires": expires })
    });
    body.insert(
        "authentication".into(),
        stored.client.authentication().as_str().into(),
    );
    body.insert("enabled".into(), stored.enabled.into());
    body.insert("secrets".into(), secrets.collect());
    body.insert("created".into(), stored.created.to_string().into());
    body.insert("updated".into(), stored.updated.to_string().into());
    Value::Object(body)
}

/// Brings a document to our names, and says of grants that have a name and are
/// not built yet that they are not.
fn normalize(object: &mut Map<String, Value>) -> Result<(), Refused> {
    registration::normalize(object)
        .map_err(|problem| Refused::member(&problem.field, problem.message))?;
    let grants = object.get("grants").and_then(Value::as_array);
    for word in grants.into_iter().flatten().filter_map(Value::as_str) {
        if let Some(part) = registration::grant_not_built(word) {
            let problem = Problem::not_built("grants", part);
            return Err(Refused::member(&problem.field, problem.message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::GrantType;

    use super::*;

    #[test]
    fn names_of_registration_are_taken_and_never_beside_ours() {
        let mut object = body::object_of(&json!({
            "client_id": "web", "scope": "openid read:a", "grant_types": ["client_credentials"],
        }));
        normalize(&mut object).unwrap();
        let client: Client = body::read(&object).unwrap();
        assert_eq!(client.id.as_str(), "web");
        assert!(client.scopes.contains("read:a"));

        let mut twice = body::object_of(&json!({ "client_id": "a", "id": "b" }));
        assert!(normalize(&mut twice).is_err());
    }

    #[test]
    fn a_service_acts_for_itself_unless_it_is_told_otherwise() {
        let grants = |document: Value| {
            let mut object = body::object_of(&document);
            normalize(&mut object).unwrap();
            registration::add_grants_of_kind(&mut object);
            let client: Client = body::read(&object).unwrap();
            client.grants
        };
        let service = grants(json!({ "id": "x", "kind": "service" }));
        assert_eq!(service, [GrantType::ClientCredentials]);
        let told = json!({ "id": "x", "kind": "service", "grant_types": ["authorization_code"] });
        assert_eq!(grants(told), [GrantType::AuthorizationCode]);
        let web = grants(json!({ "id": "x", "kind": "web" }));
        assert_eq!(web, [GrantType::AuthorizationCode]);
    }

    #[test]
    fn a_grant_that_is_not_built_yet_is_refused_as_such() {
        let ciba = "urn:openid:params:grant-type:ciba";
        let mut object = body::object_of(&json!({ "id": "web", "grant_types": [ciba] }));
        let refused = normalize(&mut object).unwrap_err();
        assert!(refused.description().contains("not built yet"));
    }

    #[test]
    fn no_digest_and_no_sealed_secret_is_shown() {
        let client = Client::new("web".parse().unwrap(), symbolon_protocol::ClientKind::Web);
        let secret = symbolon_store::ClientSecret {
            id: 1,
            digest: symbolon_token::Digest::of(b"x"),
            sealed: Some(vec![1, 2, 3]),
            created: symbolon_testkit::START,
            expires: None,
        };
        let now = symbolon_testkit::START;
        let stored = StoredClient {
            client,
            enabled: true,
            secrets: vec![secret],
            created: now,
            updated: now,
        };

        let shown = shown(&stored);

        assert_eq!(
            shown["secrets"],
            json!([{ "id": 1, "created": "2026-01-01T00:00:00Z", "expires": null }])
        );
        assert!(shown.get("secret").is_none());
    }
}
