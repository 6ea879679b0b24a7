//! The members that are about encryption and mapped claims.

use serde_json::{Value, json};
use symbolon_protocol::encryption::MEMBERS;
use symbolon_protocol::{ContentEncryption, KeyManagement};

use super::schemas::{text, words};

/// What a client can be given.
pub(super) fn of_client() -> impl Iterator<Item = (&'static str, Value)> {
    MEMBERS.into_iter().flat_map(pair).chain([claims()])
}

/// What a resource can be given.
pub(super) fn of_resource() -> impl Iterator<Item = (&'static str, Value)> {
    let names = (
        "access_token_encrypted_response_alg",
        "access_token_encrypted_response_enc",
    );
    let keys = [("jwks", json!({ "type": "object" })), ("jwks_uri", text())];
    pair(names).into_iter().chain(keys).chain([claims()])
}

fn pair((alg, enc): (&'static str, &'static str)) -> [(&'static str, Value); 2] {
    [
        (alg, words(KeyManagement::ALL)),
        (enc, words(ContentEncryption::ALL)),
    ]
}

fn claims() -> (&'static str, Value) {
    let says = "Names in the token, each with its source: a standard claim, `organization`, `roles`, or `{\"value\": …}`.";
    ("claims", json!({ "type": "object", "description": says }))
}
