//! Broken tokens, each with exactly one cause: a table that the tests of the
//! library and of the command share.
//!
//! A case is built from a good token by one change. Its twin is the same
//! without the change, and has to be explained as valid.
#![allow(
    dead_code,
    reason = "the command's tests use less of it than the library's"
)]

mod forms;
mod jwts;
mod kinds;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_token::jose::SigningKey;

/// The API of every case.
pub(crate) const API: &str = "https://api.example/v1";
/// The scope that every case needs.
pub(crate) const NEEDED: &str = "read:invoices";

/// An issuer as a case sees it: two keys that the API takes, one that it does
/// not, all published; and a stranger's.
pub(crate) struct Given {
    pub(crate) url: String,
    pub(crate) key: SigningKey,
    pub(crate) other: SigningKey,
    pub(crate) large: SigningKey,
    pub(crate) stranger: SigningKey,
    pub(crate) now: Timestamp,
}

/// Whether the command can be shown a case: it trims what it is given, and its
/// clock is the machine's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    ToBoth,
    ToTheLibrary,
}

/// One broken token.
pub(crate) struct Case {
    /// What was done.
    pub(crate) name: &'static str,
    /// How it is built.
    pub(crate) broken: fn(&Given) -> String,
    /// The cause.
    pub(crate) root: &'static str,
    /// The step that fails.
    pub(crate) check: &'static str,
    /// Words of the repair.
    pub(crate) repair: &'static str,
    pub(crate) shown: Shown,
}

/// One whose signature step fails, shown to library and command.
const fn unsigned(
    name: &'static str,
    broken: fn(&Given) -> String,
    root: &'static str,
    repair: &'static str,
) -> Case {
    Case {
        name,
        broken,
        root,
        check: "signature",
        repair,
        shown: Shown::ToBoth,
    }
}

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    [jwts::all(), kinds::all(), forms::all()]
        .into_iter()
        .flatten()
        .collect()
}

impl Given {
    pub(crate) fn new(url: &str, now: Timestamp) -> Self {
        let [key, other, stranger] = [(); 3].map(|()| made(SigningAlgorithm::Es256));
        Self {
            url: url.to_owned(),
            key,
            other,
            large: made(SigningAlgorithm::Es384),
            stranger,
            now,
        }
    }

    /// What the issuer publishes.
    pub(crate) fn key_set(&self) -> Value {
        let keys = [&self.key, &self.other, &self.large].map(|key| key.public_jwk());
        json!({ "keys": keys })
    }

    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.url, "sub": "usr_1", "aud": API, "client_id": "web",
            "exp": self.now.seconds() + 600, "iat": self.now.seconds(), "jti": "t1",
            "scope": NEEDED,
        })
    }

    /// The good token that every case begins with.
    pub(crate) fn good(&self) -> String {
        self.with(|_| ())
    }

    /// A token of the issuer's whose claims were changed before it was signed.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.key.sign("at+jwt", claims.to_string().as_bytes())
    }

    /// The claims under another header.
    pub(crate) fn under(&self, key: &SigningKey, header: &Value) -> String {
        let claims = self.claims().to_string();
        key.sign_under(&header.to_string(), claims.as_bytes())
    }
}

fn made(algorithm: SigningAlgorithm) -> SigningKey {
    let document = SigningKey::generate(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, &document).unwrap()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

/// A token whose payload somebody edited.
pub(crate) fn edited(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let [header, payload, signature] = parts(token);
    let mut claims = decoded(&payload);
    change(&mut claims);
    format!("{header}.{}.{signature}", encoded(&claims))
}

/// A token whose header somebody edited.
pub(crate) fn headed(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let [header, payload, signature] = parts(token);
    let mut fields = decoded(&header);
    change(&mut fields);
    format!("{}.{payload}.{signature}", encoded(&fields))
}
