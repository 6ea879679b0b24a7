//! An assertion that somebody presents, and its opening.
//!
//! Spec: RFC 7522 §2.1, §3
//! Spec: RFC 8693 §3

use std::time::Duration;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use symbolon_protocol::Timestamp;

use super::assertion::{self, Assertion, Read};
use super::encryption::{self, DecryptionKey, Encrypted};
use super::judge::{self, Expected};
use super::names::SAML;
use super::refused::Refused;
use super::trusted::Trusted;
use super::xml::{Element, Xml};
use super::{MAX_ASSERTION_BYTES, signature, spelling, write};
use crate::keyring::Keyring;

/// An assertion that nobody has checked yet. Only its issuer can be asked for,
/// so that whoever checks it can look up whether that one is trusted.
pub struct Presented {
    document: Xml,
    claimed_issuer: String,
    /// The text that the document was read from.
    xml: String,
    /// Whether what stands around that text is as this server writes it.
    is_wrapped_as_written: bool,
}

/// The padding should not be there (RFC 7522 §2.1), and may be.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Presented {
    /// Takes the form parameter apart: base64url of one `Assertion`, or of one
    /// `EncryptedAssertion` for one of these keys.
    pub fn parse(text: &str, keys: &[DecryptionKey]) -> Result<Self, Refused> {
        Self::taken_apart(text, keys, None)
    }

    /// The same for a server that writes assertions itself: what it encrypted
    /// to somebody else it can read too.
    pub fn parse_at_home(
        text: &str,
        keys: &[DecryptionKey],
        ring: &Keyring,
    ) -> Result<Self, Refused> {
        Self::taken_apart(text, keys, Some(ring))
    }

    fn taken_apart(
        text: &str,
        keys: &[DecryptionKey],
        ring: Option<&Keyring>,
    ) -> Result<Self, Refused> {
        // Checked before it is decoded: four characters are three bytes.
        if text.len() > MAX_ASSERTION_BYTES.div_ceil(3) * 4 {
            return Err(Refused::TooLarge("bytes"));
        }
        let bytes = BASE64URL.decode(text).map_err(|_| Refused::Malformed)?;
        let mut xml = String::from_utf8(bytes).map_err(|_| Refused::Malformed)?;
        let mut document = Xml::parse(&xml)?;
        let mut is_wrapped_as_written = !text.ends_with('=');
        if document.root()?.is(SAML, "EncryptedAssertion") {
            let encrypted = Encrypted::read(document.root()?)?;
            let own = ring.and_then(|ring| ring.reread(&encrypted));
            is_wrapped_as_written &= own.is_some() && write::encrypted(&encrypted) == xml;
            xml = match own {
                Some(own) => own,
                None => encryption::decrypt(&encrypted, keys)?,
            };
            document = Xml::parse(&xml)?;
        }
        let claimed_issuer = assertion::claimed_issuer(root(&document)?)?;
        Ok(Self {
            document,
            claimed_issuer,
            xml,
            is_wrapped_as_written,
        })
    }

    /// The issuer that it claims.
    pub fn claimed_issuer(&self) -> &str {
        &self.claimed_issuer
    }

    /// Checks it against an issuer, in the order of [`Refused`].
    pub fn open(&self, trusted: &Trusted, expected: &Expected<'_>) -> Result<Assertion, Refused> {
        let (read, kid) = self.verify(trusted, expected.now)?;
        let expires = judge::judge(&read, expected)?;
        Ok(Assertion { read, kid, expires })
    }

    /// Checks one that this server made itself and that comes back: whom it is
    /// meant for, and where it was to be handed over, is judged by whoever asks
    /// for this, as with any other token of ours. No skew at its end: the clock
    /// that wrote it is this server's own. And no other spelling: what is not
    /// byte for byte as this server writes it was changed on the way, so that
    /// there is one text for each assertion. None has a certificate in it.
    pub fn reopen(&self, own: &Trusted, now: Timestamp) -> Result<Assertion, Refused> {
        self.reopen_past_end(own, now, Duration::ZERO)
    }

    /// The same for one that has ended, but no longer ago than that: to take it
    /// back.
    pub fn reopen_past_end(
        &self,
        own: &Trusted,
        now: Timestamp,
        past_end: Duration,
    ) -> Result<Assertion, Refused> {
        let (read, kid) = self.verify(own, now)?;
        let is_as_written = || spelling::is_as_written(root(&self.document)?, &read, &self.xml);
        if !self.is_wrapped_as_written || !is_as_written()? {
            return Err(Refused::Spelling);
        }
        let expires = judge::judge_own(&read, now, past_end)?;
        Ok(Assertion { read, kid, expires })
    }

    /// What it says, once the issuer's signature was checked, and whose key it
    /// was.
    fn verify(&self, trusted: &Trusted, now: Timestamp) -> Result<(Read, Option<String>), Refused> {
        if trusted.issuer() != self.claimed_issuer {
            return Err(Refused::Issuer {
                found: self.claimed_issuer.clone(),
            });
        }
        let keys = trusted.keys(now);
        if keys.is_empty() {
            return Err(Refused::NoKey);
        }
        // INVARIANT: the element that is verified is the element that is read.
        let element = root(&self.document)?;
        let key = signature::verify(element, &keys)?;
        let read = assertion::read(element)?;
        Ok((read, key.kid().map(str::to_owned)))
    }
}

/// The assertion is the document: it stands nowhere else.
fn root(document: &Xml) -> Result<Element<'_>, Refused> {
    let root = document.root()?;
    if root.is(SAML, "Assertion") {
        Ok(root)
    } else {
        Err(Refused::NotAnAssertion)
    }
}

/// Opens an assertion of one of the trusted issuers.
pub fn open(
    text: &str,
    keys: &[DecryptionKey],
    trusted: &[Trusted],
    expected: &Expected<'_>,
) -> Result<Assertion, Refused> {
    let presented = Presented::parse(text, keys)?;
    let issuer = presented.claimed_issuer();
    let own = trusted.iter().find(|own| own.issuer() == issuer);
    let own = own.ok_or_else(|| Refused::Issuer {
        found: issuer.to_owned(),
    })?;
    presented.open(own, expected)
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presented({})", self.claimed_issuer)
    }
}
