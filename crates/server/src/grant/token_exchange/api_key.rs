//! An API key as a subject token: a short token for one of its APIs, which dies
//! with the key.
//!
//! A key that is good from some networks alone, or that has a plan of its own, is
//! not exchanged: the result could not carry that on. One for trying out is
//! exchanged only where an API takes no others, so that nothing of it reaches an
//! API for real work.
//!
//! Spec: RFC 8693 §2.1, §3

use std::sync::Arc;

use symbolon_protocol::{Environment, Resource, ResourceIdentifier, TakenKeys};
use symbolon_token::{Actor, Authority, Binding};

use super::opened::{Asking, Holder, Opened, Reach};
use crate::api_key::{self, Asked, OpenKey};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::subject;

pub(super) async fn open(
    asking: Asking<'_>,
    text: &str,
) -> Result<Result<Opened, &'static str>, Failure> {
    let (cx, client) = (asking.cx, asking.client);
    let asked = Asked {
        source: Some(cx.address),
        by: client.id.as_str(),
    };
    let key = match api_key::open(cx, text, asked).await? {
        Ok(key) => key,
        Err(refused) => return Ok(Err(refused.code())),
    };
    if !key.facts().document.networks.is_everywhere() {
        return Ok(Err("the key is good from some networks alone"));
    }
    // What the key may have less than its client would be had by the token.
    if key.facts().document.plan.is_some() {
        return Ok(Err("the key has a plan of its own"));
    }
    let Some(authority) = exchangeable(cx, &key) else {
        return Ok(Err("the key is good at no API where it may be exchanged"));
    };
    key.note_use(cx);
    Ok(Ok(Opened {
        name: Actor {
            subject: subject::of(&cx.keys, client, authority.subject()),
            issuer: None,
        },
        authority,
        known: cx.position,
        ancestors: key.marks.ancestors(),
        holder: Holder::Client(key.client.client.id.clone()),
        sector: subject::sector(&key.client.client),
        bound_like: Binding::NONE,
        reach: Reach::OwnApis,
        says_scopes: true,
    }))
}

/// What the key permits at those of its APIs where it may be exchanged, and no
/// more than its client may have now.
fn exchangeable(cx: &Cx, key: &OpenKey) -> Option<Authority> {
    let environment = key.facts().document.environment;
    let may = |own: &Arc<Resource>| {
        let is_apart = environment == Environment::Live || own.api_keys == TakenKeys::Test;
        is_apart && key.check_resource(cx, own).is_ok()
    };
    let all = key.whole.audiences().iter();
    let all = all.filter_map(|own| cx.directory.find_resource(own.as_str()));
    let places: Vec<ResourceIdentifier> =
        all.filter(may).map(|own| own.identifier.clone()).collect();
    key.narrowed_to(places)
}
