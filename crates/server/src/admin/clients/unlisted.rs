//! Clients that have no row, as an administrator sees, stops and lets them go
//! on: what stops one is a row, which comes before all that it says of itself.

use serde_json::json;
use symbolon_protocol::ClientId;
use symbolon_store::{
    ClientOrigin, FindClient, FindRegistration, LetClientGoOn, RevokeUnlistedClient, StopClient,
    StoredClient,
};

use super::super::event;
use super::super::failed::Failed;
use super::{end_what_is_left, missing};
use crate::cx::Cx;

/// The client, as far as it can be known without asking anybody.
pub(super) async fn find(cx: &Cx, id: &ClientId) -> Result<StoredClient, Failed> {
    if !cx.kind_of_client(id).is_self_described() {
        return Err(missing(id).into());
    }
    let found = cx.known_client(id).await?;
    Ok((*found.ok_or_else(|| missing(id))?).clone())
}

/// Stops a client without a row, or lets it go on; whether it was one.
pub(super) async fn set_enabled(cx: &Cx, id: &ClientId, enabled: bool) -> Result<bool, Failed> {
    if !cx.kind_of_client(id).is_self_described() {
        return Ok(false);
    }
    let action = if enabled {
        "client.enable"
    } else {
        "client.disable"
    };
    let mut audit = event(cx, action);
    audit.client = Some(id.to_string());
    audit.detail = json!({ "self_described": true });
    let registration = cx.store.read(FindRegistration { id: id.clone() }).await?;
    let is_stopped = registration.is_some_and(|own| own.origin == ClientOrigin::Stopped);
    if enabled && is_stopped {
        end_what_is_left(cx, id).await?;
        let act = LetClientGoOn {
            id: id.clone(),
            audit,
            now: cx.now,
        };
        cx.store.act(act).await?;
        return Ok(true);
    }
    let has_row = cx
        .store
        .read(FindClient { id: id.clone() })
        .await?
        .is_some();
    if enabled || has_row {
        return Ok(false);
    }
    let act = StopClient {
        client: find(cx, id).await?.client,
        audit,
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    cx.store.act(act).await?;
    Ok(true)
}

/// Takes back all that a client without a row was given; whether it is one.
pub(in super::super) async fn revoke(cx: &Cx, id: &ClientId) -> Result<bool, Failed> {
    if !cx.kind_of_client(id).is_self_described() {
        return Ok(false);
    }
    let mut audit = event(cx, "client.revoke");
    audit.client = Some(id.to_string());
    audit.detail = json!({ "self_described": true });
    let act = RevokeUnlistedClient {
        id: id.clone(),
        audit,
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    cx.store.act(act).await?;
    Ok(true)
}
