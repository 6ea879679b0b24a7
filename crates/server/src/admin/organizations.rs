//! Organizations and who belongs to them.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_protocol::OrganizationId;
use symbolon_store::{
    CreateOrganization, Created, DeleteOrganization, Deleted, FindOrganization, ListOrganizations,
    Member, Members, NamersOf, Organization, RemoveMember, SetMember, SetOrganizationEnabled,
    UpdateOrganization, Updated, Whole,
};
use symbolon_token::{Id, Person};

use crate::cx::Cx;
use crate::ending::{self, Leaves};
use crate::failure::Broken;
use crate::person::organization_name_problem;
use crate::respond;

use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::{event, follow, named, users};

/// How many roles a member may have, and how long each may be.
const MAX_ROLES: usize = 50;
const MAX_ROLE_BYTES: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    id: OrganizationId,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationPatch {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    roles: Vec<String>,
}

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<OrganizationId>()?;
    let read = ListOrganizations {
        after: page.after.clone(),
        limit: page.limit,
    };
    let found = cx.store.read(read).await?;
    page.answer(&found, |organization| organization.id.to_string(), shown)
}

pub(super) async fn create(cx: Cx, call: Call) -> Outcome {
    let new: NewOrganization = call.document()?;
    let name = if new.name.is_empty() {
        new.id.to_string()
    } else {
        new.name
    };
    check_name(&name)?;
    let organization = Organization {
        id: new.id.clone(),
        name,
        enabled: true,
    };
    // Whoever named one of this id that is gone would belong to this one.
    let namers = cx.store.read(NamersOf {
        named: Whole::Organization(new.id.clone()),
    });
    named::check(&format!("an organization `{}`", new.id), &namers.await?)?;
    let mut audit = event(&cx, "organization.create");
    audit.detail = json!({ "organization": new.id });
    if cx
        .store
        .act(CreateOrganization {
            organization,
            audit,
            now: cx.now,
        })
        .await?
        == Created::Exists
    {
        return Err(
            Refused::conflict(format!("there is an organization `{}` already", new.id)).into(),
        );
    }
    follow(&cx).await;
    answer(&cx, new.id, StatusCode::CREATED).await
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("id", "organization")?).await?;
    Ok(respond::json(StatusCode::OK, &shown(&found)))
}

pub(super) async fn update(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("id", "organization")?).await?;
    let OrganizationPatch { name } = call.document()?;
    check_name(&name)?;
    let id = found.id;
    if found.name != name {
        let mut audit = event(&cx, "organization.update");
        audit.detail = json!({ "organization": id, "changed": ["name"] });
        written(
            cx.store
                .act(UpdateOrganization {
                    id: id.clone(),
                    name,
                    audit,
                    now: cx.now,
                })
                .await?,
            &id,
        )?;
        follow(&cx).await;
    }
    answer(&cx, id, StatusCode::OK).await
}

pub(super) async fn delete(cx: Cx, call: Call) -> Outcome {
    let id: OrganizationId = call.part("id", "organization")?;
    let own = Whole::Organization(id.clone());
    let what = format!("organization `{id}`");
    let named = own.clone();
    named::check(&what, &cx.store.read(NamersOf { named }).await?)?;
    let mut audit = event(&cx, "organization.delete");
    audit.detail = json!({ "organization": id });
    let (now, horizon) = (cx.now, cx.horizon(cx.now));
    let mut disabled = event(&cx, "organization.disable");
    disabled.detail = audit.detail.clone();
    let first = SetOrganizationEnabled {
        id: id.clone(),
        enabled: false,
        audit: disabled,
        now,
        horizon,
    };
    ending::empty(&cx, &own, Leaves::Itself, first).await?;
    let act = DeleteOrganization {
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
    follow(&cx).await;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn enable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, &call, true).await
}

pub(super) async fn disable(cx: Cx, call: Call) -> Outcome {
    set_enabled(&cx, &call, false).await
}

async fn set_enabled(cx: &Cx, call: &Call, enabled: bool) -> Outcome {
    let found = find(cx, call.part("id", "organization")?).await?;
    let id = found.id;
    let of = Whole::Organization(id.clone());
    if found.enabled != enabled {
        // Once it goes on, what was left can no longer be told from what it gets.
        if enabled {
            ending::finish(&cx.app, &of, Leaves::Grants).await?;
        }
        let mut audit = event(
            cx,
            if enabled {
                "organization.enable"
            } else {
                "organization.disable"
            },
        );
        audit.detail = json!({ "organization": id });
        let horizon = cx.horizon(cx.now);
        let act = SetOrganizationEnabled {
            id: id.clone(),
            enabled,
            audit,
            now: cx.now,
            horizon,
        };
        written(cx.store.act(act).await?, &id)?;
        follow(cx).await;
    }
    if !enabled {
        ending::finish(&cx.app, &of, Leaves::Grants).await?;
    }
    answer(cx, id, StatusCode::OK).await
}

