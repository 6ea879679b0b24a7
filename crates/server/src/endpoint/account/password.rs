//! Another password: the old one is proved as at sign-in, with the same limits
//! on guesses; then everything of the person ends, and this browser begins anew.
//!
//! Spec: RFC 6819 §5.1.4.2.3

use axum::response::Response;
use http::header::SET_COOKIE;
use symbolon_protocol::Parameters;
use symbolon_store::{ChangePassword, Person};
use symbolon_token::{Position, Secret};

use super::shown::{self, Shown};
use super::visit::Done;
use super::{Visitor, act, done};
use crate::authn::{device, session};
use crate::cx::Cx;
use crate::departure;
use crate::endpoint::login::{Proved, canonical_name, prove_password};
use crate::failure::Failure;
use crate::pages::{LoginFailure, PasswordFailure};
use crate::person::{MIN_PASSWORD_CHARACTERS, is_password_length};
use crate::received::Received;

/// Whether this server is where the person's password is kept: one that the
/// configuration enforces would come back at the next start.
pub(super) fn is_kept_here(cx: &Cx, person: &Person) -> bool {
    let name = canonical_name(&person.username);
    let is_pinned = name.is_some_and(|name| cx.settings.pinned.contains(&name));
    person.password.is_some() && !is_pinned
}

/// Changes the password, or says why not.
pub(super) async fn change(
    cx: &Cx,
    visitor: &Visitor<'_>,
    received: &Received,
    form: &Parameters,
) -> Result<Response, Failure> {
    let new = match chosen(form) {
        Ok(new) => new,
        Err(failure) => return refused(cx, visitor, failure).await,
    };
    let old = Secret::from(form.one("password").unwrap_or_default());
    let known = &visitor.session.person;
    let name = canonical_name(&known.username).filter(|_| is_kept_here(cx, known));
    let proved = match name {
        Some(name) => prove_password(cx, received, &name, old).await?,
        None => Proved::Not(LoginFailure::Mismatch),
    };
    let person = match proved {
        Proved::Person(person, _) if person.id == known.id => *person,
        Proved::Person(..) => return refused(cx, visitor, MISMATCH).await,
        Proved::Not(failure) => return refused(cx, visitor, PasswordFailure::Old(failure)).await,
    };

    let phc = cx.passwords.hash(new).await?;
    let changed = ChangePassword {
        id: person.id,
        was: person.password.clone().unwrap_or_default(),
        phc: phc.clone(),
        audit: act::event(cx, visitor, "user.change_password"),
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    };
    let Some(seen) = cx.store.act(changed).await? else {
        // Somebody changed it in between.
        return refused(cx, visitor, MISMATCH).await;
    };
    departure::follow(cx).await;
    begin_anew(cx, visitor, received, (with_password(person, phc), seen)).await
}

const MISMATCH: PasswordFailure = PasswordFailure::Old(LoginFailure::Mismatch);

/// The new password, where it may be one.
fn chosen(form: &Parameters) -> Result<Secret, PasswordFailure> {
    let [old, new, again] = ["password", "new_password", "repeated_password"]
        .map(|name| Secret::from(form.one(name).unwrap_or_default()));
    if !is_password_length(&new) {
        let least = MIN_PASSWORD_CHARACTERS;
        return Err(PasswordFailure::Length { least });
    }
    if !new.matches(again.expose()) {
        return Err(PasswordFailure::Differs);
    }
    if new.matches(old.expose()) {
        return Err(PasswordFailure::Same);
    }
    Ok(new)
}

async fn refused(
    cx: &Cx,
    visitor: &Visitor<'_>,
    failure: PasswordFailure,
) -> Result<Response, Failure> {
    let shown = Shown {
        step: None,
        page: 0,
        failure: Some(failure),
    };
    shown::page(cx, visitor, shown).await
}

fn with_password(person: Person, phc: String) -> Person {
    Person {
        password: Some(phc),
        ..person
    }
}

/// The session that asked has ended with all others: whoever has just shown
/// both passwords gets another one.
async fn begin_anew(
    cx: &Cx,
    visitor: &Visitor<'_>,
    received: &Received,
    (person, seen): (Person, Position),
) -> Result<Response, Failure> {
    let mut response = done(cx, visitor.browser, Done::Password)?;
    let Some(signed_in) = session::sign_in(cx, received, person, seen).await? else {
        // Somebody has taken everything back since: it leads to the sign-in page.
        return Ok(response);
    };
    let session::SignedIn { session, cookie } = signed_in;
    let device = device::cookie(cx, received, &session.person)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    if let Some(device) = device {
        response.headers_mut().append(SET_COOKIE, device);
    }
    Ok(response)
}
