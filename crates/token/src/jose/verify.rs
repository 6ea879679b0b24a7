//! Reading and checking a compact JWS.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use symbolon_protocol::SigningAlgorithm;

use super::json;
use super::jwk::VerifyingKey;
use super::low_s;
use super::{MAX_JWT_BYTES, MAX_KID_BYTES};

/// An algorithm whose signatures can be checked. There is no `none` and no MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519, called `EdDSA`.
    EdDsa,
    /// Ed25519, called `Ed25519` (RFC 9864).
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ML-DSA-65 (RFC 9964).
    MlDsa65,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 7] = [
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Ed25519,
        Self::Rs256,
        Self::Ps256,
        Self::MlDsa65,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::MlDsa65 => "ML-DSA-65",
        }
    }

    /// The algorithm with a name, spelled exactly so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::Es256 => Self::Es256,
            SigningAlgorithm::Es384 => Self::Es384,
            SigningAlgorithm::EdDsa => Self::EdDsa,
            SigningAlgorithm::Ed25519 => Self::Ed25519,
            SigningAlgorithm::Rs256 => Self::Rs256,
            SigningAlgorithm::Ps256 => Self::Ps256,
            SigningAlgorithm::MlDsa65 => Self::MlDsa65,
        }
    }
}

/// Why a JWS is not good. `code` is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// Not three parts of canonical base64url within the limits.
    #[error("not a compact JWS")]
    Form,
    /// The header is not JSON as tokens may write it.
    #[error("header is not a JSON object without repeated members")]
    Header,
    /// The algorithm is not one that is allowed here.
    #[error("algorithm is not allowed here")]
    Algorithm,
    /// The header demands an extension that is not understood.
    #[error("header demands an extension that is not understood")]
    Critical,
    /// It is a JWS of another kind.
    #[error("token is of another kind")]
    Type,
    /// No key of that name is known.
    #[error("no key of that name is known")]
    UnknownKey,
    /// The signature is not this key's over these bytes.
    #[error("signature does not match")]
    Signature,
    /// The payload is not JSON as tokens may write it.
    #[error("payload is not a JSON object without repeated members")]
    Payload,
}

impl Invalid {
    /// A stable word for logs and scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Form => "malformed",
            Self::Header => "header_malformed",
            Self::Algorithm => "algorithm_not_allowed",
            Self::Critical => "critical_extension",
            Self::Type => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature_mismatch",
            Self::Payload => "payload_malformed",
        }
    }
}

/// The header of a JWS, taken apart. Nothing of it is trusted.
#[derive(Debug)]
pub struct Header {
    /// As it stood in the token.
    text: Box<str>,
    name: String,
    algorithm: Option<Algorithm>,
    typ: Option<String>,
    kid: Option<String>,
    jwk: Option<Map<String, Value>>,
}

impl Header {
    fn read(text: &str) -> Result<Self, Invalid> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| Invalid::Form)?;
        let mut fields = json::object(&bytes).map_err(|_| Invalid::Header)?;
        if fields.contains_key("crit") || fields.contains_key("b64") {
            return Err(Invalid::Critical);
        }
        let mut take = |name: &str| match fields.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Invalid::Header),
        };
        let name = take("alg")?.ok_or(Invalid::Algorithm)?;
        let (typ, kid) = (take("typ")?, take("kid")?);
        let jwk = match fields.remove("jwk") {
            None => None,
            Some(Value::Object(jwk)) => Some(jwk),
            Some(_) => return Err(Invalid::Header),
        };
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err(Invalid::UnknownKey);
        }
        Ok(Self {
            text: text.into(),
            algorithm: Algorithm::named(&name),
            name,
            typ: typ.map(|typ| kind(&typ)),
            kid,
            jwk,
        })
    }
}

/// A kind in lower case, without `application/` (RFC 7515 §4.1.9).
fn kind(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
}