pub(super) async fn members(cx: Cx, call: Call) -> Outcome {
    let organization = find(&cx, call.part("id", "organization")?).await?.id;
    let page = call.page::<Id<Person>>()?;
    let read = Members {
        organization,
        after: page.after,
        limit: page.limit,
    };
    let found = cx.store.read(read).await?;
    page.answer(&found, |member| member.person.to_string(), member)
}

pub(super) async fn put_member(cx: Cx, call: Call) -> Outcome {
    let organization = find(&cx, call.part("id", "organization")?).await?.id;
    let found = users::find(&cx, call.text_part("user")).await?;
    let (person, username) = (found.id, found.username);
    let Roles { mut roles } = call.document()?;
    check_roles(&roles)?;
    roles.sort();
    roles.dedup();
    let mut audit = event(&cx, "organization.set_member");
    audit.subject = Some(person.to_string());
    audit.detail = json!({ "organization": organization, "roles": roles });
    let act = SetMember {
        organization: organization.clone(),
        person,
        roles: roles.clone(),
        audit,
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    written(cx.store.act(act).await?, &organization)?;
    follow(&cx).await;
    Ok(respond::json(
        StatusCode::OK,
        &member(&Member {
            person,
            username,
            roles,
        }),
    ))
}

pub(super) async fn remove_member(cx: Cx, call: Call) -> Outcome {
    let organization = find(&cx, call.part("id", "organization")?).await?.id;
    let person = users::find(&cx, call.text_part("user")).await?.id;
    end_membership(&cx, organization, person, "organization.remove_member").await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// Ends a membership, and all that was done through it.
pub(super) async fn end_membership(
    cx: &Cx,
    organization: OrganizationId,
    person: Id<Person>,
    action: &'static str,
) -> Result<(), Failed> {
    let mut audit = event(cx, action);
    audit.subject = Some(person.to_string());
    audit.detail = json!({ "organization": organization });
    let horizon = cx.horizon(cx.now);
    let act = RemoveMember {
        organization: organization.clone(),
        person,
        audit,
        now: cx.now,
        horizon,
    };
    if cx.store.act(act).await? == Updated::Missing {
        let why = format!("the person is not a member of `{organization}`");
        return Err(Refused::not_found(why).into());
    }
    follow(cx).await;
    Ok(())
}

pub(super) async fn find(cx: &Cx, id: OrganizationId) -> Result<Organization, Failed> {
    let found = cx.store.read(FindOrganization { id: id.clone() }).await?;
    found.ok_or_else(|| missing(&id).into())
}

fn missing(id: &OrganizationId) -> Refused {
    Refused::not_found(format!("there is no organization `{id}`"))
}

pub(super) fn written(outcome: Updated, id: &OrganizationId) -> Result<(), Refused> {
    match outcome {
        Updated::Updated => Ok(()),
        Updated::Missing => Err(missing(id)),
        Updated::Changed => Err(Refused::crowded()),
    }
}

fn check_name(name: &str) -> Result<(), Refused> {
    match organization_name_problem(name) {
        Some(why) => Err(Refused::member("name", why)),
        None => Ok(()),
    }
}

fn check_roles(roles: &[String]) -> Result<(), Refused> {
    let is_odd = |role: &String| {
        role.is_empty() || role.len() > MAX_ROLE_BYTES || role.chars().any(char::is_control)
    };
    if roles.len() > MAX_ROLES || roles.iter().any(is_odd) {
        let why = format!("are at most {MAX_ROLES} texts of 1 to {MAX_ROLE_BYTES} bytes");
        return Err(Refused::member("roles", why));
    }
    Ok(())
}

async fn answer(cx: &Cx, id: OrganizationId, status: StatusCode) -> Outcome {
    let found = cx.store.read(FindOrganization { id }).await?;
    let found = found.ok_or(Broken::Impossible(
        "an organization is gone that was just written",
    ))?;
    Ok(respond::json(status, &shown(&found)))
}

fn shown(organization: &Organization) -> Value {
    json!({ "id": organization.id, "name": organization.name, "enabled": organization.enabled })
}

fn member(member: &Member) -> Value {
    json!({ "user": member.person, "username": member.username, "roles": member.roles })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_limits() {
        assert!(check_roles(&["buyer".into()]).is_ok());
        assert!(check_roles(&[]).is_ok());
        assert!(check_roles(&[String::new()]).is_err());
        assert!(check_roles(&["a\nb".into()]).is_err());
        assert!(check_roles(&vec!["x".to_owned(); 51]).is_err());
    }
}
