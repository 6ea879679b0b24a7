//! Whom the tests of this crate send to their server: a browser, and what it asks.

use std::collections::BTreeMap;

use symbolon_server::testing;

use crate::harness::{CALLBACK, Server};

pub(crate) use testing::{VERIFIER, challenge, encode, hidden, redemption, response};

/// One person's browser.
pub(crate) type Browser<'s> = testing::Browser<'s, Server>;

/// An authorization request: valid, until a test changes one part.
pub(crate) fn request() -> BTreeMap<String, String> {
    let challenge = challenge(VERIFIER);
    let pairs = [
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid offline_access read:orders"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
