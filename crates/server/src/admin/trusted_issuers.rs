//! Trusted issuers.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon_protocol::{ForeignIssuer, TrustedIssuer};
use symbolon_store::{
    CreateTrustedIssuer, Created, DeleteTrustedIssuer, FindOrganization, FindResource,
    FindTrustedIssuer, ListTrustedIssuers, RevokeTrustedIssuer, SetIssuerTrusted,
    StoredTrustedIssuer, UpdateTrustedIssuer, Updated,
};

use crate::cx::Cx;
use crate::failure::Broken;
use crate::grant::partner_certificates as certificates;
use crate::respond;

use super::body;
use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::{MERGES, event, follow};

/// Members that a patch cannot change.
const FIXED: [(&str, &str); 4] = [
    ("issuer", "cannot be changed: its JWTs carry it"),
    ("trusted", "is changed by `trust` and `distrust`"),
    ("created", "cannot be changed"),
    ("updated", "cannot be changed"),
];

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<ForeignIssuer>()?;
    let read = ListTrustedIssuers {
        after: page.after.clone(),
        limit: page.limit,
    };
    let found = cx.store.read(read).await?;
    page.answer(&found, |stored| stored.issuer.issuer.to_string(), shown)
}

pub(super) async fn create(cx: Cx, call: Call) -> Outcome {
    let issuer: TrustedIssuer = call.document()?;
    check(&cx, &issuer).await?;
    // A name does not change, and an earlier version took others.
    if let Some(problem) = issuer.name_problem() {
        return Err(Refused::member(&problem.field, problem.message).into());
    }
    let name = issuer.issuer.clone();
    let act = CreateTrustedIssuer {
        issuer,
        trusted: true,
        audit: audit(&cx, "trusted_issuer.create", &name),
        now: cx.now,
    };
    match cx.store.act(act).await? {
        Created::Created => {}
        Created::Exists => {
            let why = format!("there is a trusted issuer `{name}` already");
            return Err(Refused::conflict(why).into());
        }
        Created::Changed => return Err(Refused::crowded().into()),
    }
    follow(&cx).await;
    answer(&cx, name, StatusCode::CREATED).await
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("issuer", "trusted issuer")?).await?;
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
    let stored = find(cx, call.part("issuer", "trusted issuer")?).await?;
    let patch = call.object()?;
    body::check_fixed(&patch, &FIXED)?;
    let changed: Vec<String> = patch.keys().cloned().collect();
    let mut document = body::object_of(&stored.issuer);
    body::merge(&mut document, patch);
    let issuer: TrustedIssuer = body::read(&document)?;
    check(cx, &issuer).await?;
    let name = issuer.issuer.clone();
    if issuer != stored.issuer {
        let mut audit = audit(cx, "trusted_issuer.update", &name);
        audit.detail = json!({ "issuer": name, "changed": changed });
        let act = UpdateTrustedIssuer {
            issuer,
            was: Some(stored.issuer),
            audit,
            now: cx.now,
        };
        let outcome = cx.store.act(act).await?;
        if outcome == Updated::Changed {
            return Ok(None);
        }
        written(outcome, &name)?;
        follow(cx).await;
    }
    answer(cx, name, StatusCode::OK).await.map(Some)
}

pub(super) async fn delete(cx: Cx, call: Call) -> Outcome {
    let name: ForeignIssuer = call.part("issuer", "trusted issuer")?;
    let act = DeleteTrustedIssuer {
        issuer: name.clone(),
        audit: audit(&cx, "trusted_issuer.delete", &name),
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    written(cx.store.act(act).await?, &name)?;
    follow(&cx).await;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn trust(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("issuer", "trusted issuer")?).await?;
    let name = found.issuer.issuer;
    if !found.trusted {
        set(&cx, &name, true, "trusted_issuer.trust").await?;
    }
    answer(&cx, name, StatusCode::OK).await
}

pub(super) async fn distrust(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.part("issuer", "trusted issuer")?).await?;
    let name = found.issuer.issuer;
    if found.trusted {
        set(&cx, &name, false, "trusted_issuer.distrust").await?;
    }
    answer(&cx, name, StatusCode::OK).await
}

