//! The working keys of a process: what makes, what opens, what signs.
//!
//! Every working key is random, has an id, is stored sealed, and outlives what
//! it made by the longest life that could need it. No two purposes share one.
//! When they change is decided in `rotation`, what wraps them in `master`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};
use zeroize::Zeroize;

use crate::clock::{Entropy, random};
use crate::id::{Id, Person, Session};
use crate::jose::SigningKey;
use crate::mac::MacKey;
use crate::revocation::{Blinding, Target, public_name};
use crate::secret::{Digest, Secret};

/// What a working key is for. Keys of one purpose are never used for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Seals opaque access tokens.
    AccessToken,
    /// Seals authorization codes.
    AuthorizationCode,
    /// Seals what a browser carries through a sign-in, and its CSRF tokens.
    Transaction,
    /// Authenticates refresh tokens and derives their successors.
    RefreshToken,
    /// Digests client secrets.
    SecretDigest,
    /// Seals client secrets that are used again (`client_secret_jwt`).
    ClientSecret,
    /// Makes pairwise subjects.
    Pairwise,
    /// Blinds names: of what the revocation feed tells, and of what counts.
    Blinding,
    /// Roots macaroons, and the keys that resources of shared ones are given.
    Macaroon,
    /// Seals the third-party caveats that this server discharges.
    Discharge,
    /// Signs the head of the audit chain.
    Audit,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 11] = [
        Self::AccessToken,
        Self::AuthorizationCode,
        Self::Transaction,
        Self::RefreshToken,
        Self::SecretDigest,
        Self::ClientSecret,
        Self::Pairwise,
        Self::Blinding,
        Self::Macaroon,
        Self::Discharge,
        Self::Audit,
    ];

    /// The name under which it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access-token",
            Self::AuthorizationCode => "authorization-code",
            Self::Transaction => "transaction",
            Self::RefreshToken => "refresh-token",
            Self::SecretDigest => "secret-digest",
            Self::ClientSecret => "client-secret",
            Self::Pairwise => "pairwise",
            Self::Blinding => "blinding",
            Self::Macaroon => "macaroon",
            Self::Discharge => "discharge",
            Self::Audit => "audit",
        }
    }

    /// What the revocation feed calls a key of this purpose.
    pub fn key_name(self, id: u32) -> String {
        format!("{}:{id}", self.name())
    }

    /// The mark of a key of this purpose in what it made.
    pub fn key_mark(self, id: u32) -> u64 {
        public_name(Target::Key, format_args!("{}:{id}", self.name()))
    }

    /// The purpose stored under a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// Thirty-two random bytes with a number, and what is derived from them once.
pub struct WorkingSecret {
    /// The number that stands in what it made.
    pub id: u32,
    bytes: [u8; 32],
    /// Ready to make MACs and to derive keys: setting a key up costs as much
    /// as using it.
    mac: MacKey,
}

impl WorkingSecret {
    pub(crate) fn new(id: u32, bytes: [u8; 32]) -> Self {
        Self {
            id,
            mac: MacKey::new(&bytes),
            bytes,
        }
    }

    /// Draws a new one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::new(u32::from_be_bytes(random(entropy)), random(entropy))
    }

    /// Takes one back from where it was stored sealed.
    pub fn from_secret(id: u32, secret: &Secret) -> Option<Self> {
        Some(Self::new(id, secret.expose().try_into().ok()?))
    }

    /// The bytes, to be sealed by the master key.
    pub fn to_secret(&self) -> Secret {
        Secret::new(self.bytes.to_vec())
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// A key derived from this secret for one salt and one use.
    ///
    /// This is HKDF-SHA256, whose first step is left out since the secret is
    /// uniform already (RFC 5869 §3.3), and whose second step is one MAC for as
    /// many bytes as the hash has (§2.3).
    pub(crate) fn derive(&self, label: &[u8], salt: &[u8]) -> [u8; 32] {
        self.mac.begin().over(&[label, salt, &[1]])
    }

    /// A MAC over parts, each led by its length so that no two lists of parts
    /// look alike.
    pub(crate) fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut made = self.mac.begin();
        for part in std::iter::once(&label.as_bytes()).chain(parts) {
            made.add(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            made.add(part);
        }
        made.end()
    }
}

impl Drop for WorkingSecret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for WorkingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkingSecret({:08x})", self.id)
    }
}

/// The keys of one purpose: the current one makes, all of them open.
#[derive(Debug, Default)]
struct Generations {
    current: Option<Arc<WorkingSecret>>,
    all: BTreeMap<u32, Arc<WorkingSecret>>,
}

/// All working keys. A value of this type is complete: no purpose lacks a key.
#[derive(Debug)]
pub struct Keyring {
    secrets: BTreeMap<Purpose, Generations>,
    signing: Vec<Arc<SigningKey>>,
    blinding: Blinding,
}

