//! The kinds of credentials that are mistaken for access tokens.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::jose::Unverified;
use crate::macaroon;
use crate::mark::{self, Kind};

/// What a text is, by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// A JWT that says that it is an access token.
    AccessToken,
    /// An opaque access token of this product.
    OpaqueToken,
    /// A macaroon, with discharges or without.
    Macaroon,
    /// A SAML assertion in the form of requests.
    Assertion,
    /// A SAML assertion as bare XML.
    AssertionXml,
    /// An encrypted token.
    Encrypted,
    /// An ID token.
    IdToken,
    /// A JWT whose header does not say what it is.
    PlainJwt,
    /// A refresh token.
    RefreshToken,
    /// A logout token.
    LogoutToken,
    /// An authorization code.
    AuthorizationCode,
    /// A device code.
    DeviceCode,
    /// A client secret.
    ClientSecret,
    /// An API key.
    ApiKey,
    /// A session cookie.
    SessionCookie,
    /// The token by which a client changes its own registration.
    Registration,
    /// An administration token.
    Administration,
    /// A sign-in that is under way.
    Transaction,
    /// A client assertion.
    ClientAssertion,
    /// A DPoP proof.
    DpopProof,
    /// A signed answer of the server.
    SignedResponse,
    /// A signed request of a client.
    SignedRequest,
    /// A security event.
    SecurityEvent,
    /// A JWT of a kind that is none of these.
    OtherJwt,
    /// An opaque credential with another installation's mark.
    OtherMark,
    /// A credential of a well-known service.
    OtherService,
    /// The beginning of a JWT.
    PartOfJwt,
    /// Nothing that is a credential.
    Nothing,
}

/// Kinds, stable words, what a person calls it, and what to send instead: a
/// table, one kind a line.
#[rustfmt::skip]
const WORDS: [(What, &str, &str, &str); 28] = [
    (What::AccessToken, "access_token", "an access token", ""),
    (What::OpaqueToken, "opaque_token", "an opaque access token", ""),
    (What::Macaroon, "macaroon", "a macaroon", ""),
    (What::Assertion, "saml_assertion", "a SAML assertion", "exchange it for an access token at the token endpoint"),
    (What::AssertionXml, "saml_xml", "the XML of a SAML assertion", "write it in base64url and exchange it for an access token at the token endpoint"),
    (What::Encrypted, "encrypted_token", "an encrypted token (JWE)", "decrypt it with the key of this API and check the token inside"),
    (What::IdToken, "id_token", "an ID token", "an ID token tells the application who signed in; send the `access_token` of the same answer"),
    (What::PlainJwt, "plain_jwt", "a JWT that does not say `at+jwt`: an ID token, or an access token of another profile", "send the `access_token` of this issuer; an ID token tells the application who signed in and opens no API"),
    (What::RefreshToken, "refresh_token", "a refresh token", "a refresh token is for the token endpoint alone; send the `access_token`"),
    (What::LogoutToken, "logout_token", "a logout token", "send an access token; a logout token tells an application that somebody signed out"),
    (What::AuthorizationCode, "authorization_code", "an authorization code", "redeem it at the token endpoint and send the `access_token` of the answer"),
    (What::DeviceCode, "device_code", "a device code", "redeem it at the token endpoint and send the `access_token` of the answer"),
    (What::ClientSecret, "client_secret", "a client secret", "a client secret is for the token endpoint alone; ask there for an access token, and replace this secret, since it was shown"),
    (What::ApiKey, "api_key", "an API key", "send an access token: this API takes no API keys"),
    (What::SessionCookie, "session_cookie", "a session cookie", "send an access token; a session cookie belongs to the browser and the sign-in pages"),
    (What::Registration, "registration_token", "the token of a client's registration", "send an access token, and register the client again, since it was shown"),
    (What::Administration, "administration_token", "an administration token", "send an access token, and replace the administration token, since it was shown"),
    (What::Transaction, "transaction", "a sign-in under way", "let the browser finish the sign-in and send the `access_token` that comes of it"),
    (What::ClientAssertion, "client_assertion", "a client assertion", "exchange it for an access token at the token endpoint"),
    (What::DpopProof, "dpop_proof", "a DPoP proof", "send the access token in `Authorization: DPoP <access token>` and the proof in the header `DPoP`"),
    (What::SignedResponse, "signed_response", "a signed answer of the server", "send the access token itself"),
    (What::SignedRequest, "signed_request", "a signed request", "send it to the authorization endpoint, and the API an access token"),
    (What::SecurityEvent, "security_event", "a security event", "send an access token"),
    (What::OtherJwt, "other_jwt", "a JWT of another kind", "ask the issuer for an access token for this API"),
    (What::OtherMark, "other_mark", "an opaque token of another installation", "ask this issuer for an access token"),
    (What::OtherService, "other_service", "a credential of another service", "ask this issuer for an access token, and replace that credential, since it was shown"),
    (What::PartOfJwt, "part_of_jwt", "a part of a JWT", "send the token whole: header, payload and signature with dots between"),
    (What::Nothing, "not_a_token", "no token at all", "ask the issuer for an access token for this API"),
];

/// How the credentials of some services begin.
const SERVICES: [&str; 12] = [
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "ya29.",
    "sk-",
    "AKIA",
    "ory_at_",
    "npm_",
];

