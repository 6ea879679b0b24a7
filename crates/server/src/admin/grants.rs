//! Grants: what people let clients do.

use http::StatusCode;
use serde_json::{Value, json};
use symbolon_store::{
    FamiliesOf, FamilyLine, FindGrantById, Grant, GrantsOf, GrantsOfClient, WithdrawGrant,
};
use symbolon_token::Id;

use crate::cx::Cx;
use crate::respond;

use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::{event, follow, users};

/// How many families of a grant are shown: the newest.
const MAX_FAMILIES: u32 = 100;

type GrantId = Id<symbolon_token::Grant>;

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<GrantId>()?;
    let query = call.query()?;
    let found = match (query.one("user"), query.one("client")) {
        (Some(user), None) => {
            let person = users::find(&cx, user).await?.id;
            page.cut(cx.store.read(GrantsOf { person }).await?, |grant| {
                grant.id.to_string()
            })
        }
        (None, Some(client)) => {
            let client = client
                .parse()
                .map_err(|_| Refused::member("client", "is no client id"))?;
            cx.store
                .read(GrantsOfClient {
                    client,
                    after: page.after,
                    limit: page.limit,
                })
                .await?
        }
        _ => return Err(Refused::invalid("name either `user` or `client`").into()),
    };
    page.answer(&found, |grant| grant.id.to_string(), shown)
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let id: GrantId = call.part("id", "grant")?;
    let found = cx.store.read(FindGrantById { id }).await?;
    let found = found.ok_or_else(|| missing(id))?;
    let families = cx.store.read(FamiliesOf {
        grant: id,
        now: cx.now,
        limit: MAX_FAMILIES,
    });
    let families: Vec<Value> = families.await?.iter().map(family).collect();
    let mut answer = shown(&found);
    answer["families"] = Value::from(families);
    Ok(respond::json(StatusCode::OK, &answer))
}

pub(super) async fn withdraw(cx: Cx, call: Call) -> Outcome {
    end(&cx, call.part("id", "grant")?).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// Withdraws a grant; one that was withdrawn before stays so.
pub(super) async fn end(cx: &Cx, id: GrantId) -> Result<(), Failed> {
    let found = cx
        .store
        .read(FindGrantById { id })
        .await?
        .ok_or_else(|| missing(id))?;
    let mut audit = event(cx, "grant.withdraw");
    audit.subject = Some(found.person.to_string());
    audit.client = Some(found.client.to_string());
    audit.detail = json!({ "grant": id });
    let act = WithdrawGrant {
        id,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
        audit,
    };
    // One that had ended may have done so a moment ago.
    cx.store.act(act).await?;
    follow(cx).await;
    Ok(())
}

fn missing(id: GrantId) -> Refused {
    Refused::not_found(format!("there is no grant `{id}`"))
}

/// A refresh family, as `revoke` names it.
fn family(family: &FamilyLine) -> Value {
    json!({
        "id": family.id,
        "created": family.created.to_string(),
        "last_used": family.rotated.to_string(),
        "generation": family.generation,
        "ends": family.idle_ends.min(family.absolute_ends).to_string(),
    })
}

fn shown(grant: &Grant) -> Value {
    json!({
        "id": grant.id,
        "user": grant.person,
        "client": grant.client,
        "organization": grant.organization,
        "scopes": grant.agreement.scopes(),
        "resources": grant.agreement.places.keys().collect::<Vec<_>>(),
        "agreed": grant.agreement,
        "claims": grant.agreement.claims,
        "created": grant.created.to_string(),
        "updated": grant.updated.to_string(),
        "withdrawn": grant.withdrawn.map(|at| at.to_string()),
    })
}
