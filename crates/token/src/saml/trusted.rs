//! An issuer whose assertions are accepted, with the keys it may sign with.

use symbolon_protocol::Timestamp;

use super::certificate::Certificate;
use crate::jose::VerifyingKey;

/// An issuer and its keys. There is none without a key, so that no signature
/// can go unchecked for lack of one.
#[derive(Debug, Clone)]
pub struct Trusted {
    issuer: String,
    keys: Vec<(VerifyingKey, Option<[Timestamp; 2]>)>,
}

/// An issuer without a key that checks signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer of assertions needs a certificate that checks signatures")]
pub struct NoKey;

impl Trusted {
    /// Trusts an issuer by its certificates. Each counts within its own dates;
    /// who signed it, and whether it is on a list, is not asked: it was
    /// configured, not presented.
    pub fn by_certificates(issuer: &str, certificates: &[Certificate]) -> Result<Self, NoKey> {
        let keys = certificates.iter().filter_map(|own| {
            let valid = Some([own.begins(), own.ends()]);
            Some((own.verifying_key()?.clone(), valid))
        });
        Self::new(issuer, keys.collect())
    }

    /// Trusts an issuer by bare keys: this server itself.
    pub fn by_keys(
        issuer: &str,
        keys: impl IntoIterator<Item = VerifyingKey>,
    ) -> Result<Self, NoKey> {
        Self::new(issuer, keys.into_iter().map(|key| (key, None)).collect())
    }

    fn new(issuer: &str, keys: Vec<(VerifyingKey, Option<[Timestamp; 2]>)>) -> Result<Self, NoKey> {
        if keys.is_empty() {
            return Err(NoKey);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            keys,
        })
    }

    /// The issuer, as it names itself in `Issuer`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys that are good at an instant.
    pub(super) fn keys(&self, now: Timestamp) -> Vec<&VerifyingKey> {
        let good = |valid: &Option<[Timestamp; 2]>| {
            valid.is_none_or(|[begins, ends]| begins <= now && now <= ends)
        };
        self.keys
            .iter()
            .filter(|(_, valid)| good(valid))
            .map(|(key, _)| key)
            .collect()
    }
}
