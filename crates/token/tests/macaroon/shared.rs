//! Macaroons under a key that the resource holds too.

use serde_json::Value;
use symbolon_protocol::Issuer;
use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::jwt::Written;
use symbolon_token::macaroon::{self, Flaw, Period, SharedKey, SharedPresented};
use symbolon_token::{Id, Slot};

use crate::{BOUND, ORDERS, authority, caveats, context, keys};

pub(crate) fn minted() -> String {
    let (keys, entropy) = (keys(1), SeededEntropy::new(4));
    let issuer: Issuer = BOUND.issuer.parse().unwrap();
    let written = Written {
        issuer: &issuer,
        subject: "job",
        token: Id::new(Slot::random(&entropy), &entropy),
        issued: START,
        blinding: keys.blinding(),
        claims: &serde_json::Map::new(),
        sector: None,
    };
    macaroon::mint_shared(&keys, BOUND, &written, &authority(), &entropy).unwrap()
}

pub(crate) fn key_of(audience: &str, seed: u64, period: Period) -> SharedKey {
    let all = macaroon::shared_keys(
        &keys(seed),
        BOUND,
        &audience.parse().unwrap(),
        (period, period),
    );
    // As it travels.
    assert_eq!(all.len(), 1);
    let key = all.first().unwrap();
    SharedKey::from_secret(&key.id(), &key.to_secret()).unwrap()
}

fn open(text: &str, key: &SharedKey) -> Result<serde_json::Map<String, Value>, Flaw> {
    let token = SharedPresented::parse(text)?.unwrap().open(key, BOUND)?;
    Ok(token.judge(&context(START))?.0)
}

#[test]
fn its_resource_and_the_server_read_the_same_claims() {
    let key = key_of(ORDERS, 1, Period::of(START));
    let text = minted();

    let claims = open(&text, &key).unwrap();
    let server = SharedPresented::parse(&text).unwrap().unwrap();
    let server = server.open_as_server(&keys(1), BOUND).unwrap();

    assert_eq!(claims, server.judge(&context(START)).unwrap().0);
    assert_eq!(claims["aud"], ORDERS);
    assert_eq!(claims["scope"], "read:orders write:orders");
    assert_eq!(
        SharedPresented::parse(&text)
            .unwrap()
            .unwrap()
            .claimed_key(),
        Some(key.id())
    );
}

#[test]
fn no_other_key_opens_it() {
    let period = Period::of(START);
    let text = minted();
    for other in [
        key_of("https://other.example.com", 1, period),
        key_of(ORDERS, 1, period.next()),
        key_of(ORDERS, 2, period),
    ] {
        assert!(open(&text, &other).is_err());
    }
    assert!(open(&text, &key_of(ORDERS, 1, period)).is_ok());
}

#[test]
fn one_resource_cannot_make_what_another_takes() {
    use base64::Engine;
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(minted())
        .unwrap();
    let at = bytes
        .windows(ORDERS.len())
        .position(|own| own == ORDERS.as_bytes())
        .unwrap();
    let mut moved = bytes;
    moved[at..at + ORDERS.len()].copy_from_slice(b"https://app.example.com");
    let moved = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&moved);

    let key = key_of("https://app.example.com", 1, Period::of(START));
    assert_eq!(open(&moved, &key).unwrap_err(), Flaw::Mac);
    let server = SharedPresented::parse(&moved).unwrap().unwrap();
    assert_eq!(
        server.open_as_server(&keys(1), BOUND).unwrap_err(),
        Flaw::Mac
    );
}

#[test]
fn caveats_narrow_its_claims() {
    let key = key_of(ORDERS, 1, Period::of(START));
    let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let narrow = |texts: &[&str]| {
        open(
            &macaroon::attenuate(&minted(), &caveats(texts)).unwrap(),
            &key,
        )
    };

    let claims = narrow(&[
        "scope = read:orders admin",
        "before = 2026-01-01T00:01:00Z",
        &format!("jkt = {thumbprint}"),
    ])
    .unwrap();

    assert_eq!(claims["scope"], "read:orders");
    assert_eq!(claims["exp"], START.seconds() + 60);
    assert_eq!(claims["cnf"]["jkt"], thumbprint);
    assert_eq!(
        narrow(&["audience = https://x.example.com"]).unwrap_err(),
        Flaw::Nothing("audience")
    );
    assert_eq!(
        narrow(&["method = POST"]).unwrap_err(),
        Flaw::Unmet("method = POST".into())
    );
    assert_eq!(
        narrow(&["before = 2030-01-01T00:00:00Z"]).unwrap()["exp"],
        START.seconds() + 600
    );
    assert!(!narrow(&["scope = other"]).unwrap().contains_key("scope"));
}

#[test]
fn the_two_kinds_are_never_taken_for_one_another() {
    assert!(SharedPresented::parse(&crate::minted()).unwrap().is_none());
    assert_eq!(
        macaroon::open(&keys(1), BOUND, &minted()).unwrap_err(),
        Flaw::Identifier
    );
}

#[test]
fn any_changed_byte_is_refused() {
    use base64::Engine;
    let engine = base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let text = macaroon::attenuate(&minted(), &caveats(&["method = GET"])).unwrap();
    let key = key_of(ORDERS, 1, Period::of(START));
    let whole = engine.decode(&text).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let changed = engine.encode(&changed);
        let by_resource = SharedPresented::parse(&changed).ok().flatten();
        assert!(
            by_resource.is_none_or(|own| own.open(&key, BOUND).is_err()),
            "{at}"
        );
        let by_server = SharedPresented::parse(&changed).ok().flatten();
        assert!(
            by_server.is_none_or(|own| own.open_as_server(&keys(1), BOUND).is_err()),
            "{at}"
        );
    }
    assert!(open(&text, &key).is_ok());
}

#[test]
fn what_its_resource_mints_is_good_there_and_nothing_to_the_server() {
    let key = key_of(ORDERS, 1, Period::of(START));
    let genuine = open(&minted(), &key).unwrap();
    let entropy = SeededEntropy::new(9);
    let by_server = |text: &str| {
        let own = || SharedPresented::parse(text).unwrap().unwrap();
        let named = own().name(&keys(1), BOUND).err();
        let opened = own().open_as_server(&keys(1), BOUND).err();
        assert_eq!(named, opened, "one answer at every endpoint");
        opened
    };

    let mut forged = genuine.clone();
    forged.insert("sub".into(), "admin".into());
    for claims in [&genuine, &forged] {
        let text = key.mint(BOUND, claims, &entropy).unwrap();
        assert_eq!(&open(&text, &key).unwrap(), claims);
        assert_eq!(by_server(&text), Some(Flaw::NotMintedHere));
    }
    // Nor with a seal that stands in another one, or in none.
    for seal in ["", "AAAA", &"A".repeat(43)] {
        forged.insert("rev#".into(), seal.into());
        let text = key.mint(BOUND, &forged, &entropy).unwrap();
        assert_eq!(by_server(&text), Some(Flaw::NotMintedHere), "{seal}");
    }
    assert_eq!(by_server(&minted()), None);
    assert!(!genuine.contains_key("rev#"), "a resource reads past it");
}
