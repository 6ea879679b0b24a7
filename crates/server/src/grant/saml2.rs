//! Assertions of this server: written, and read when they come back.
//!
//! They are signed with the key for RS256, which every party that speaks SAML
//! can check. What a JWT signs begins with other bytes than what an assertion
//! signs, so neither can pass for the other.
//!
//! Spec: RFC 8693 §3
//! Spec: SAML 2.0 Core §2

use std::sync::Arc;

use serde_json::Map;
use symbolon_protocol::{Client, SigningAlgorithm, Timestamp};
use symbolon_token::Authority;
use symbolon_token::explain::Refused;
use symbolon_token::jose::{Algorithm, SigningKey};
use symbolon_token::recognize::{Recognized, What};
use symbolon_token::saml::{
    self, Certificate, NameFormat, Presented, Rendering, Trusted, Unwritable,
};

use super::issue::written;
use crate::cx::Cx;
use crate::endpoint::presented::{self, Read};
use crate::failure::{Broken, Failure, Refusal};

/// A certificate of a key has no date by which the key ends: that is decided,
/// and may change. The end is the one that stands for none (RFC 5280 §4.1.2.5).
const BEGINS: Timestamp = Timestamp::from_seconds(1_735_689_600);
const ENDS: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// Writes an authority as an assertion for its one audience.
pub(crate) fn mint(cx: &Cx, client: &Client, authority: &Authority) -> Result<String, Failure> {
    let key = cx
        .keys
        .signer(SigningAlgorithm::Rs256)
        .ok_or(Broken::Impossible("no key for a signing algorithm"))?;
    let recipient = authority.audiences().first();
    let rendering = Rendering {
        format: NameFormat::Persistent,
        qualifiers: [None; 2],
        recipient: recipient.map_or("", |own| own.as_str()),
        in_response_to: None,
        session_index: None,
        attributes: &[],
        certificate: None,
        encrypt_to: None,
    };
    // An assertion has attributes of its own, and none that was mapped.
    let nothing = Map::new();
    let minted = written(cx, client, (authority, &nothing), |written| {
        cx.recent.issued(cx, written.token, authority.clone());
        saml::mint(key, written, &rendering, authority)
    });
    minted.map_err(|unwritable| {
        match unwritable {
            Unwritable::Bound => {
                Refusal::invalid_request("a token that is bound to a key is no assertion")
            }
            Unwritable::Audience => Refusal::invalid_target("an assertion has one audience"),
            _ => Refusal::invalid_request("the token holds what an assertion cannot"),
        }
        .into()
    })
}

/// An assertion that says that it is this server's own, by its form; nothing
/// of it is checked.
pub(crate) fn own(cx: &Cx, text: &str) -> Option<Presented> {
    if Recognized::of(text).what != What::Assertion {
        return None;
    }
    let presented = Presented::parse(text, &[]).ok()?;
    (presented.claimed_issuer() == cx.settings.issuer.as_str()).then_some(presented)
}

/// Reads an assertion of this server. It may have been taken back.
pub(crate) fn read(cx: &Cx, assertion: &Presented) -> Result<Read, Refused> {
    let own = Arc::clone(&cx.app.keys.load().own);
    let keys = own.candidates(None, Algorithm::Rs256).cloned();
    let trusted = Trusted::by_keys(cx.settings.issuer.as_str(), keys);
    let trusted = trusted.map_err(|_| Refused::Assertion(saml::Refused::NoKey))?;
    let opened = assertion.reopen(&trusted, cx.now);
    let opened = opened.map_err(Refused::Assertion)?;
    presented::of_own_claims(cx, opened.claims(), opened.kid())
}

/// The certificates of the keys that sign assertions, the active one first.
pub(crate) fn certificates(cx: &Cx) -> Result<Vec<Certificate>, Broken> {
    let keys = cx.app.keys.load();
    keys.certified
        .iter()
        .map(|key| certificate(key, cx.settings.issuer.as_str()))
        .collect()
}

/// The same bytes each time and on every node.
fn certificate(key: &SigningKey, name: &str) -> Result<Certificate, Broken> {
    Certificate::self_signed(key, name, BEGINS, ENDS)
        .map_err(|_| Broken::Impossible("a certificate for an RSA key"))
}