/// A purpose for which there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no key for `{0}`")]
pub struct KeyMissing(&'static str);

/// What a key ring is put together from. The last secret of a purpose, and the
/// first signing key of an algorithm, is the one that makes new things.
#[derive(Debug, Default)]
pub struct Keys {
    /// Secrets that open only: what makes nothing yet, or nothing any more.
    pub opening: Vec<(Purpose, WorkingSecret)>,
    /// Secrets by purpose, oldest first.
    pub secrets: Vec<(Purpose, WorkingSecret)>,
    /// Signing keys that sign now.
    pub signing: Vec<Arc<SigningKey>>,
}

impl Keyring {
    /// Puts a key ring together.
    pub fn new(keys: Keys) -> Result<Self, KeyMissing> {
        let mut secrets: BTreeMap<Purpose, Generations> = BTreeMap::new();
        for (purpose, secret) in keys.opening {
            let generations = secrets.entry(purpose).or_default();
            generations.all.insert(secret.id, Arc::new(secret));
        }
        for (purpose, secret) in keys.secrets {
            let secret = Arc::new(secret);
            let generations = secrets.entry(purpose).or_default();
            generations.all.insert(secret.id, Arc::clone(&secret));
            generations.current = Some(secret);
        }
        for purpose in Purpose::ALL {
            let there = secrets
                .get(&purpose)
                .is_some_and(|own| own.current.is_some());
            if !there {
                return Err(KeyMissing(purpose.name()));
            }
        }
        let blinding = secrets
            .get(&Purpose::Blinding)
            .and_then(|own| own.current.as_ref())
            .map(|secret| Blinding::new(secret.bytes()))
            .ok_or(KeyMissing(Purpose::Blinding.name()))?;
        Ok(Self {
            secrets,
            signing: keys.signing,
            blinding,
        })
    }

    /// Draws a whole new ring, for a first start and for tests.
    pub fn generate(entropy: &dyn Entropy, signing: Vec<Arc<SigningKey>>) -> Keys {
        let secrets = Purpose::ALL.map(|purpose| (purpose, WorkingSecret::generate(entropy)));
        Keys {
            opening: Vec::new(),
            secrets: secrets.into(),
            signing,
        }
    }

    /// The number of the key with which new things of a purpose are made.
    pub fn current_number(&self, purpose: Purpose) -> u32 {
        self.newest(purpose).id
    }

    /// The key with which new things of a purpose are made.
    pub(crate) fn current(&self, purpose: Purpose) -> &WorkingSecret {
        self.newest(purpose)
    }

    /// The same, for whoever keeps it longer than the ring.
    #[cfg(feature = "saml")]
    pub(crate) fn shared(&self, purpose: Purpose) -> Arc<WorkingSecret> {
        Arc::clone(self.newest(purpose))
    }

    #[expect(
        clippy::expect_used,
        reason = "`new` refuses a ring that lacks a purpose"
    )]
    fn newest(&self, purpose: Purpose) -> &Arc<WorkingSecret> {
        self.secrets
            .get(&purpose)
            .and_then(|own| own.current.as_ref())
            .expect("a ring without a key for a purpose is never made")
    }

    /// A key of a purpose by its number.
    pub(crate) fn find(&self, purpose: Purpose, id: u32) -> Option<&WorkingSecret> {
        self.secrets.get(&purpose)?.all.get(&id).map(Arc::as_ref)
    }

    /// Every key of a purpose.
    pub(crate) fn all(&self, purpose: Purpose) -> impl Iterator<Item = &WorkingSecret> {
        let own = self.secrets.get(&purpose).into_iter();
        own.flat_map(|own| own.all.values().map(Arc::as_ref))
    }

    /// The key that signs under an algorithm now.
    pub fn signer(
        &self,
        algorithm: symbolon_protocol::SigningAlgorithm,
    ) -> Option<&Arc<SigningKey>> {
        self.signing.iter().find(|key| key.algorithm() == algorithm)
    }

    /// How the revocation feed names things.
    pub fn blinding(&self) -> &Blinding {
        &self.blinding
    }

    /// The keyed digest under which a client secret is stored.
    pub fn digest_secret(&self, secret: &[u8]) -> Digest {
        Digest::from_bytes(self.current(Purpose::SecretDigest).mac("secret", &[secret]))
    }

    /// The digests under any key that a stored one may have been made with, the
    /// current key's first.
    pub fn secret_digests(&self, secret: &[u8]) -> impl Iterator<Item = Digest> {
        let current = self.current(Purpose::SecretDigest);
        let others = self.all(Purpose::SecretDigest);
        std::iter::once(current)
            .chain(others.filter(|own| own.id != current.id))
            .map(|own| Digest::from_bytes(own.mac("secret", &[secret])))
    }

    /// The subject that one sector sees of a person: the person's id under a
    /// block cipher whose key is the sector's own, so that nobody can link two
    /// sectors, and the server can find the person again without a row
    /// (OpenID Connect Core §8.1, second example).
    pub fn pairwise(&self, sector: &str, person: Id<Person>) -> String {
        self.hide("pairwise", PAIRWISE, sector, *person.as_bytes())
    }

    /// A session as one sector knows it: two sectors cannot find out that they
    /// know the same.
    pub fn pairwise_session(&self, sector: &str, session: Id<Session>) -> String {
        let label = "pairwise-session";
        self.hide(label, PAIRWISE_SESSION, sector, *session.as_bytes())
    }

    /// The session behind a name of a sector.
    pub fn session_of(&self, sector: &str, named: &str) -> Option<Id<Session>> {
        let mut block: [u8; 16] = crate::base62::decode(named.strip_prefix(PAIRWISE_SESSION)?)?;
        self.sector_cipher("pairwise-session", sector, Direction::Find, &mut block);
        Id::from_bytes(block)
    }

    fn hide(&self, label: &str, prefix: &str, sector: &str, mut block: [u8; 16]) -> String {
        self.sector_cipher(label, sector, Direction::Hide, &mut block);
        let mut text = String::from(prefix);
        crate::base62::encode_into(&block, &mut text);
        text
    }

    /// The person behind a pairwise subject of a sector.
    pub fn person_of(&self, sector: &str, subject: &str) -> Option<Id<Person>> {
        let mut block: [u8; 16] = crate::base62::decode(subject.strip_prefix(PAIRWISE)?)?;
        self.sector_cipher("pairwise", sector, Direction::Find, &mut block);
        Id::from_bytes(block)
    }

    #[expect(
        clippy::expect_used,
        reason = "AES-256 takes any 32 bytes as key and any 16 as block"
    )]
    fn sector_cipher(&self, label: &str, sector: &str, direction: Direction, block: &mut [u8; 16]) {
        // INVARIANT: a pairwise subject never changes, so its key never does:
        // the server rotates no key of this purpose.
        let salt = self.current(Purpose::Pairwise);
        let key = UnboundCipherKey::new(&AES_256, &salt.mac(label, &[sector.as_bytes()]))
            .expect("32 bytes");
        match direction {
            Direction::Hide => {
                let key = EncryptingKey::ecb(key).expect("one block needs no mode");
                key.encrypt(block).expect("one whole block");
            }
            Direction::Find => {
                let key = DecryptingKey::ecb(key).expect("one block needs no mode");
                key.decrypt(block, DecryptionContext::None)
                    .expect("one whole block");
            }
        }
    }

    /// A MAC that is the same after every rotation, for names of counters: a
    /// new key must not give whoever guesses a new beginning.
    pub fn name_mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.current(Purpose::Blinding).mac(label, parts)
    }

    /// A MAC under the transaction key, for CSRF tokens and device marks.
    pub fn form_mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.current(Purpose::Transaction).mac(label, parts)
    }

    /// Whether a MAC, or as much of it as was kept, is one that
    /// [`Keyring::form_mac`] made under any key that still opens.
    pub fn is_form_mac(&self, label: &str, parts: &[&[u8]], presented: &[u8]) -> bool {
        let own = self.secrets.get(&Purpose::Transaction);
        let mut found = false;
        for key in own.into_iter().flat_map(|own| own.all.values()) {
            let mac = key.mac(label, parts);
            let same = mac.get(..presented.len()).is_some_and(|mac| {
                aws_lc_rs::constant_time::verify_slices_are_equal(mac, presented).is_ok()
            });
            found |= same && presented.len() >= MIN_MAC_BYTES;
        }
        found
    }
}

/// How much of a MAC proves anything, in bytes.
const MIN_MAC_BYTES: usize = 16;
/// Begins every pairwise subject; no client id does.
pub const PAIRWISE: &str = "pws_";
/// Begins every session as a sector knows it.
const PAIRWISE_SESSION: &str = "pse_";

#[derive(Clone, Copy)]
enum Direction {
    Hide,
    Find,
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hkdf;

    use super::*;

    #[test]
    fn what_is_derived_is_what_hkdf_gives() {
        let secret = WorkingSecret::new(7, [3; 32]);
        let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &[3; 32]);
        let mut expected = [0; 32];
        let info = [&b"label"[..], b"salt"];
        let okm = prk.expand(&info, hkdf::HKDF_SHA256).unwrap();
        okm.fill(&mut expected).unwrap();

        assert_eq!(secret.derive(b"label", b"salt"), expected);
    }
}
