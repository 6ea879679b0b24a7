//! What the account page shows: the person's own sessions and grants.
//!
//! Spec: OpenID Connect Core 1.0 §16.18

use std::collections::BTreeMap;

use axum::response::Response;
use symbolon_protocol::{Client, ClientKind, OrganizationId, Timestamp};
use symbolon_store::{Grant, GrantUsesOf, GrantsOf, MembershipsOf, Session, SessionsOf};
use symbolon_token::Id;

use super::button::Button;
use super::visit::{Step, Wish};
use super::{FRESH, Visitor, password};
use crate::cx::Cx;
use crate::endpoint::consent::shown::resources;
use crate::endpoint::device::shown::{account, host, place_words};
use crate::failure::Failure;
use crate::pages::text::moment_words;
use crate::pages::{
    AccountPage, Again, Application, Device, Moment, Page, PasswordFailure, PasswordForm,
    agent_words,
};
use crate::person::MIN_PASSWORD_CHARACTERS;

/// How many applications a page shows.
const MOST: usize = 50;

/// What differs from one sight of the page to the next.
pub(super) struct Shown {
    /// What the person comes from.
    pub(super) step: Option<Step>,
    /// Which applications: those of the first page, or further ones.
    pub(super) page: usize,
    /// Why no password was changed.
    pub(super) failure: Option<PasswordFailure>,
}

/// The page.
pub(super) async fn page(
    cx: &Cx,
    visitor: &Visitor<'_>,
    shown: Shown,
) -> Result<Response, Failure> {
    let person = &visitor.session.person;
    let devices = devices(cx, visitor).await?;
    let (applications, next) = applications(cx, visitor, shown.page).await?;
    let ties = |button: Button| button.ties(cx, visitor.browser, visitor.session);
    let form = || PasswordForm {
        ties: ties(Button::Password),
        username: person.username.clone(),
        least: MIN_PASSWORD_CHARACTERS,
        failure: shown.failure,
    };
    let again = |wish: Wish| Again {
        act: wish.shown(),
        ties: ties(match wish {
            Wish::Others => Button::Others,
            Wish::Everything => Button::Everything,
        }),
    };
    let (notice, wish) = match &shown.step {
        Some(Step::Done(done)) => (Some(done.words()), None),
        Some(Step::Again(wish)) => (None, Some(*wish)),
        Some(Step::SignIn(_)) | None => (None, None),
    };
    let page = AccountPage {
        site: cx.settings.site.clone(),
        account: account(visitor.session),
        notice,
        again: wish.map(again),
        others: (devices.len() > 1).then(|| ties(Button::Others)),
        devices,
        applications,
        next,
        password: password::is_kept_here(cx, person).then(form),
        everything: ties(Button::Everything),
        fresh: FRESH,
    };
    Ok(page.response())
}

fn moment(cx: &Cx, at: Timestamp) -> Moment {
    Moment {
        words: moment_words(at, cx.now),
        exact: at.to_string(),
    }
}

/// The sessions that nobody has ended, this one first, then the one that was used
/// last. What applications got in one that went idle hangs on it still.
async fn devices(cx: &Cx, visitor: &Visitor<'_>) -> Result<Vec<Device>, Failure> {
    let person = visitor.session.person.id;
    let mut sessions = cx.store.read(SessionsOf { person }).await?;
    let here = visitor.session.session.id;
    sessions.sort_by_key(|session| (session.id != here, std::cmp::Reverse(session.seen)));
    let shown = |session: &Session| Device {
        ties: Button::SignOut(session.id).ties(cx, visitor.browser, visitor.session),
        words: agent_words(&session.device),
        is_here: session.id == here,
        place: session.place.parse().map(place_words).unwrap_or_default(),
        proof: proof_words(&session.amr),
        authenticated: moment(cx, session.authenticated),
        seen: moment(cx, session.seen),
        is_idle: !session.is_live(cx.now),
    };
    Ok(sessions.iter().map(shown).collect())
}

/// The methods (RFC 8176) in words.
fn proof_words(methods: &[String]) -> String {
    let words = methods.iter().map(|method| match method.as_str() {
        "pwd" => "a password",
        "otp" => "a one-time code",
        "hwk" | "swk" | "pop" => "a key",
        "fed" => "another site",
        other => other,
    });
    let words: Vec<&str> = words.collect();
    match words.is_empty() {
        true => String::new(),
        false => format!("with {}", words.join(" and ")),
    }
}

/// The live grants of one page, the newest first, and where the next page is.
async fn applications(
    cx: &Cx,
    visitor: &Visitor<'_>,
    page: usize,
) -> Result<(Vec<Application>, Option<String>), Failure> {
    let person = visitor.session.person.id;
    let mut grants = cx.store.read(GrantsOf { person }).await?;
    grants.sort_by_key(|grant| (std::cmp::Reverse(grant.updated), *grant.id.as_bytes()));
    let uses = cx.store.read(GrantUsesOf { person }).await?;
    let uses: BTreeMap<[u8; 16], Timestamp> = uses
        .iter()
        .map(|used| (*used.grant.as_bytes(), used.at))
        .collect();
    let names = organizations(cx, person, &grants).await?;
    let first = page.saturating_mul(MOST);
    let has_next = grants.len() > first.saturating_add(MOST);
    let next = has_next.then(|| {
        let account = cx.settings.issuer.endpoint("/account");
        format!("{account}?page={}#applications-title", page + 1)
    });
    let mut shown = Vec::new();
    for grant in grants.iter().skip(first).take(MOST) {
        let found = cx.known_client(&grant.client).await?;
        let unknown = || Client::new(grant.client.clone(), ClientKind::Web);
        let client = found.map_or_else(unknown, |found| found.client.clone());
        let organization = grant.organization.as_ref();
        shown.push(Application {
            ties: Button::Withdraw(grant.id).ties(cx, visitor.browser, visitor.session),
            name: client.name.clone(),
            host: host(&client),
            organization: organization.map(|id| {
                let known = names.get(id.as_str()).cloned();
                known.unwrap_or_else(|| id.to_string())
            }),
            resources: resources(cx, &client, &grant.agreement),
            since: moment(cx, grant.created),
            used: uses.get(grant.id.as_bytes()).map(|at| moment(cx, *at)),
        });
    }
    Ok((shown, next))
}

/// The names of the organizations that the person acts for.
async fn organizations(
    cx: &Cx,
    person: Id<symbolon_token::Person>,
    grants: &[Grant],
) -> Result<BTreeMap<String, String>, Failure> {
    if grants.iter().all(|grant| grant.organization.is_none()) {
        return Ok(BTreeMap::new());
    }
    let memberships = cx.store.read(MembershipsOf { person }).await?;
    let name = |id: &OrganizationId| id.to_string();
    let named = memberships
        .into_iter()
        .map(|own| (name(&own.organization.id), own.organization.name));
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_somebody_signed_in_is_said_in_words() {
        let words = |methods: &[&str]| {
            let methods: Vec<String> = methods.iter().map(|own| (*own).to_owned()).collect();
            proof_words(&methods)
        };

        assert_eq!(words(&["pwd"]), "with a password");
        assert_eq!(
            words(&["pwd", "otp"]),
            "with a password and a one-time code"
        );
        assert_eq!(words(&[]), "");
    }
}
