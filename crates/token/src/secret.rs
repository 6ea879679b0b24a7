//! Secrets that cannot be printed, and the digests that stand for them at rest.

use std::fmt;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Bytes that open something: a password, a token, a key.
///
/// There is no `Display`, `Serialize`, `PartialEq` or `Clone`; `Debug` prints
/// `Secret(..)`; memory is wiped on drop.
///
/// ```
/// use symbolon_token::Secret;
///
/// let secret = Secret::from("correct horse battery staple".to_owned());
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert!(secret.matches(b"correct horse battery staple"));
/// ```
///
/// ```compile_fail
/// println!("{}", symbolon_token::Secret::from("x".to_owned()));
/// ```
///
/// ```compile_fail
/// let _ = symbolon_token::Secret::from("x".to_owned()).clone();
/// ```
///
/// ```compile_fail
/// let x = symbolon_token::Secret::from("x".to_owned());
/// assert!(x == x);
/// ```
#[derive(zeroize::ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes ownership of bytes that must not be seen again.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves: the one way out. Every call is a place to audit.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text itself, where the secret is text; empty where it is not UTF-8.
    pub fn expose_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether `presented` is this secret, in time that depends on lengths alone.
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_slice().ct_eq(presented).into()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What the store keeps instead of a secret: 32 bytes from which it cannot be had.
#[derive(Clone, Copy, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// SHA-256 of something that already has 128 bits of randomness or more.
    /// What a person chose is never digested like this.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// Takes a digest back from the store.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether two digests are the same, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A SHA-256 digest in the making, of what is too long to be held.
#[derive(Clone)]
pub struct Digesting(digest::Context);

impl Digesting {
    /// Of nothing yet.
    #[expect(
        clippy::new_without_default,
        reason = "begun on purpose, never by the way"
    )]
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        Digest(out)
    }
}

impl fmt::Debug for Digesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digesting(..)")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Digest({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// The left half of SHA-512, which only `at_hash` under EdDSA asks for.
pub fn half_of_sha512(bytes: &[u8]) -> [u8; 32] {
    let mut half = [0; 32];
    half.copy_from_slice(&digest::digest(&digest::SHA512, bytes).as_ref()[..32]);
    half
}

/// The left half of a SHA-384 digest (OpenID Connect Core §3.1.3.6).
pub fn half_of_sha384(bytes: &[u8]) -> [u8; 24] {
    let mut half = [0; 24];
    half.copy_from_slice(&digest::digest(&digest::SHA384, bytes).as_ref()[..24]);
    half
}

/// Wipes a buffer that held a secret for a moment.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.zeroize();
}
