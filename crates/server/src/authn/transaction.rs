//! A sign-in that is under way: sealed, bound to one browser, no row anywhere.
//!
//! The validated request travels in the address and in hidden fields; the
//! browser holds a random cookie whose digest is inside the seal. What was
//! started in one browser is worth nothing in another.
//!
//! Spec: RFC 9700 §4.7
//! Spec: RFC 6819 §4.4.1.9

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{
    Agreement, ClientId, OrganizationId, RedirectUri, ResourceIdentifier, ResponseMode, Scopes,
    Timestamp,
};
use symbolon_token::mark::{Kind, read_fixed, write_fixed};
use symbolon_token::{Digest, Id, Person, Thumbprint, random};

use super::session::cookie;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::pages::FormTies;
use crate::received::Received;

/// How long a person has, in seconds.
pub(crate) const LIFETIME_SECONDS: i64 = 30 * 60;
/// How long a sealed transaction may be, in characters.
pub(super) const MAX_CHARACTERS: usize = 8 * 1024;

/// A validated authorization request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transaction {
    /// Who asks.
    pub(crate) client: ClientId,
    /// Where the answer goes.
    pub(crate) redirect_uri: RedirectUri,
    /// How.
    pub(crate) response_mode: ResponseMode,
    /// What the client wants back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// For the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
    /// The challenge, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) challenge: Option<String>,
    /// The key that the code is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Thumbprint>,
    /// What is asked for.
    pub(crate) scopes: Scopes,
    /// Where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<ResourceIdentifier>,
    /// Which claims.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub(crate) claims: ClaimsRequest,
    /// For which organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<OrganizationId>,
    /// Whose session is wanted, by `id_token_hint` or by `claims`: any of
    /// these; anybody's, where nobody is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) people: Vec<Id<Person>>,
    /// What to fill in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login_hint: Option<String>,
    /// Whom the consent page was shown to, and what stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shown: Option<(Id<Person>, String)>,
    /// Whether consent is asked for again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ask_consent: bool,
    /// Whether the person has to sign in anew, whatever session there is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ask_sign_in: bool,
    /// A sign-in before this instant is too old.
    pub(crate) not_before: Timestamp,
    /// When it began.
    pub(crate) began: Timestamp,
    /// The browser's digest.
    #[serde(default)]
    pub(crate) browser: String,
}

/// The browser that a request came from, known by its cookie.
pub(crate) struct Browser {
    secret: [u8; 32],
    fresh: bool,
}

impl Browser {
    /// The browser of a request; a new one is given a cookie.
    pub(crate) fn of(cx: &Cx, received: &Received) -> Self {
        let known = received
            .cookie(&cookie_name(cx))
            .and_then(|text| read_fixed::<36>(Kind::Transaction, text));
        let fresh = known.is_none();
        let mut secret: [u8; 32] = random(cx.entropy());
        if let Some(known) = known {
            secret.copy_from_slice(&known[..32]);
        }
        Self { secret, fresh }
    }

    /// Whether the request came without the cookie of a browser.
    pub(crate) fn is_new(&self) -> bool {
        self.fresh
    }

    /// The cookie to set, where the browser has none yet.
    pub(crate) fn cookie(&self, cx: &Cx) -> Result<Option<HeaderValue>, Failure> {
        if !self.fresh {
            return Ok(None);
        }
        let value = write_fixed(Kind::Transaction, &self.secret);
        cookie(cx, &cookie_name(cx), &value).map(Some)
    }

    /// Stands for the browser inside a seal.
    pub(crate) fn digest(&self) -> String {
        let digest = Digest::of(&self.secret);
        hex(&digest.as_bytes()[..16])
    }

    /// What ties a form to this browser and to what it is about.
    pub(crate) fn csrf(&self, cx: &Cx, purpose: &str, about: &str) -> String {
        let mac = cx.keys.form_mac(purpose, &[&self.secret, about.as_bytes()]);
        hex(&mac)
    }

    /// Refuses a form that this browser was not shown.
    pub(crate) fn check_csrf(
        &self,
        cx: &Cx,
        purpose: &str,
        about: &str,
        presented: Option<&str>,
    ) -> Result<(), Refusal> {
        let parts = [&self.secret[..], about.as_bytes()];
        let mac = presented.and_then(unhex);
        let is_own = mac.is_some_and(|mac| cx.keys.is_form_mac(purpose, &parts, &mac));
        if !self.fresh && is_own {
            return Ok(());
        }
        Err(Refusal::access_denied(
            "this form was not shown to this browser; go back and start again",
        ))
    }
}

/// Stands for what is asked, in a few characters.
pub(crate) fn what(asked: &Agreement) -> String {
    // Strings always serialise.
    let text = serde_json::to_vec(asked).unwrap_or_default();
    hex(&Digest::of(&text).as_bytes()[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that 64 hexadecimal digits, in lower case, stand for.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 64 || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn cookie_name(cx: &Cx) -> String {
    format!("{}browser", cx.settings.cookie_prefix)
}

impl Transaction {
    /// Whether the request is good for a person.
    pub(crate) fn is_for(&self, person: Id<Person>) -> bool {
        self.people.is_empty() || self.people.contains(&person)
    }

    /// The transaction as it stands on a page that shows a person what is asked.
    pub(crate) fn shown(&self, person: Id<Person>, asked: &Agreement) -> Self {
        Self {
            shown: Some((person, what(asked))),
            ..self.clone()
        }
    }

    /// Whether a person was shown what is asked.
    pub(crate) fn was_shown(&self, person: Id<Person>, asked: &Agreement) -> bool {
        self.shown == Some((person, what(asked)))
    }

    /// Seals the transaction for one browser.
    pub(crate) fn seal(&self, cx: &Cx, browser: &Browser) -> Result<String, Refusal> {
        let own = Self {
            browser: browser.digest(),
            ..self.clone()
        };
        // Strings and numbers always serialise.
        let plain = serde_json::to_vec(&own).unwrap_or_default();
        let sealed = cx
            .keys
            .seal(Kind::Transaction, cx.bound(), &plain, cx.entropy())
            .text;
        if sealed.len() > MAX_CHARACTERS {
            return Err(Refusal::invalid_request("the request is too large"));
        }
        Ok(sealed)
    }

    /// Opens a presented transaction. Expired, foreign and forged are one
    /// answer: start again.
    pub(crate) fn open(cx: &Cx, browser: &Browser, sealed: Option<&str>) -> Result<Self, Refusal> {
        let start_again = || {
            Refusal::invalid_request(
                "this sign-in was started elsewhere or too long ago; go back to the application and start again",
            )
        };
        let opened =
            sealed.and_then(|sealed| cx.keys.open(Kind::Transaction, cx.bound(), sealed).ok());
        let opened = opened.ok_or_else(start_again)?;
        let own: Self = serde_json::from_slice(&opened.plain).map_err(|_| start_again())?;
        let age = cx.now.millis() - own.began.millis();
        if browser.fresh || own.browser != browser.digest() || age > LIFETIME_SECONDS * 1000 {
            return Err(start_again());
        }
        Ok(own)
    }

    /// The hidden fields of a form about this transaction.
    pub(crate) fn ties(sealed: &str, cx: &Cx, browser: &Browser, purpose: &str) -> FormTies {
        FormTies {
            transaction: sealed.to_owned(),
            csrf: browser.csrf(cx, purpose, sealed),
        }
    }
}
