//! Tokens that are encrypted to this API: opened with a key of its own before
//! anything else is looked at.
//!
//! Where there is a key, a token in the open is refused: whoever registered one
//! wanted its tokens to be read by nobody else.
//!
//! Spec: RFC 9068 §4
//! Spec: RFC 7519 §7.2
//! Spec: RFC 8725 §3.2, §3.3

use std::borrow::Cow;
use std::sync::Arc;

use symbolon_token::Secret;
use symbolon_token::explain::Refused;
use symbolon_token::jose::Unverified;
use symbolon_token::jose::jwe::{DecryptionKey, Undecryptable, Unopened, is_encrypted};
use symbolon_token::jwt::check_type;

use crate::misconfigured::Misconfigured;
use crate::verifier::Verifier;

/// How many keys are tried on a token: the one that is registered, and those
/// before it whose tokens still live.
const MAX_KEYS: usize = 4;

impl Verifier {
    /// Takes JWTs that are encrypted to this private key, and none in the open.
    /// May be called again for a key that is being replaced. The text is a JWK;
    /// a key on a curve has to name its algorithm (`alg`).
    ///
    /// ```
    /// use symbolon_verify::{Algorithm, Verifier};
    ///
    /// # fn main() -> Result<(), symbolon_verify::Misconfigured> {
    /// let key = r#"{"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","kid":"2026",
    ///     "x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
    ///     "y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    ///     "d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;
    /// let verifier = Verifier::new("https://as.example.com", "https://api.example.com", [Algorithm::Es256])?
    ///     .decrypt_with(key)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn decrypt_with(self, jwk: impl Into<Secret>) -> Result<Self, Misconfigured> {
        let key = DecryptionKey::from_jwk(&jwk.into()).map_err(Misconfigured::DecryptionKey)?;
        let key = Arc::new(key);
        if self.inner.config.decryption.len() == MAX_KEYS {
            return Err(Misconfigured::DecryptionKeys);
        }
        Ok(self.but(|config| config.decryption.push(key)))
    }

    /// The signed token of what was presented as a JWT, encrypted or not, as
    /// this API takes them.
    pub(crate) fn opened<'t>(&self, token: &'t str) -> Result<Cow<'t, str>, Refused> {
        let keys = &self.inner.config.decryption;
        if !is_encrypted(token) {
            if keys.is_empty() {
                return Ok(Cow::Borrowed(token));
            }
            // What it is matters more to whoever sent it.
            let unverified = Unverified::parse(token).map_err(Refused::Signature)?;
            check_type(&unverified)?;
            return Err(Refused::Encryption(Unopened::Plain));
        }
        let mut refused = Unopened::NoKey;
        for key in keys {
            match key.open_nested(token) {
                Ok(inner) => return Ok(Cow::Owned(inner)),
                // Another key may be the one that is meant.
                Err(why) if is_about_the_key(why) => refused = why,
                Err(why) => return Err(Refused::Encryption(why)),
            }
        }
        Err(Refused::Encryption(refused))
    }
}

const fn is_about_the_key(why: Unopened) -> bool {
    matches!(
        why,
        Unopened::Undecryptable(
            Undecryptable::OtherKey | Undecryptable::Algorithm | Undecryptable::Closed
        )
    )
}
