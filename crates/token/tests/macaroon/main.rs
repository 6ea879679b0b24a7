//! Macaroons: what opens, what is left of it, and what nobody can do to one.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod attacks;
mod conditions;
mod discharges;
mod properties;
mod pymacaroons;
mod shared;

use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_testkit::{START, SeededEntropy, at};
use symbolon_token::macaroon::{self, Caveat, Context, Flaw, Request};
use symbolon_token::seal::Bound;
use symbolon_token::{Authority, Granted, Keyring, Position};

pub(crate) const BOUND: Bound<'_> = Bound {
    issuer: "https://as.example.com",
    epoch: 1,
};
pub(crate) const ORDERS: &str = "https://api.example.com";

pub(crate) fn keys(seed: u64) -> Keyring {
    Keyring::new(Keyring::generate(&SeededEntropy::new(seed), Vec::new())).unwrap()
}

pub(crate) fn granted() -> Granted {
    Granted::to_client(
        "job".parse().unwrap(),
        ORDERS.parse().unwrap(),
        "read:orders write:orders".parse().unwrap(),
        at(600),
        Position {
            epoch: 1,
            sequence: 7,
        },
    )
}

pub(crate) fn authority() -> Authority {
    Authority::granted(granted())
}

pub(crate) fn minted() -> String {
    let entropy = SeededEntropy::new(3);
    macaroon::mint(&keys(1), BOUND, &authority(), START, &entropy)
        .unwrap()
        .text
}

pub(crate) fn caveats(texts: &[&str]) -> Vec<Caveat> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(crate) fn narrowed(texts: &[&str]) -> String {
    macaroon::attenuate(&minted(), &caveats(texts)).unwrap()
}

/// A request that meets what these tests ask for.
pub(crate) fn context(now: Timestamp) -> Context<'static> {
    Context {
        now,
        skew: Duration::ZERO,
        request: Request {
            method: Some("GET"),
            path: Some("/orders/7"),
            address: Some("10.1.2.3".parse().unwrap()),
        },
    }
}

pub(crate) fn open(text: &str) -> Result<Authority, Flaw> {
    let token = macaroon::open(&keys(1), BOUND, text)?;
    Ok(token.judge(&context(START))?.0)
}

#[test]
fn what_was_minted_opens_as_it_was() {
    let entropy = SeededEntropy::new(3);
    let minted = macaroon::mint(&keys(1), BOUND, &authority(), START, &entropy).unwrap();

    let token = macaroon::open(&keys(1), BOUND, &minted.text).unwrap();

    assert_eq!((token.token(), token.issued()), (minted.token, START));
    assert_eq!(token.unconditional().unwrap(), authority());
    assert!(macaroon::is_macaroon(&minted.text));
    assert!(minted.text.len() < 400, "{}", minted.text.len());
}

#[test]
fn caveats_narrow_scope_audience_end_and_key() {
    let key = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let text = narrowed(&[
        "scope = read:orders delete:orders",
        "before = 2026-01-01T00:05:00Z",
        "before = 2027-01-01T00:00:00Z",
        "audience = https://api.example.com",
        &format!("jkt = {key}"),
    ]);

    let left = open(&text).unwrap();

    assert_eq!(left.scopes().to_string(), "read:orders");
    assert_eq!(left.expires(), at(300));
    assert_eq!(left.binding().key, Some(key.parse().unwrap()));
    assert!(left.is_within(&authority()));
}

#[test]
fn caveats_that_leave_nothing_refuse() {
    let other = "jkt = 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    for (texts, flaw) in [
        (
            vec!["audience = https://other.example.com"],
            Flaw::Nothing("audience"),
        ),
        (
            vec![
                "audience = https://api.example.com",
                "audience = https://other.example.com",
            ],
            Flaw::Nothing("audience"),
        ),
        (
            vec!["jkt = NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", other],
            Flaw::Nothing("key"),
        ),
    ] {
        assert_eq!(open(&narrowed(&texts)).unwrap_err(), flaw);
    }
    assert!(
        open(&narrowed(&["scope = none:of:these"]))
            .unwrap()
            .scopes()
            .is_empty()
    );
}

#[test]
fn another_issuer_epoch_or_installation_opens_none() {
    let text = minted();
    let elsewhere = Bound {
        issuer: "https://other.example.com",
        ..BOUND
    };
    let restored = Bound { epoch: 2, ..BOUND };

    assert_eq!(
        macaroon::open(&keys(1), elsewhere, &text).unwrap_err(),
        Flaw::Location
    );
    assert_eq!(
        macaroon::open(&keys(1), restored, &text).unwrap_err(),
        Flaw::Identifier
    );
    assert_eq!(
        macaroon::open(&keys(2), BOUND, &text).unwrap_err(),
        Flaw::Identifier
    );
    assert!(open(&text).is_ok());
}

#[test]
fn a_descendant_names_its_root_without_discharges() {
    let text = narrowed(&["method = GET", "budget = 3"]);
    let key = symbolon_token::Secret::from("key");
    let text = macaroon::require(&text, "https://elsewhere.example.com", &key, b"id").unwrap();

    let named = macaroon::name(&keys(1), BOUND, &text).unwrap();

    let root = macaroon::open(&keys(1), BOUND, &minted()).unwrap();
    assert_eq!((named.token, named.key), (root.token(), root.key()));
    assert_eq!((named.issued, named.authority), (START, authority()));
    assert_eq!(open(&text).unwrap_err(), Flaw::DischargeMissing);
}

/// The vector of libmacaroons: key "this is the key", identifier "keyid".
#[test]
fn v1_v2_and_json_are_read_and_v2_is_written() {
    let key = libmacaroon::MacaroonKey::generate(b"this is the key");
    let made = libmacaroon::Macaroon::create(Some("http://example.org/"), &key, "keyid").unwrap();
    let v2 =
        "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";
    let v1 = made.serialize(libmacaroon::Format::V1).unwrap();
    let json = made.serialize(libmacaroon::Format::V2JSON).unwrap();

    for text in [
        v2,
        &format!("{v2}="),
        &v1,
        v1.trim_end_matches('='),
        &json,
        &format!("[{json}]"),
    ] {
        assert!(macaroon::is_macaroon(text), "{text}");
        let contents = macaroon::inspect(text).unwrap();
        assert_eq!(contents.location.as_deref(), Some("http://example.org/"));
        assert_eq!(macaroon::attenuate(text, &[]).unwrap(), v2);
    }
}

#[test]
fn other_tokens_do_not_have_the_form_of_a_macaroon() {
    for text in [
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.AAAA",
        "sym_at_AgEabc",
        "AgEab.c.d",
        "",
        "abc",
    ] {
        assert!(!macaroon::is_macaroon(text), "{text}");
    }
}
