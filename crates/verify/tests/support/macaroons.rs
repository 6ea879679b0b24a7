//! Macaroons under the key of the API that they are for.
//!
//! Spec: Macaroons NDSS 2014 §2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::jwt::Written;
use symbolon_token::macaroon::{self as engine, Period, SharedKey};
use symbolon_token::seal::Bound;
use symbolon_token::{Authority, Granted, Id, Keyring, Position, Slot};
use symbolon_verify::macaroon::{Caveat, attenuate};

use crate::support::{API, Issuer, Reply};

pub(crate) fn keys() -> Keyring {
    Keyring::new(Keyring::generate(&SeededEntropy::new(1), Vec::new())).unwrap()
}

pub(crate) fn authority(audience: &str) -> Authority {
    Authority::granted(Granted::to_client(
        "job".parse().unwrap(),
        audience.parse().unwrap(),
        "read:invoices write:invoices".parse().unwrap(),
        symbolon_testkit::at(600),
        Position {
            epoch: 1,
            sequence: 0,
        },
    ))
}

pub(crate) fn bound(issuer: &Issuer) -> Bound<'_> {
    Bound {
        issuer: &issuer.url,
        epoch: 1,
    }
}

/// A macaroon of this API whose key only the issuer has.
pub(crate) fn sealed_for(issuer: &Issuer, audience: &str) -> String {
    let entropy = SeededEntropy::new(2);
    let minted = engine::mint(
        &keys(),
        bound(issuer),
        &authority(audience),
        START,
        &entropy,
    );
    minted.unwrap().text
}

pub(crate) fn shared_for(issuer: &Issuer, audience: &str) -> String {
    let (keys, entropy) = (keys(), SeededEntropy::new(7));
    let written = Written {
        issuer: &issuer.url.parse().unwrap(),
        subject: "job",
        token: Id::new(Slot::random(&entropy), &entropy),
        issued: START,
        blinding: keys.blinding(),
        claims: &serde_json::Map::new(),
        sector: None,
    };
    engine::mint_shared(
        &keys,
        bound(issuer),
        &written,
        &authority(audience),
        &entropy,
    )
    .unwrap()
}

/// Lets the issuer give out the keys of this API, whatever it is asked for.
pub(crate) fn share(issuer: &Issuer) {
    *issuer.behaviour.macaroon_keys.lock().unwrap() = Reply::Json(document(issuer, API));
}

/// The keys of a resource.
pub(crate) fn keys_of(issuer: &Issuer, resource: &str) -> Vec<SharedKey> {
    let now = Period::of(START);
    engine::shared_keys(
        &keys(),
        bound(issuer),
        &resource.parse().unwrap(),
        (now, now.next()),
    )
}

/// The same as a document.
pub(crate) fn document(issuer: &Issuer, resource: &str) -> Value {
    let all: Vec<Value> = keys_of(issuer, resource)
        .iter()
        .map(|key| {
            json!({
                "id": key.id(),
                "key": BASE64_URL_SAFE_NO_PAD.encode(key.to_secret().expose()),
                "begins": 0, "ends": 0,
            })
        })
        .collect();
    json!({ "issuer": issuer.url, "resource": resource, "epoch": 1, "keys": all })
}

pub(crate) fn narrow(token: &str, caveats: &[&str]) -> String {
    let caveats: Vec<Caveat> = caveats.iter().map(|own| own.parse().unwrap()).collect();
    attenuate(token, &caveats).unwrap()
}
