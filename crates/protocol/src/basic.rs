//! The Basic scheme as OAuth uses it: both halves form-encoded before base64.
//!
//! Spec: RFC 6749 §2.3.1
//! Spec: RFC 7617 §2

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::identifier::ClientId;
use crate::parameters::Parameters;

/// How long the credentials may be, in bytes.
pub const MAX_BASIC_BYTES: usize = 4096;

/// Reads `Authorization: Basic …`; the value after the scheme is `credentials`.
/// The second half is a secret: the caller wraps it at once.
pub fn decode(credentials: &str) -> Option<(ClientId, String)> {
    if credentials.len() > MAX_BASIC_BYTES {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(credentials.trim()).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    let half = |text: &str| {
        // Most credentials need no decoding.
        let is_plain = |b: u8| !matches!(b, b'%' | b'+' | b'&' | 0);
        if text.bytes().all(is_plain) {
            return Some(text.to_owned());
        }
        let form = format!("v={}", text.replace('&', "%26"));
        let parameters = Parameters::parse(form.as_bytes()).ok()?;
        Some(parameters.one("v").unwrap_or_default().to_owned())
    };
    Some((half(id)?.parse().ok()?, half(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<(String, String)> {
        let (id, secret) = decode(&BASE64_STANDARD.encode(text))?;
        Some((id.to_string(), secret))
    }

    /// Attack: D111
    #[test]
    fn both_halves_are_form_decoded_once() {
        let expected = Some(("a:b+c d".to_owned(), "x%2By&z=".to_owned()));
        assert_eq!(decoded("a%3Ab%2Bc+d:x%252By%26z%3D"), expected);
    }

    #[test]
    fn what_is_not_basic_is_refused() {
        for bad in ["nocolon", ":secret"] {
            assert_eq!(decoded(bad), None);
        }
        assert!(decode("%%%").is_none());
        assert!(decode(&"A".repeat(5000)).is_none());
    }
}
