//! An API key at introspection: for the resource server that asks, what the key
//! permits at its API; for the key's own client, whether it is good.
//!
//! The form may name which API asks, in `resource`, where the caller serves
//! several, and the address of whoever sent the key, in `client_ip`: a key that
//! is good from some networks alone is inactive without it.
//!
//! Spec: RFC 7662 §2.1, §2.2, §4

use std::sync::Arc;

use symbolon_protocol::{Client, Parameters, Resource};
use symbolon_token::explain::Refused;

use super::live::Live;
use super::macaroon::described;
use crate::api_key::{self, Asked, OpenKey};
use crate::cx::Cx;
use crate::failure::Failure;

/// The key as a token at the caller's API, where it is good and the caller may
/// know of it.
pub(super) async fn judge(
    cx: &Cx,
    caller: &Client,
    token: &str,
    form: &Parameters,
) -> Result<Result<Option<Live>, Refused>, Failure> {
    let address = described(form).address;
    let asked = Asked {
        source: address,
        by: caller.id.as_str(),
    };
    let key = match api_key::open(cx, token, asked).await? {
        Ok(key) => key,
        Err(refused) => return Ok(Err(refused)),
    };
    let Some((resource, is_reader)) = resource(cx, caller, &key, form) else {
        return Ok(Ok(None));
    };
    if let Err(refused) = key.check_network(address) {
        return Ok(Err(refused));
    }
    let live = match key.at(cx, &resource)? {
        Ok(live) => live,
        Err(refused) => return Ok(Err(refused)),
    };
    if is_reader {
        key.note_use(cx);
    }
    Ok(Ok(Some(live)))
}

/// The API that is meant, and whether the caller is its server: the one that
/// the caller names, else the first of the key's that the caller serves; for
/// the key's own client the first of them all.
fn resource(
    cx: &Cx,
    caller: &Client,
    key: &OpenKey,
    form: &Parameters,
) -> Option<(Arc<Resource>, bool)> {
    let named = form.one("resource");
    let all = key.facts().document.resources.iter();
    let all = all.filter_map(|own| cx.directory.find_resource(own.as_str()));
    let mut meant = all.filter(|own| named.is_none_or(|named| own.is_named(named)));
    if key.client.client.id == caller.id {
        let first = meant.next()?;
        let is_reader = first.may_introspect(&caller.id);
        return Some((first, is_reader));
    }
    let own = meant.find(|own| own.may_introspect(&caller.id))?;
    Some((own, true))
}
