//! New keys: drawn, and sealed under the master key before anybody stores them.

use std::sync::Arc;

use symbolon_protocol::Timestamp;
use symbolon_store::{KeyState, WorkingKey};
use symbolon_token::jose::SigningKey;
use symbolon_token::keyring::WorkingSecret;
use symbolon_token::{Entropy, MasterKey, Secret};

use super::KeysError;
use super::policy::{KeyPurpose, signing_id};

/// What new keys are made with.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) master: MasterKey,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) now: Timestamp,
}

impl Maker {
    /// Draws a key. It is announced, not used; whoever stores it decides
    /// otherwise.
    pub(super) async fn make(
        &self,
        purpose: KeyPurpose,
        number: i64,
    ) -> Result<WorkingKey, KeysError> {
        let maker = self.clone();
        // To find two primes takes a while, and so may a distant master key.
        tokio::task::spawn_blocking(move || maker.draw(purpose, number))
            .await
            .ok()
            .flatten()
            .ok_or_else(|| KeysError::NotMade(purpose.to_string()))
    }

    fn draw(&self, purpose: KeyPurpose, number: i64) -> Option<WorkingKey> {
        let (id, secret, public) = match purpose {
            #[cfg(feature = "saml")]
            KeyPurpose::SamlDecryption => super::assertions::draw(purpose, number)?,
            #[cfg(not(feature = "saml"))]
            KeyPurpose::SamlDecryption => return None,
            KeyPurpose::Working(purpose) => {
                let secret = WorkingSecret::generate(&*self.entropy);
                (purpose.key_name(secret.id), secret.to_secret(), None)
            }
            KeyPurpose::Signing(_) | KeyPurpose::Feed => {
                let algorithm = purpose.signs_under()?;
                let document = pair(purpose, number, || SigningKey::generate(algorithm).ok())?;
                let key = SigningKey::from_pkcs8(algorithm, &document).ok()?;
                let public = key.public_jwk().to_string().into_bytes();
                (signing_id(purpose, key.kid()), document, Some(public))
            }
        };
        Some(WorkingKey {
            sealed: self.seal(&id, &secret)?,
            id,
            purpose: purpose.to_string(),
            number,
            algorithm: purpose.algorithm().map(|own| own.to_string()),
            state: KeyState::Next,
            public,
            created: self.now,
            activated: None,
            retires: None,
        })
    }

    fn seal(&self, id: &str, secret: &Secret) -> Option<Vec<u8>> {
        self.master.wrap(id, secret, &*self.entropy).ok()
    }
}

/// A key pair of its own for each key.
#[cfg(not(feature = "testing"))]
pub(super) fn pair(_: KeyPurpose, _: i64, draw: impl FnOnce() -> Option<Secret>) -> Option<Secret> {
    draw()
}

/// The same, less what takes tests long.
#[cfg(feature = "testing")]
pub(super) fn pair(
    purpose: KeyPurpose,
    number: i64,
    draw: impl FnOnce() -> Option<Secret>,
) -> Option<Secret> {
    use symbolon_protocol::SigningAlgorithm as A;
    let is_quick = !matches!(purpose, KeyPurpose::SamlDecryption)
        && !matches!(purpose.signs_under(), Some(A::Rs256 | A::Ps256));
    if is_quick {
        return draw();
    }
    crate::testing::shared(&purpose.to_string(), number, draw)
}
