//! The authorization code: sealed, so that only its use has to be stored.
//!
//! Spec: RFC 6749 §4.1.2
//! Spec: RFC 7636 §4.4
//! Spec: RFC 9449 §10

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{CodeChallenge, RedirectUri, Timestamp};
use symbolon_token::mark::Kind;
use symbolon_token::{Authority, Id, Session, Thumbprint};

use crate::cx::Cx;

/// What a code stands for.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// Where it was sent.
    pub(crate) redirect_uri: RedirectUri,
    /// What the verifier must hash to.
    pub(crate) challenge: Option<CodeChallenge>,
    /// The key of the proof that has to come with it.
    pub(crate) key: Option<Thumbprint>,
    /// What was granted: all resources and scopes, and a family of its own.
    /// `authority.session()` is set where the family ends with the session.
    pub(crate) authority: Authority,
    /// The session in which it was granted, in every case.
    pub(crate) session: Id<Session>,
    /// The client's nonce.
    pub(crate) nonce: Option<String>,
    /// The claims that were asked for and agreed to.
    pub(crate) claims: ClaimsRequest,
    /// When it is too late.
    pub(crate) expires: Timestamp,
}

/// A code that was sealed here.
pub(crate) struct OpenedCode {
    pub(crate) code: Code,
    /// Names the code in the store once it is used.
    pub(crate) number: [u8; 16],
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    r: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<Thumbprint>,
    a: String,
    s: Id<Session>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    q: ClaimsRequest,
    e: i64,
}

impl Code {
    /// Seals the code.
    pub(crate) fn seal(&self, cx: &Cx) -> String {
        let wire = Wire {
            r: self.redirect_uri.as_str().into(),
            c: self
                .challenge
                .map(|challenge| BASE64_URL_SAFE_NO_PAD.encode(challenge.digest())),
            k: self.key,
            a: BASE64_URL_SAFE_NO_PAD.encode(self.authority.encode()),
            s: self.session,
            n: self.nonce.clone(),
            q: self.claims.clone(),
            e: self.expires.millis(),
        };
        // Strings and numbers always serialise.
        let plain = serde_json::to_vec(&wire).unwrap_or_default();
        cx.keys
            .seal(Kind::AuthorizationCode, cx.bound(), &plain, cx.entropy())
            .text
    }

    /// Opens a presented code. Nothing about it is checked besides its seal.
    pub(crate) fn open(cx: &Cx, text: &str) -> Option<OpenedCode> {
        let opened = cx
            .keys
            .open(Kind::AuthorizationCode, cx.bound(), text)
            .ok()?;
        let wire: Wire<'_> = serde_json::from_slice(&opened.plain).ok()?;
        let authority = BASE64_URL_SAFE_NO_PAD.decode(wire.a).ok()?;
        let code = Self {
            redirect_uri: wire.r.parse().ok()?,
            challenge: wire
                .c
                .map(|text| text.parse().map_err(|_| ()))
                .transpose()
                .ok()?,
            key: wire.k,
            authority: Authority::decode(&authority)?,
            session: wire.s,
            nonce: wire.n,
            claims: wire.q,
            expires: Timestamp::from_millis(wire.e),
        };
        Some(OpenedCode {
            code,
            number: opened.number,
        })
    }
}
