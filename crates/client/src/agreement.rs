//! A third-party caveat as an issuer gives it out: who has to agree, under
//! which name, and the key that makes their agreement worth something.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use symbolon_token::Secret;

/// Who has to agree to each use of a macaroon; added with
/// [`require`](crate::Macaroon::require).
///
/// Read from the issuer's answer: `location`, `caveat_id` and `caveat_key`, the
/// last two in base64url without padding.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Answer")]
pub struct Agreement {
    pub(crate) location: String,
    pub(crate) id: Vec<u8>,
    pub(crate) key: Secret,
}

#[derive(Deserialize)]
struct Answer {
    location: String,
    caveat_id: String,
    caveat_key: String,
}

impl TryFrom<Answer> for Agreement {
    type Error = InvalidAgreement;

    fn try_from(answer: Answer) -> Result<Self, InvalidAgreement> {
        let bytes = |text: &str, name| {
            let read = BASE64_URL_SAFE_NO_PAD.decode(text);
            read.map_err(|_| InvalidAgreement(name))
        };
        Ok(Self {
            id: bytes(&answer.caveat_id, "caveat_id")?,
            key: Secret::new(bytes(&answer.caveat_key, "caveat_key")?),
            location: answer.location,
        })
    }
}

/// A member that is not base64url.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not base64url without padding")]
pub struct InvalidAgreement(&'static str);

impl InvalidAgreement {
    /// A name of the error that stays the same across versions.
    pub fn code(&self) -> &'static str {
        "invalid_agreement"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_its_key_is_not_shown() {
        let answer = r#"{"location":"https://as.example.com/discharge","caveat_id":"aWQ","caveat_key":"a2V5","expires_in":60}"#;

        let agreement: Agreement = serde_json::from_str(answer).unwrap();

        assert_eq!(agreement.id, b"id");
        assert!(agreement.key.matches(b"key"));
        let shown = format!("{agreement:?}");
        assert!(shown.contains("Secret(..)"), "{shown}");
    }

    #[test]
    fn a_member_that_cannot_be_read_is_named_and_not_shown() {
        let answer = r#"{"location":"l","caveat_id":"aWQ","caveat_key":"not+base64url"}"#;

        let error = serde_json::from_str::<Agreement>(answer).unwrap_err();

        let text = error.to_string();
        assert!(text.contains("`caveat_key`"), "{text}");
        assert!(!text.contains("not+"), "{text}");
    }
}