/// A JWS whose signature nobody has checked yet. Its claims cannot be read.
#[derive(Debug)]
pub struct Unverified<'a> {
    header: Arc<Header>,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart. Nothing of it is trusted.
    pub fn parse(text: &'a str) -> Result<Self, Invalid> {
        Self::parse_beside(text, None)
    }

    /// The same beside the header of another: those of tokens of one key are
    /// alike to the byte, so one reading serves them all.
    pub fn parse_beside(text: &'a str, known: Option<&Arc<Header>>) -> Result<Self, Invalid> {
        if text.len() > MAX_JWT_BYTES {
            return Err(Invalid::Form);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid::Form);
        };
        if payload.is_empty() {
            return Err(Invalid::Form);
        }
        let signed = &text[..header.len() + 1 + payload.len()];
        let header = match known {
            Some(known) if *known.text == *header => Arc::clone(known),
            _ => Arc::new(Header::read(header)?),
        };
        Ok(Self {
            header,
            signed,
            payload,
            signature,
        })
    }

    /// The header, to read others beside it.
    pub fn header(&self) -> &Arc<Header> {
        &self.header
    }

    /// The algorithm that the header claims, if it is one at all.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.header.algorithm
    }

    /// The algorithm's name as the header claims it.
    pub fn claimed_algorithm(&self) -> &str {
        &self.header.name
    }

    /// The kind that the header claims, in lower case, without `application/`.
    pub fn claimed_type(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// The key that the header claims.
    pub fn claimed_kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The key that comes with it, which anybody could have put there: it says
    /// who signed, never that the signer is trusted. For proofs alone.
    pub(crate) fn enclosed_key(&self) -> Option<&Map<String, Value>> {
        self.header.jwk.as_ref()
    }

    /// Checks the signature; only then can the claims be read.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Map<String, Value>, Invalid> {
        // The key decides the algorithm (RFC 8725 §3.1); the header has to agree.
        if !self.algorithm().is_some_and(|own| key.checks(own)) {
            return Err(Invalid::Algorithm);
        }
        let signature = BASE64_URL_SAFE_NO_PAD
            .decode(self.signature)
            .map_err(|_| Invalid::Form)?;
        if !key.verifies(self.signed.as_bytes(), &signature) {
            return Err(Invalid::Signature);
        }
        let claims = self.payload()?;
        // An access token of this software has one text. Its mark is signed, so
        // nobody can leave it out.
        let is_own = claims.get("rev").is_some_and(Value::is_object);
        if is_own && !low_s::is_lower(key.algorithm(), &signature) {
            return Err(Invalid::Signature);
        }
        Ok(claims)
    }

    /// Checks a MAC by a secret: for assertions of clients alone.
    pub fn verify_mac(&self, secret: &crate::Secret) -> Result<Map<String, Value>, Invalid> {
        if self.header.name != "HS256" {
            return Err(Invalid::Algorithm);
        }
        let mac = BASE64_URL_SAFE_NO_PAD
            .decode(self.signature)
            .map_err(|_| Invalid::Form)?;
        if !super::hmac_sha256(secret, self.signed.as_bytes(), &mac) {
            return Err(Invalid::Signature);
        }
        self.payload()
    }

    /// Whose the token says that it is: chooses among verifiers, each of which
    /// takes the tokens of one issuer alone, and decides nothing else.
    pub fn claimed_issuer(&self) -> Option<String> {
        match self.payload().ok()?.remove("iss")? {
            Value::String(issuer) => Some(issuer),
            _ => None,
        }
    }

    /// Reads the claims of a token that nobody vouches for: for explaining a
    /// refusal, never for deciding.
    pub fn dangerous_claims_without_key(&self) -> Result<Map<String, Value>, Invalid> {
        self.payload()
    }

    fn payload(&self) -> Result<Map<String, Value>, Invalid> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(self.payload)
            .map_err(|_| Invalid::Form)?;
        json::object(&bytes).map_err(|_| Invalid::Payload)
    }
}
