//! Proof key for code exchange, S256 and nothing else.
//!
//! Spec: RFC 7636 §4

use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The challenge of an authorization request: a SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeChallenge([u8; 32]);

/// Not a challenge or verifier as RFC 7636 writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a value as RFC 7636 §4 writes it")]
pub struct InvalidPkce;

impl CodeChallenge {
    /// The digest that the verifier must have.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes a challenge back from inside a sealed code.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for CodeChallenge {
    type Err = InvalidPkce;

    /// The 43 characters that S256 makes. The grammar of the RFC would allow
    /// more, but no longer text can be the image of any verifier.
    fn from_str(text: &str) -> Result<Self, InvalidPkce> {
        let mut digest = [0; 32];
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut digest) {
            Ok(32) if text.len() == 43 => Ok(Self(digest)),
            _ => Err(InvalidPkce),
        }
    }
}

/// The verifier of a token request: 43 to 128 unreserved characters.
pub struct CodeVerifier(String);

impl CodeVerifier {
    /// The text whose digest is compared.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeVerifier(..)")
    }
}

impl FromStr for CodeVerifier {
    type Err = InvalidPkce;

    fn from_str(text: &str) -> Result<Self, InvalidPkce> {
        let unreserved =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPkce)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digest_is_a_challenge() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(good.parse::<CodeChallenge>().is_ok());
        for bad in [
            "",
            &good[..42],
            &format!("{good}A"),
            &format!("{good}="),
            &"a".repeat(129),
        ] {
            assert!(bad.parse::<CodeChallenge>().is_err(), "{bad}");
        }
        // The last character of 43 holds four spare bits: one spelling only.
        assert!(
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"
                .parse::<CodeChallenge>()
                .is_err()
        );
    }

    /// Attack: B055
    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        assert!("a".repeat(43).parse::<CodeVerifier>().is_ok());
        assert!("~".repeat(128).parse::<CodeVerifier>().is_ok());
        for bad in [
            "a".repeat(42),
            "a".repeat(129),
            "a".repeat(42) + "=",
            "é".repeat(43),
        ] {
            assert!(bad.parse::<CodeVerifier>().is_err());
        }
    }
}
