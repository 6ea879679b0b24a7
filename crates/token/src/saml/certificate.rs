//! Certificates: the form in which SAML parties hand each other their keys.
//!
//! A certificate here is a public key with dates. It is trusted because it was
//! configured; its own signature proves nothing and is not checked.
//!
//! Spec: RFC 5280 §4.1
//! Spec: SAML 2.0 Metadata Interoperability §2.5

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyUsagePurpose, SerialNumber};
use serde_json::{Map, Value, json};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::authority::Thumbprint;
use crate::jose::{SigningKey, VerifyingKey};
use crate::secret::Secret;

/// How long a certificate may be, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// How many certificates one party may have.
pub const MAX_CERTIFICATES: usize = 8;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A certificate that was read.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: Vec<u8>,
    spki: Vec<u8>,
    begins: Timestamp,
    ends: Timestamp,
    key: Option<VerifyingKey>,
}

/// What is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one X.509 certificate, in PEM or base64")]
pub struct InvalidCertificate;

/// Why no certificate could be made for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no certificate can be made for this key and these dates")]
pub struct Uncertifiable;

impl Certificate {
    /// Reads one from PEM, or from bare base64 as metadata has it.
    pub fn parse(text: &str) -> Result<Self, InvalidCertificate> {
        let text = text.trim();
        let body = match text.strip_prefix(BEGIN) {
            Some(rest) => rest.strip_suffix(END).ok_or(InvalidCertificate)?,
            None => text,
        };
        let mut body = body.to_owned();
        body.retain(|letter| !letter.is_ascii_whitespace());
        let der = BASE64_STANDARD
            .decode(body)
            .map_err(|_| InvalidCertificate)?;
        Self::from_der(der)
    }