impl What {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.into_iter().map(|(own, ..)| own)
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        let found = WORDS.iter().find(|(own, ..)| *own == self);
        found.map_or(("not_a_token", "", ""), |(_, code, words, instead)| {
            (code, words, instead)
        })
    }

    /// A stable word for scripts.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// What a person calls it, with its article.
    pub fn words(self) -> &'static str {
        self.row().1
    }

    /// What to send instead; empty for what an API takes.
    pub fn instead(self) -> &'static str {
        self.row().2
    }

    /// Whether an API takes it, if it is good.
    pub fn is_access_token(self) -> bool {
        matches!(self, Self::AccessToken | Self::OpaqueToken | Self::Macaroon)
    }

    /// What a text is that nothing surrounds.
    pub fn of(text: &str) -> Self {
        if let Some(kind) = Kind::claimed_by(text) {
            return Self::marked(kind);
        }
        if macaroon::is_macaroon(text) {
            return Self::Macaroon;
        }
        if SERVICES.iter().any(|own| text.starts_with(own)) {
            return Self::OtherService;
        }
        if is_of_other_mark(text) {
            return Self::OtherMark;
        }
        if text.trim_start().starts_with('<') && text.contains("Assertion") {
            return Self::AssertionXml;
        }
        if is_assertion(text) {
            return Self::Assertion;
        }
        Self::compact(text)
    }

    fn marked(kind: Kind) -> Self {
        match kind {
            Kind::AccessToken => Self::OpaqueToken,
            Kind::RefreshToken => Self::RefreshToken,
            Kind::AuthorizationCode => Self::AuthorizationCode,
            Kind::DeviceCode => Self::DeviceCode,
            Kind::ClientSecret => Self::ClientSecret,
            Kind::ApiKey => Self::ApiKey,
            Kind::SessionCookie => Self::SessionCookie,
            Kind::Registration => Self::Registration,
            Kind::Administration => Self::Administration,
            Kind::Transaction => Self::Transaction,
        }
    }

    fn compact(text: &str) -> Self {
        let Some(header) = header_of(text) else {
            return if text.starts_with("eyJ") {
                Self::PartOfJwt
            } else {
                Self::Nothing
            };
        };
        if header.contains_key("enc") {
            return Self::Encrypted;
        }
        if text.split('.').count() < 3 {
            return Self::PartOfJwt;
        }
        let typ = header
            .get("typ")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let typ = typ.to_ascii_lowercase();
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "at+jwt" => Self::AccessToken,
            "" | "jwt" => Self::by_claims(text),
            "logout+jwt" => Self::LogoutToken,
            "dpop+jwt" => Self::DpopProof,
            "client-authentication+jwt" => Self::ClientAssertion,
            "token-introspection+jwt" => Self::SignedResponse,
            "oauth-authz-req+jwt" => Self::SignedRequest,
            "secevent+jwt" => Self::SecurityEvent,
            _ => Self::OtherJwt,
        }
    }

    /// What an untyped JWT is by what only one kind has.
    fn by_claims(text: &str) -> Self {
        let claims = Unverified::parse(text).and_then(|own| own.dangerous_claims_without_key());
        let Ok(claims) = claims else {
            return Self::PlainJwt;
        };
        let has = |names: &[&str]| names.iter().any(|name| claims.contains_key(*name));
        if has(&["events"]) {
            return Self::LogoutToken;
        }
        if claims.contains_key("sub") && claims.get("sub") == claims.get("iss") {
            return Self::ClientAssertion;
        }
        let is_of_sign_in = has(&["nonce", "at_hash", "c_hash", "auth_time", "azp"]);
        if is_of_sign_in && !has(&["scope", "scp"]) {
            return Self::IdToken;
        }
        Self::PlainJwt
    }
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// The header of a compact form, whatever follows it, read as leniently as
/// others may have.
fn header_of(text: &str) -> Option<Map<String, Value>> {
    let first = text.split('.').next()?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(first).ok()?;
    let fields: Result<Map<String, Value>, _> = serde_json::from_slice(&bytes);
    fields.ok().filter(|own| own.contains_key("alg"))
}

/// `mark_kind_body` with another mark than ours.
fn is_of_other_mark(text: &str) -> bool {
    let Some((own, rest)) = text.split_once('_') else {
        return false;
    };
    let is_mark = (2..=12).contains(&own.len())
        && own
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let word = rest.split('_').next().unwrap_or_default();
    let is_kind = ["at", "rt", "ac", "cs", "key", "pat", "token"].contains(&word);
    is_mark && own != mark::MARK && is_kind && rest.len() > word.len() + 8
}

/// Base64url of XML: it begins with `<` and is long.
fn is_assertion(text: &str) -> bool {
    // Bytes, since nothing says that the text is ASCII.
    let start = &text.as_bytes()[..text.len().min(64)];
    let padding = start.iter().rev().take_while(|own| **own == b'=').count();
    let bare = start.len() - padding;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&start[..bare - bare % 4]);
    let bytes = bytes.unwrap_or_default();
    let begins = String::from_utf8_lossy(&bytes);
    begins.starts_with('<')
        && (begins.contains("saml")
            || begins.contains("Assertion")
            || begins.starts_with("<?xml")
            || begins.starts_with("<!"))
}
