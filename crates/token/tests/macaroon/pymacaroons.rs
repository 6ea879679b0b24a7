//! `pymacaroons`, from Python: it proves ours, and we open what it narrowed.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_testkit::START;
use symbolon_token::Secret;
use symbolon_token::macaroon::{self, Flaw, Period};

use crate::shared::{key_of, minted as minted_shared};
use crate::{ORDERS, caveats, minted, open};

/// Runs the Python program; it must end well.
fn python(verb: &str, given: &Value) -> Value {
    let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/peers/pymacaroons_flow.py"
    );
    let mut child = Command::new(python)
        .args([path, verb])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(given.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn secret() -> String {
    let key = key_of(ORDERS, 1, Period::of(START));
    BASE64_URL_SAFE_NO_PAD.encode(key.to_secret().expose())
}

fn binary(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .unwrap()
}

fn join(one: &str, two: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode([binary(one), binary(two)].concat())
}

#[test]
fn it_proves_what_was_minted_here_first_and_third_party() {
    let narrower = caveats(&["method = GET", "scope = read:orders"]);
    let root = macaroon::attenuate(&minted_shared(), &narrower).unwrap();
    let key = Secret::from("a key of two");
    let root = macaroon::require(&root, "https://other.example.com", &key, b"the name").unwrap();
    let derived = libmacaroon::MacaroonKey::generate(b"a key of two");
    let discharge = libmacaroon::Macaroon::create(Some("x"), &derived, "the name").unwrap();
    let discharge = discharge.serialize(libmacaroon::Format::V2).unwrap();

    let told = python(
        "verify",
        &json!({ "root": root, "secret": secret(), "discharges": [discharge] }),
    );

    assert_eq!(told["proved"], true);
    assert_eq!(
        told["caveats"],
        json!(["method = GET", "scope = read:orders"])
    );
    for refused in ["unbound", "missing", "other_key"] {
        assert!(told[refused].is_string(), "{refused}: {told}");
    }
}

#[test]
fn what_it_narrowed_and_discharged_opens_here() {
    let given = json!({
        "root": minted(),
        "caveats": ["scope = read:orders", "before = 2026-01-01T00:01:00Z"],
        "discharge_caveat": "method = GET",
    });

    let made = python("narrow", &given);

    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let left = open(&text("narrower")).unwrap();
    assert_eq!(left.scopes().to_string(), "read:orders");
    assert_eq!(left.expires(), crate::at(60));
    assert_eq!(open(&join(&text("root"), &text("bound"))).unwrap(), left);
    assert_eq!(
        open(&join(&text("root"), &text("unbound"))).unwrap_err(),
        Flaw::Mac
    );
    assert_eq!(open(&text("root")).unwrap_err(), Flaw::DischargeMissing);
    for (name, own) in made["made"].as_object().unwrap() {
        let contents = macaroon::inspect(own.as_str().unwrap());
        let contents = contents.unwrap_or_else(|flaw| panic!("{name}: {flaw} {own}"));
        assert_eq!(contents.location.as_deref(), Some("http://example.org/"));
        assert_eq!(contents.caveats.len(), 1);
    }
}