    /// Reads one or several, as a file has them: the old and the new one of a
    /// party that changes its key.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InvalidCertificate> {
        let all: Vec<_> = text
            .split_inclusive(END)
            .filter(|part| !part.trim().is_empty())
            .collect();
        if all.is_empty() || all.len() > MAX_CERTIFICATES {
            return Err(InvalidCertificate);
        }
        all.into_iter().map(Self::parse).collect()
    }

    /// Reads one from DER.
    pub fn from_der(der: Vec<u8>) -> Result<Self, InvalidCertificate> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(InvalidCertificate);
        }
        let (rest, read) = x509_parser::certificate::X509Certificate::from_der(&der)
            .map_err(|_| InvalidCertificate)?;
        if !rest.is_empty() {
            return Err(InvalidCertificate);
        }
        let validity = read.validity();
        let name = Thumbprint::of(&der).to_string();
        let key = jwk(read.public_key(), &name).and_then(|jwk| VerifyingKey::from_jwk(&jwk).ok());
        Ok(Self {
            spki: read.public_key().raw.to_vec(),
            begins: Timestamp::from_seconds(validity.not_before.timestamp()),
            ends: Timestamp::from_seconds(validity.not_after.timestamp()),
            key,
            der,
        })
    }

    /// Makes the certificate under which a key of this server is handed to
    /// relying parties. All but an ECDSA signature follows from the arguments,
    /// so it is kept beside the key or, for RSA, made again.
    pub fn self_signed(
        key: &SigningKey,
        name: &str,
        begins: Timestamp,
        ends: Timestamp,
    ) -> Result<Self, Uncertifiable> {
        Self::made(key, name, [begins, ends], KeyUsagePurpose::DigitalSignature)
    }

    /// Makes the certificate of a key to which others encrypt. It is signed by
    /// the key itself, as such certificates are, and that is all that this key
    /// ever signs.
    pub fn for_encryption(
        document: &Secret,
        name: &str,
        begins: Timestamp,
        ends: Timestamp,
    ) -> Result<Self, Uncertifiable> {
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, document);
        let key = key.map_err(|_| Uncertifiable)?;
        Self::made(&key, name, [begins, ends], KeyUsagePurpose::KeyEncipherment)
    }

    fn made(
        key: &SigningKey,
        name: &str,
        [begins, ends]: [Timestamp; 2],
        usage: KeyUsagePurpose,
    ) -> Result<Self, Uncertifiable> {
        let date = |instant: Timestamp| {
            time::OffsetDateTime::from_unix_timestamp(instant.seconds()).map_err(|_| Uncertifiable)
        };
        let mut params = CertificateParams::default();
        params.not_before = date(begins)?;
        params.not_after = date(ends)?;
        let mut serial = *Thumbprint::of(key.public_bytes()).as_bytes();
        serial[0] = serial[0] & 0x3f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial[..16]));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![usage];
        let signer = Certified::new(key).ok_or(Uncertifiable)?;
        let made = params.self_signed(&signer).map_err(|_| Uncertifiable)?;
        Self::from_der(made.der().to_vec()).map_err(|_| Uncertifiable)
    }

    /// The key, where it is one that checks signatures here: RSA of 2,048 bits
    /// or more, P-256 or P-384.
    pub fn verifying_key(&self) -> Option<&VerifyingKey> {
        self.key.as_ref()
    }

    /// When it begins.
    pub const fn begins(&self) -> Timestamp {
        self.begins
    }

    /// When it ends.
    pub const fn ends(&self) -> Timestamp {
        self.ends
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its text, as files have it (RFC 7468 §5).
    pub fn to_pem(&self) -> String {
        let body = self.to_base64();
        let mut text = format!("{BEGIN}\n");
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// Its text, as `X509Certificate` has it.
    pub(super) fn to_base64(&self) -> String {
        BASE64_STANDARD.encode(&self.der)
    }

    /// The public key with its algorithm, in DER.
    pub(super) fn public_key_info(&self) -> &[u8] {
        &self.spki
    }
}

/// The key as a JWK, so that one place says which keys are strong enough.
fn jwk(
    key: &x509_parser::x509::SubjectPublicKeyInfo<'_>,
    name: &str,
) -> Option<Map<String, Value>> {
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let jwk = match key.parsed().ok()? {
        PublicKey::RSA(own) => {
            let plain = |bytes: &[u8]| {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                text(&bytes[zeros..])
            };
            json!({"kty": "RSA", "n": plain(own.modulus), "e": plain(own.exponent)})
        }
        PublicKey::EC(point) => {
            let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
            let curve = match curve.to_id_string().as_str() {
                "1.2.840.10045.3.1.7" => "P-256",
                "1.3.132.0.34" => "P-384",
                _ => return None,
            };
            let (4, halves) = point.data().split_first()? else {
                return None;
            };
            let (x, y) = halves.split_at(halves.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
        }
        _ => return None,
    };
    let mut jwk = jwk.as_object()?.clone();
    jwk.insert("kid".into(), name.into());
    Some(jwk)
}

/// A key of ours as the maker of certificates wants to see it.
struct Certified<'a> {
    key: &'a SigningKey,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl<'a> Certified<'a> {
    fn new(key: &'a SigningKey) -> Option<Self> {
        let algorithm = match key.algorithm() {
            SigningAlgorithm::Rs256 => &rcgen::PKCS_RSA_SHA256,
            SigningAlgorithm::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            _ => return None,
        };
        Some(Self { key, algorithm })
    }
}

impl rcgen::PublicKeyData for Certified<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.public_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Certified<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.key.sign_bytes(message);
        Ok(match self.key.algorithm() {
            SigningAlgorithm::Es256 => ecdsa_der(&signature),
            _ => signature,
        })
    }
}

/// The two numbers of an ECDSA signature as certificates have them: a
/// sequence of two integers (RFC 3279 §2.2.3).
fn ecdsa_der(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let mut body = Vec::with_capacity(fixed.len() + 6);
    for number in [r, s] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let plain = &number[zeros.min(number.len() - 1)..];
        let lead = usize::from(plain[0] >= 0x80);
        body.extend([2, (plain.len() + lead) as u8]);
        body.extend(std::iter::repeat_n(0, lead).chain(plain.iter().copied()));
    }
    let mut out = vec![0x30, body.len() as u8];
    out.append(&mut body);
    out
}
