//! Searches what a program printed for secrets, in every form that one could
//! get there by accident.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// How many characters in a row of something random give it away.
const PIECE: usize = 8;
/// The same of hexadecimal digits, of which a program prints many: eight of
/// them are found somewhere by chance.
const PIECE_OF_DIGITS: usize = 12;

/// What was found: which secret (its length and first letters), in which form, in which line.
pub(crate) fn found(printed: &str, secrets: &[String]) -> Vec<String> {
    let mut pieces: HashMap<usize, HashMap<Vec<u8>, String>> = HashMap::new();
    for secret in secrets.iter().filter(|secret| secret.len() >= PIECE) {
        let random = random_part(secret);
        let is_digits = random.bytes().all(|own| own.is_ascii_hexdigit());
        for (form, text) in forms(random) {
            let length = match form {
                "as it is" | "reversed" if is_digits => PIECE_OF_DIGITS,
                "as it is" | "reversed" => PIECE,
                "hexadecimal" | "HEXADECIMAL" => 2 * PIECE,
                _ => 12,
            };
            let short: String = secret.chars().take(12).collect();
            for piece in text.as_bytes().windows(length) {
                let name = || format!("{form} {short}… ({})", secret.len());
                pieces
                    .entry(length)
                    .or_default()
                    .entry(piece.to_vec())
                    .or_insert_with(name);
            }
        }
    }
    let mut found = BTreeSet::new();
    for line in printed.lines() {
        for (length, known) in &pieces {
            for piece in line.as_bytes().windows(*length) {
                if let Some(name) = known.get(piece) {
                    found.insert(format!("{name}: {line}"));
                }
            }
        }
    }
    found.into_iter().take(20).collect()
}

/// The part that nobody can guess: without the mark in front, and of a JWT its
/// signature (the rest says what anybody may know).
fn random_part(secret: &str) -> &str {
    if secret.starts_with("eyJ") && secret.matches('.').count() == 2 {
        return secret.rsplit('.').next().unwrap();
    }
    match secret.split('_').collect::<Vec<_>>()[..] {
        ["sym", kind, ..] => &secret["sym_".len() + kind.len() + 1..],
        _ => secret,
    }
}

fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let mut forms = vec![
        ("as it is", secret.to_owned()),
        ("reversed", secret.chars().rev().collect()),
        ("hexadecimal", hex(bytes)),
        ("HEXADECIMAL", hex(bytes).to_uppercase()),
    ];
    // Where base64 begins three bytes apart, it is the same from there on.
    for skipped in 0..3.min(bytes.len()) {
        forms.push(("base64", BASE64_STANDARD_NO_PAD.encode(&bytes[skipped..])));
        forms.push((
            "base64url",
            BASE64_URL_SAFE_NO_PAD.encode(&bytes[skipped..]),
        ));
    }
    // What base64url hides may also be there as the bytes behind it.
    if let Ok(raw) = BASE64_URL_SAFE_NO_PAD.decode(bytes) {
        forms.push(("hexadecimal", hex(&raw)));
    }
    let encoded: String = form_urlencoded::byte_serialize(bytes).collect();
    if encoded != secret {
        forms.push(("URL-encoded", encoded));
    }
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::secret;

    #[test]
    fn every_form_and_every_piece_is_found() {
        let secret = format!("sym_rt_{}", secret());
        for (form, text) in forms(random_part(&secret)) {
            let line = format!("something\n{{\"message\":\"it was {text} here\"}}");
            assert_eq!(
                found(&line, std::slice::from_ref(&secret)).len().min(1),
                1,
                "{form}"
            );
        }
        let piece = &secret[20..20 + PIECE];
        assert!(!found(&format!("…{piece}…"), std::slice::from_ref(&secret)).is_empty());
        assert!(found("sym_rt_ nothing else", &[secret]).is_empty());
    }
}
