//! Secrets, compared as keyed digests with the same work whoever asks.
//!
//! Spec: RFC 6749 §2.3.1, §10.10

use std::hint::black_box;

use symbolon_protocol::Timestamp;
use symbolon_store::ClientSecret;
use symbolon_token::{Digest, Keyring, Secret};

/// Whether a secret is one of a client's own that still counts. A wrong one
/// costs the same whoever shows it, and for whichever client, known or not: one
/// digest under each key. A right one needs no other key than its own.
pub(crate) fn is_right(
    keys: &Keyring,
    secrets: &[ClientSecret],
    shown: &Secret,
    now: Timestamp,
) -> bool {
    let right = keys.secret_digests(shown.expose()).any(|digest| {
        if secrets.is_empty() {
            black_box(digest.matches(&Digest::from_bytes([0; 32])));
            return false;
        }
        // Every secret is looked at, so that time does not tell which one it was.
        secrets.iter().fold(false, |right, own| {
            right | (digest.matches(&own.digest) & counts(own, now))
        })
    });
    right && !shown.is_empty()
}

/// Whether a secret is not, or not yet, replaced.
pub(crate) fn counts(secret: &ClientSecret, now: Timestamp) -> bool {
    secret.expires.is_none_or(|expires| expires > now)
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::{SeededEntropy, at};
    use symbolon_token::Keyring;

    use super::*;

    fn keys() -> Keyring {
        Keyring::new(Keyring::generate(&SeededEntropy::new(1), Vec::new())).unwrap()
    }

    fn stored(keys: &Keyring, secret: &str, expires: Option<Timestamp>) -> ClientSecret {
        ClientSecret {
            id: 1,
            digest: keys.digest_secret(secret.as_bytes()),
            sealed: None,
            created: at(0),
            expires,
        }
    }

    #[test]
    fn a_right_secret_is_right_and_every_other_is_wrong() {
        let keys = keys();
        let secrets = [stored(&keys, "right", None)];

        assert!(is_right(&keys, &secrets, &Secret::from("right"), at(1)));
        for wrong in ["", "Right", "right ", "null", "righ", "rightt"] {
            assert!(
                !is_right(&keys, &secrets, &Secret::from(wrong), at(1)),
                "{wrong}"
            );
        }
    }

    /// Attack: D108
    #[test]
    fn a_blank_secret_is_wrong_even_where_a_blank_one_was_stored() {
        let keys = keys();

        assert!(!is_right(
            &keys,
            &[stored(&keys, "", None)],
            &Secret::from(""),
            at(1)
        ));
        assert!(!is_right(&keys, &[], &Secret::from(""), at(1)));
        assert!(!is_right(&keys, &[], &Secret::from("any"), at(1)));
    }

    /// Attack: D124
    #[test]
    fn a_replaced_secret_counts_until_its_overlap_ends() {
        let keys = keys();
        let secrets = [
            stored(&keys, "old", Some(at(100))),
            stored(&keys, "new", None),
        ];
        let right = |secret: &str, seconds: i64| {
            is_right(&keys, &secrets, &Secret::from(secret), at(seconds))
        };

        assert!(right("old", 99) && right("new", 99));
        assert!(!right("old", 100) && right("new", 100));
    }
}
