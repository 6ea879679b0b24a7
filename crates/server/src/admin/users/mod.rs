//! People.

mod claims;

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_protocol::{Timestamp, planted};
use symbolon_store::{
    CreatePerson, DeletePerson, FindPerson, FindPersonByName, ListPeople, Person, PersonWritten,
    SetPassword, SetPersonEnabled, UpdatePerson, Updated,
};
use symbolon_token::{Id, Secret, Slot};

use crate::authn::password::{MAX_PASSWORD_BYTES, is_affordable};
use crate::cx::Cx;
use crate::failure::Broken;
use crate::person::{MIN_PASSWORD_CHARACTERS, is_password_length};
use crate::respond;

use super::body;
use super::call::Call;
use super::failed::{Failed, Outcome, Refused};

use super::secrets::hash_password;
use super::{MERGES, event, follow};

pub(crate) use self::claims::{canonical, login_names};

type PersonId = Id<symbolon_token::Person>;

/// Members that a patch cannot change.
const FIXED: [(&str, &str); 7] = [
    ("id", "cannot be changed"),
    ("enabled", "is changed by `enable` and `disable`"),
    ("password", "is changed by `password`"),
    ("password_hash", "is changed by `password`"),
    ("has_password", "is changed by `password`"),
    ("created", "cannot be changed"),
    ("updated", "cannot be changed"),
];

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<PersonId>()?;
    let found = cx
        .store
        .read(ListPeople {
            after: page.after,
            limit: page.limit,
        })
        .await?;
    page.answer(&found, |person| person.id.to_string(), shown)
}

pub(super) async fn create(cx: Cx, call: Call) -> Outcome {
    let mut object = call.object()?;
    let username = body::take_text(&mut object, "username")?;
    let username = username.ok_or_else(|| Refused::member("username", "is missing"))?;
    claims::check_username(&username)?;
    let enabled = body::take_bool(&mut object, "enabled")?.unwrap_or(true);
    let given = NewPassword {
        password: body::take_text(&mut object, "password")?,
        password_hash: body::take_text(&mut object, "password_hash")?,
    };
    claims::check(&object)?;
    let password = given.hash(&cx).await?;
    let mut id = Id::new(Slot::random(cx.entropy()), cx.entropy());
    if planted(27) {
        let mut bytes = [0; 16];
        let digest = symbolon_token::Digest::of(username.as_bytes());
        bytes[2..].copy_from_slice(&digest.as_bytes()[2..16]);
        id = Id::from_bytes(bytes).unwrap_or(id);
    }
    let person = Person {
        id,
        username,
        document: object,
        password,
        enabled,
        created: cx.now,
        updated: cx.now,
    };
    let (id, login_names) = (person.id, login_names(&person.username, &person.document));
    let mut audit = event(&cx, "user.create");
    audit.subject = Some(id.to_string());
    written(
        cx.store
            .act(CreatePerson {
                person,
                login_names,
                audit,
                now: cx.now,
            })
            .await?,
        id,
    )?;
    follow(&cx).await;
    answer(&cx, id, StatusCode::CREATED).await
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let person = find(&cx, call.text_part("user")).await?;
    Ok(respond::json(StatusCode::OK, &shown(&person)))
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
    let person = find(cx, call.text_part("user")).await?;
    let mut patch = call.object()?;
    body::check_fixed(&patch, &FIXED)?;
    let mut changed: Vec<String> = patch.keys().cloned().collect();
    let username =
        body::take_text(&mut patch, "username")?.unwrap_or_else(|| person.username.clone());
    claims::check_username(&username)?;
    let mut document = person.document.clone();
    body::merge(&mut document, patch);
    let gone = claims::unverify(&mut document, &person.document, &changed);
    changed.extend(gone.into_iter().map(str::to_owned));
    claims::check(&document)?;
    if username != person.username || document != person.document {
        let mut audit = event(cx, "user.update");
        audit.subject = Some(person.id.to_string());
        audit.detail = json!({ "changed": changed });
        let login_names = login_names(&username, &document);
        let act = UpdatePerson {
            id: person.id,
            username,
            document,
            login_names,
            was: Some((person.username, person.document)),
            audit,
            now: cx.now,
        };
        let outcome = cx.store.act(act).await?;
        if outcome == PersonWritten::Changed {
            return Ok(None);
        }
        written(outcome, person.id)?;
        follow(cx).await;
    }
    answer(cx, person.id, StatusCode::OK).await.map(Some)
}

