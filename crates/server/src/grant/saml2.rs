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
use symbolon_protocol::{Client, SigningAlgorithm};
use symbolon_token::Authority;
use symbolon_token::explain::Refused;
use symbolon_token::jose::Algorithm;
use symbolon_token::recognize::{Recognized, What};
use symbolon_token::saml::{
    self, NameFormat, Presented, Recipient, Rendering, Trusted, Unwritable,
};

use super::issue::written;
use crate::cx::Cx;
use crate::endpoint::presented::{self, Read};
use crate::failure::{Broken, Failure, Refusal};
use crate::recent::MadeWith;

/// Writes an authority as an assertion for its one audience, encrypted where
/// that one registered a key.
pub(crate) fn mint(
    cx: &Cx,
    client: &Client,
    authority: &Authority,
    encrypt_to: Option<&Recipient>,
) -> Result<String, Failure> {
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
        encrypt_to: encrypt_to.map(|own| (own, cx.entropy())),
    };
    // An assertion has attributes of its own, and none that was mapped.
    let nothing = Map::new();
    let minted = written(cx, client, (authority, &nothing), |written| {
        let made_with = MadeWith::Signing(key.kid().to_owned());
        cx.recent
            .issued(cx, written.token, authority.clone(), made_with);
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

/// Takes apart what somebody presents, with every key that this server has for
/// it: those that partners encrypt to, and those by which it reads again what
/// it encrypted itself.
pub(crate) fn presented(cx: &Cx, text: &str) -> Result<Presented, saml::Refused> {
    let keys = cx.app.keys.load();
    Presented::parse_at_home(text, keys.assertions.decrypting(), &cx.keys)
}

/// An assertion that says that it is this server's own, by its form; nothing
/// of it is checked. Whoever asks may be anybody, so no private key is used.
pub(crate) fn own(cx: &Cx, text: &str) -> Option<Presented> {
    if Recognized::of(text).what != What::Assertion {
        return None;
    }
    let presented = Presented::parse_at_home(text, &[], &cx.keys).ok()?;
    (presented.claimed_issuer() == cx.settings.issuer.as_str()).then_some(presented)
}

/// Reads an assertion of this server. It may have been taken back.
pub(crate) fn read(cx: &Cx, assertion: &Presented) -> Result<Read, Refused> {
    let own = Arc::clone(&cx.app.keys.load().own);
    let keys = own.candidates(None, Algorithm::Rs256).cloned();
    let trusted = Trusted::by_keys(cx.settings.issuer.as_str(), keys);
    let trusted = trusted.map_err(|_| Refused::Assertion(saml::Refused::NoKey))?;
    let opened = assertion.reopen_past_end(&trusted, cx.now, cx.past_end);
    let opened = opened.map_err(Refused::Assertion)?;
    presented::of_own_claims(cx, opened.claims(), opened.kid())
}
