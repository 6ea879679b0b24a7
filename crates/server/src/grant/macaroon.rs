//! Minting a macaroon, under the key that its resource chose.
//!
//! Spec: Macaroons NDSS 2014 §2

use serde_json::{Map, Value};
use symbolon_protocol::{Client, Resource};
use symbolon_token::{Authority, Id, Token, macaroon};

use super::issue::written;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};

/// Writes an authority as a macaroon: rooted in the server's own key, or in
/// the key of the resource. Claims that were mapped stand in the latter alone;
/// of the former, introspection tells them.
pub(crate) fn mint(
    cx: &Cx,
    client: &Client,
    authority: &Authority,
    (resource, mapped): (Option<&Resource>, &Map<String, Value>),
) -> Result<(String, Id<Token>), Failure> {
    let minted = if resource.is_some_and(Resource::shares_macaroon_keys) {
        written(cx, client, (authority, mapped), |written| {
            macaroon::mint_shared(&cx.keys, cx.bound(), written, authority, cx.entropy())
                .map(|text| (text, written.token))
        })
    } else {
        macaroon::mint(&cx.keys, cx.bound(), authority, cx.now, cx.entropy())
            .map(|minted| (minted.text, minted.token))
    };
    minted.map_err(|_| Refusal::invalid_scope("so many scopes do not fit into one token").into())
}