pub(super) async fn delete(cx: Cx, call: Call) -> Outcome {
    let id = find(&cx, call.text_part("user")).await?.id;
    let mut audit = event(&cx, "user.delete");
    audit.subject = Some(id.to_string());
    let act = DeletePerson {
        id,
        audit,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    };
    there(cx.store.act(act).await?, id)?;
    follow(&cx).await;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `{"password": "…"}` or `{"password_hash": "$argon2id$…"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: Option<String>,
    password_hash: Option<String>,
}

impl NewPassword {
    /// The hash to store; nothing where nothing was given.
    async fn hash(self, cx: &Cx) -> Result<Option<String>, Failed> {
        match (self.password, self.password_hash) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Refused::member(
                "password_hash",
                "stands beside `password`; give one of them",
            )
            .into()),
            (Some(password), None) => {
                let password = Secret::from(password);
                check_password(&password)?;
                Ok(Some(hash_password(&cx.app, password).await?))
            }
            (None, Some(hash)) => {
                check_hash(&hash)?;
                cx.passwords.import(&cx.store, &hash).await?;
                Ok(Some(hash))
            }
        }
    }
}

fn check_password(password: &Secret) -> Result<(), Refused> {
    if !is_password_length(password) {
        let why = format!(
            "has {MIN_PASSWORD_CHARACTERS} characters or more and at most {MAX_PASSWORD_BYTES} bytes"
        );
        return Err(Refused::member("password", why));
    }
    Ok(())
}

fn check_hash(hash: &str) -> Result<(), Refused> {
    if is_affordable(hash) {
        return Ok(());
    }
    Err(Refused::member(
        "password_hash",
        "is no Argon2 hash in PHC form, or costs too much",
    ))
}

pub(super) async fn set_password(cx: Cx, call: Call) -> Outcome {
    let id = find(&cx, call.text_part("user")).await?.id;
    let given: NewPassword = call.document()?;
    let phc = given.hash(&cx).await?;
    if phc.is_none() {
        return Err(Refused::member("password", "is missing").into());
    }
    let mut audit = event(&cx, "user.set_password");
    audit.subject = Some(id.to_string());
    let act = SetPassword {
        id,
        phc,
        audit,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    };
    there(cx.store.act(act).await?, id)?;
    follow(&cx).await;
    answer(&cx, id, StatusCode::OK).await
}

pub(super) async fn enable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, &call, true).await
}

pub(super) async fn disable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, &call, false).await
}

async fn set_enabled(cx: &Cx, call: &Call, enabled: bool) -> Outcome {
    let person = find(cx, call.text_part("user")).await?;
    let id = person.id;
    if person.enabled != enabled {
        let mut audit = event(
            cx,
            if enabled {
                "user.enable"
            } else {
                "user.disable"
            },
        );
        audit.subject = Some(id.to_string());
        let act = SetPersonEnabled {
            id,
            enabled,
            audit,
            now: cx.now,
            horizon: cx.token_horizon(cx.now),
        };
        there(cx.store.act(act).await?, id)?;
        follow(cx).await;
    }
    answer(cx, id, StatusCode::OK).await
}

/// By id, user name or verified e-mail address.
pub(super) async fn find(cx: &Cx, named: &str) -> Result<Person, Failed> {
    let found = match named.parse::<PersonId>() {
        Ok(id) => cx.store.read(FindPerson { id }).await?,
        Err(_) => {
            cx.store
                .read(FindPersonByName {
                    name: claims::canonical(named),
                })
                .await?
        }
    };
    found.ok_or_else(|| Refused::not_found(format!("there is no user `{named}`")).into())
}

fn written(outcome: PersonWritten, id: PersonId) -> Result<(), Refused> {
    match outcome {
        PersonWritten::Written => Ok(()),
        PersonWritten::Missing => there(Updated::Missing, id),
        PersonWritten::Changed => Err(Refused::crowded()),
        PersonWritten::NameTaken => Err(Refused::conflict(
            "somebody else signs in under this user name or e-mail address",
        )),
    }
}

fn there(outcome: Updated, id: PersonId) -> Result<(), Refused> {
    match outcome {
        Updated::Updated => Ok(()),
        Updated::Missing => Err(Refused::not_found(format!("there is no user `{id}`"))),
        Updated::Changed => Err(Refused::crowded()),
    }
}

async fn answer(cx: &Cx, id: PersonId, status: StatusCode) -> Outcome {
    let person = cx.store.read(FindPerson { id }).await?;
    let person = person.ok_or(Broken::Impossible("a person is gone that was just written"))?;
    Ok(respond::json(status, &shown(&person)))
}

fn shown(person: &Person) -> Value {
    let time = |time: Timestamp| Value::from(time.to_string());
    let mut body = person.document.clone();
    body.insert("id".into(), person.id.to_string().into());
    body.insert("username".into(), person.username.as_str().into());
    body.insert("enabled".into(), person.enabled.into());
    body.insert("has_password".into(), person.password.is_some().into());
    body.insert("created".into(), time(person.created));
    body.insert("updated".into(), time(person.updated));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_password_is_never_shown() {
        let person = Person {
            id: Id::from_bytes([1; 16]).unwrap(),
            username: "alice".into(),
            document: body::object_of(&json!({ "name": "Alice" })),
            password: Some("$argon2id$secret".into()),
            enabled: true,
            created: symbolon_testkit::START,
            updated: symbolon_testkit::START,
        };
        let shown = shown(&person);
        assert_eq!(shown["has_password"], json!(true));
        assert!(!shown.to_string().contains("argon2"));
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(check_password(&Secret::from("correct horse")).is_ok());
        assert!(check_password(&Secret::from("short")).is_err());
        assert!(check_password(&Secret::from("x".repeat(1025))).is_err());
    }
}
