//! `POST /admin/v1/revoke`: takes one thing back, and what hangs on it.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_protocol::{ClientId, ForeignIssuer, OrganizationId, SubjectIdentifier};
use symbolon_store::{FindFamily, RevokeClient, RevokeFamily, RevokeOrganization, Updated, Whole};
use symbolon_token::{Family, Grant, Id, Person, Session};

use crate::cx::Cx;
use crate::departure;
use crate::ending::{self, Leaves};
use crate::endpoint::revoke::{TakenBack, by_administrator};
use crate::respond;
use crate::subject_identifier;

use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::{clients, event, follow, grants, organizations, sessions, trusted_issuers, users};

/// What is taken back: exactly one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    token: Option<String>,
    family: Option<Id<Family>>,
    grant: Option<Id<Grant>>,
    session: Option<Id<Session>>,
    subject: Option<String>,
    sub_id: Option<Value>,
    client: Option<ClientId>,
    organization: Option<OrganizationId>,
    issuer: Option<ForeignIssuer>,
    membership: Option<Membership>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Membership {
    organization: OrganizationId,
    user: String,
}

pub(super) async fn create(cx: Cx, call: Call) -> Outcome {
    let object = call.object()?;
    if object.len() != 1 {
        return Err(Refused::invalid(
            "name exactly one of `token`, `family`, `grant`, `session`, `subject`, `sub_id`, `client`, `organization`, `issuer`, `membership`",
        )
        .into());
    }
    match super::body::read(&object)? {
        Revocation {
            token: Some(token), ..
        } => revoke_token(&cx, &token).await?,
        Revocation {
            family: Some(id), ..
        } => end_family(&cx, id).await?,
        Revocation {
            grant: Some(id), ..
        } => grants::end(&cx, id).await?,
        Revocation {
            session: Some(id), ..
        } => sessions::end_one(&cx, id).await?,
        Revocation {
            subject: Some(named),
            ..
        } => revoke_person(&cx, &named).await?,
        Revocation {
            sub_id: Some(named),
            ..
        } => revoke_identified(&cx, &named).await?,
        Revocation {
            client: Some(id), ..
        } => revoke_client(&cx, id).await?,
        Revocation {
            organization: Some(id),
            ..
        } => revoke_organization(&cx, id).await?,
        Revocation {
            issuer: Some(name), ..
        } => trusted_issuers::revoke(&cx, name).await?,
        Revocation {
            membership: Some(membership),
            ..
        } => {
            let person = users::find(&cx, &membership.user).await?.id;
            let action = "organization.remove_member";
            organizations::end_membership(&cx, membership.organization, person, action).await?;
        }
        // The one member is `null`.
        _ => return Err(Refused::invalid("there is nothing to take back").into()),
    }
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// RFC 7009's silence is for clients, who need not know. An administrator who
/// takes back half a token has to learn that the whole one lives on.
async fn revoke_token(cx: &Cx, token: &str) -> Result<(), Failed> {
    match by_administrator(cx, token).await? {
        TakenBack::Now | TakenBack::Before => Ok(()),
        TakenBack::NotOurs => Err(Refused::not_found(
            "this is no access or refresh token and no API key of this server; it may be cut off, changed, or of another server: nothing was taken back",
        )
        .into()),
    }
}

/// A family without a refresh token has no row: whether there was one of that id
/// cannot be known, and its access tokens are dead all the same.
async fn end_family(cx: &Cx, id: Id<Family>) -> Result<(), Failed> {
    let mut audit = event(cx, "family.end");
    if let Some(found) = cx.store.read(FindFamily { id }).await? {
        audit.subject = Some(found.authority.person.to_string());
        audit.client = Some(found.authority.client.to_string());
    }
    audit.detail = json!({ "family": id });
    let act = RevokeFamily {
        id,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
        audit,
    };
    cx.store.act(act).await?;
    follow(cx).await;
    Ok(())
}

async fn revoke_person(cx: &Cx, named: &str) -> Result<(), Failed> {
    let id = users::find(cx, named).await?.id;
    revoke_by_id(cx, id).await
}

/// By a name that others have for the person (RFC 9493): of subjects, the one
/// that is the same for every client.
async fn revoke_identified(cx: &Cx, named: &Value) -> Result<(), Failed> {
    let wrong = || Refused::member("sub_id", "is no subject identifier of a person");
    let identifier = match SubjectIdentifier::read(named) {
        // A session is less than a person: whoever means it gets nothing else.
        Ok(SubjectIdentifier::Complex { .. }) | Err(_) => return Err(wrong().into()),
        Ok(identifier) => identifier,
    };
    let found = subject_identifier::find_public(cx, &identifier).await?;
    let nobody = || Refused::not_found("nobody is known by that subject identifier");
    revoke_by_id(cx, found.ok_or_else(nobody)?.id).await
}

async fn revoke_by_id(cx: &Cx, id: Id<Person>) -> Result<(), Failed> {
    let mut audit = event(cx, "user.revoke");
    audit.subject = Some(id.to_string());
    if departure::revoke(cx, id, audit).await? == Updated::Missing {
        return Err(Refused::not_found(format!("there is no user `{id}`")).into());
    }
    Ok(())
}

/// Whether the client may be used stays as it is: it gets new tokens at once.
async fn revoke_client(cx: &Cx, id: ClientId) -> Result<(), Failed> {
    let mut audit = event(cx, "client.revoke");
    audit.client = Some(id.to_string());
    let act = RevokeClient {
        id: id.clone(),
        audit,
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    let outcome = cx.store.act(act).await?;
    if outcome != Updated::Missing || !clients::revoke_unlisted(cx, &id).await? {
        clients::written(outcome, &id)?;
    }
    ending::finish(&cx.app, &Whole::Client(id), Leaves::Grants).await?;
    follow(cx).await;
    Ok(())
}

/// As with clients.
async fn revoke_organization(cx: &Cx, id: OrganizationId) -> Result<(), Failed> {
    let mut audit = event(cx, "organization.revoke");
    audit.detail = json!({ "organization": id });
    let act = RevokeOrganization {
        id: id.clone(),
        audit,
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    organizations::written(cx.store.act(act).await?, &id)?;
    ending::finish(&cx.app, &Whole::Organization(id), Leaves::Grants).await?;
    follow(cx).await;
    Ok(())
}