/// Takes back all that came of an issuer's JWTs so far. Whether it is trusted
/// stays as it is.
pub(super) async fn revoke(cx: &Cx, name: ForeignIssuer) -> Result<(), Failed> {
    let act = RevokeTrustedIssuer {
        issuer: name.clone(),
        audit: audit(cx, "trusted_issuer.revoke", &name),
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    written(cx.store.act(act).await?, &name)?;
    follow(cx).await;
    Ok(())
}

async fn set(
    cx: &Cx,
    name: &ForeignIssuer,
    trusted: bool,
    action: &'static str,
) -> Result<(), Failed> {
    let act = SetIssuerTrusted {
        issuer: name.clone(),
        trusted,
        audit: audit(cx, action, name),
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    written(cx.store.act(act).await?, name)?;
    follow(cx).await;
    Ok(())
}

fn audit(cx: &Cx, action: &'static str, name: &ForeignIssuer) -> symbolon_store::AuditEvent {
    let mut event = event(cx, action);
    event.detail = json!({ "issuer": name });
    event
}

async fn find(cx: &Cx, issuer: ForeignIssuer) -> Result<StoredTrustedIssuer, Failed> {
    let find = FindTrustedIssuer {
        issuer: issuer.clone(),
    };
    let found = cx.store.read(find).await?;
    found.ok_or_else(|| missing(&issuer).into())
}

fn missing(name: &ForeignIssuer) -> Refused {
    Refused::not_found(format!("there is no trusted issuer `{name}`"))
}

fn written(outcome: Updated, name: &ForeignIssuer) -> Result<(), Refused> {
    match outcome {
        Updated::Updated => Ok(()),
        Updated::Missing => Err(missing(name)),
        Updated::Changed => Err(Refused::crowded()),
    }
}

async fn check(cx: &Cx, issuer: &TrustedIssuer) -> Result<(), Failed> {
    let settings = &cx.settings;
    alone(
        issuer,
        settings.issuer.as_str(),
        settings.issuer.is_plain_http(),
    )?;
    let named = FindResource {
        name: issuer.resource.as_str().to_owned(),
    };
    let Some(resource) = cx.store.read(named).await? else {
        let why = format!("there is no resource `{}`", issuer.resource);
        return Err(Refused::member("resource", why).into());
    };
    let extra = issuer.scopes.without(&resource.resource.scopes);
    if !extra.is_empty() {
        let why = format!("`{extra}` is not among the scopes of the resource");
        return Err(Refused::member("scopes", why).into());
    }
    if let Some(id) = &issuer.organization {
        let found = cx.store.read(FindOrganization { id: id.clone() }).await?;
        if found.is_none() {
            let why = format!("there is no organization `{id}`");
            return Err(Refused::member("organization", why).into());
        }
    }
    Ok(())
}

/// What can be seen from the issuer alone. Plain http is for this machine.
fn alone(issuer: &TrustedIssuer, own: &str, is_local: bool) -> Result<(), Refused> {
    if let Some(problem) = issuer.problems().into_iter().next() {
        return Err(Refused::member(&problem.field, problem.message));
    }
    if issuer.issuer.as_str() == own {
        return Err(Refused::member("issuer", "is this server itself"));
    }
    let is_safe = |uri: &str| uri.starts_with("https://") || is_local && uri.starts_with("http://");
    if issuer.jwks_uri.as_deref().is_some_and(|uri| !is_safe(uri)) {
        return Err(Refused::member("jwks_uri", "is an https URL"));
    }
    certificates::check(issuer).map_err(|why| Refused::member(certificates::MEMBER, why))
}

async fn answer(cx: &Cx, issuer: ForeignIssuer, status: StatusCode) -> Outcome {
    let found = cx.store.read(FindTrustedIssuer { issuer }).await?;
    let found = found.ok_or(Broken::Impossible(
        "a trusted issuer is gone that was just written",
    ))?;
    Ok(respond::json(status, &shown(&found)))
}

fn shown(stored: &StoredTrustedIssuer) -> Value {
    let mut body = body::object_of(&stored.issuer);
    body.insert("trusted".into(), stored.trusted.into());
    body.insert("created".into(), stored.created.to_string().into());
    body.insert("updated".into(), stored.updated.to_string().into());
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://auth.example.com";

    fn partner(name: &str, jwks_uri: &str) -> TrustedIssuer {
        let document =
            json!({ "issuer": name, "jwks_uri": jwks_uri, "resource": "https://api.example" });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn this_server_is_no_partner_of_itself() {
        let keys = "https://auth.example.com/jwks";
        let refused = alone(&partner(OWN, keys), OWN, false).unwrap_err();
        assert!(refused.description().starts_with("`issuer`"));
        assert!(alone(&partner("https://partner.example.net", keys), OWN, false).is_ok());
    }

    #[test]
    fn keys_come_by_https_unless_all_is_on_this_machine() {
        let plain = partner("https://partner.example.net", "http://127.0.0.1:9/jwks");
        assert!(alone(&plain, OWN, true).is_ok());
        assert!(alone(&plain, OWN, false).is_err());
        let file = partner("https://partner.example.net", "file:///etc/passwd");
        assert!(alone(&file, OWN, true).is_err());
    }
}
