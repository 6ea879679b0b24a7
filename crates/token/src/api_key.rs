//! API keys: a text that names its row and holds a secret beside the name, the
//! digests that are stored of it, and why one is refused.
//!
//! The text is `sym_key_`, a letter for the environment (`L` live, `T` test),
//! and base62 of the id (16 bytes), a secret (192 random bits) and a checksum.
//! The id is masked by the secret: it stands in audit rows and lists, where no
//! part of a key's text belongs.
//! A key that was brought along from elsewhere has its old text, of which only
//! the SHA-256 digest is known here.
//!
//! Spec: RFC 7662 §2.2, §4

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use symbolon_protocol::Environment;

use crate::authority::Ancestor;
use crate::clock::{Entropy, random};
use crate::explain::Check;
use crate::id::{ApiKey, Id, Slot};
use crate::jose::Unverified;
use crate::keyring::{Keyring, Purpose};
use crate::macaroon;
use crate::mark::{Kind, read_lettered, write_lettered};
use crate::revocation::Target;
use crate::secret::{Digest, Secret};

/// Random bytes of each key: 192 bits, where 160 are asked for.
const SECRET: usize = 24;
/// Id and secret.
const BODY: usize = 16 + SECRET;
/// How many networks one key may name.
pub const MAX_NETWORKS: usize = 32;
/// How long the text of a key from elsewhere may be, in bytes.
pub const MAX_FOREIGN_BYTES: usize = 512;
/// How long it is at least: what is shorter is found by trying.
pub const MIN_FOREIGN_BYTES: usize = 16;

/// A key that was just made.
#[derive(Debug)]
pub struct Made {
    /// Its id.
    pub id: Id<ApiKey>,
    /// Its text, which is nowhere else.
    pub text: Secret,
}

/// Makes a key whose row lives in a slot.
pub fn make(slot: Slot, environment: Environment, entropy: &dyn Entropy) -> Made {
    let id = Id::new(slot, entropy);
    let mut body = [0; BODY];
    body[16..].copy_from_slice(&random::<SECRET>(entropy));
    let masked = masked(*id.as_bytes(), &body[16..]);
    body[..16].copy_from_slice(&masked);
    let text = Secret::from(write_lettered(Kind::ApiKey, letter(environment), &body));
    crate::secret::wipe(&mut body);
    Made { id, text }
}

/// What a text says that has the form of a key of ours. Nobody vouches for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// The row that it names.
    pub id: Id<ApiKey>,
    /// The environment that it says it is for.
    pub environment: Environment,
}

/// Reads a text of the form of our keys; `None` for a typo.
pub fn read(text: &str) -> Option<Claimed> {
    let (letter, mut bytes) = read_lettered::<{ BODY + 4 }>(Kind::ApiKey, text)?;
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[..16]);
    let id = masked(id, &bytes[16..BODY]);
    crate::secret::wipe(&mut bytes);
    Some(Claimed {
        id: Id::from_bytes(id)?,
        environment: match letter {
            b'L' => Environment::Live,
            b'T' => Environment::Test,
            _ => return None,
        },
    })
}

/// The id under a mask of the secret, or without it: the same is done twice.
fn masked(mut id: [u8; 16], secret: &[u8]) -> [u8; 16] {
    let mask = Digest::of(secret);
    for (byte, mask) in id.iter_mut().zip(mask.as_bytes()) {
        *byte ^= mask;
    }
    id
}

const fn letter(environment: Environment) -> u8 {
    match environment {
        Environment::Live => b'L',
        Environment::Test => b'T',
    }
}

/// Whether a text may be a key from elsewhere: one line of visible ASCII that
/// is no credential of ours and no token.
pub fn is_foreign(text: &str) -> bool {
    (MIN_FOREIGN_BYTES..=MAX_FOREIGN_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && Kind::claimed_by(text).is_none()
        && !macaroon::is_macaroon(text)
        && Unverified::parse(text).is_err()
}

/// The SHA-256 digest of a key from elsewhere, in hex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ForeignDigest(Digest);

/// Not 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a SHA-256 digest: 64 hexadecimal digits")]
pub struct InvalidDigest;

impl ForeignDigest {
    /// The digest of a text.
    pub fn of(text: &str) -> Self {
        Self(Digest::of(text.as_bytes()))
    }
}

impl FromStr for ForeignDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(InvalidDigest);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(Digest::from_bytes(bytes)))
    }
}

fn digit(digit: u8) -> Result<u8, InvalidDigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(InvalidDigest),
    }
}

const OWN: &str = "api-key";
const FOREIGN: &str = "foreign-api-key";

impl Keyring {
    /// The keyed digest under which a key of ours is stored.
    pub fn digest_api_key(&self, text: &Secret) -> Digest {
        let key = self.current(Purpose::SecretDigest);
        Digest::from_bytes(key.mac(OWN, &[text.expose()]))
    }

    /// The digests of a shown key under every key that a stored one may have
    /// been made with, the current key's first, each beside the mark of its key.
    pub fn api_key_digests(&self, text: &str) -> impl Iterator<Item = (Digest, u64)> {
        self.keyed(OWN, Secret::from(text))
    }

    /// The keyed digest under which a key from elsewhere is stored. A copy of
    /// the database is no list of digests to try guesses on.
    pub fn digest_foreign_key(&self, digest: &ForeignDigest) -> Digest {
        let key = self.current(Purpose::SecretDigest);
        Digest::from_bytes(key.mac(FOREIGN, &[digest.0.as_bytes()]))
    }

    /// The same under every key.
    pub fn foreign_key_digests(
        &self,
        digest: &ForeignDigest,
    ) -> impl Iterator<Item = (Digest, u64)> {
        self.keyed(FOREIGN, Secret::new(digest.0.as_bytes().to_vec()))
    }

    /// Whether an API key is among what something was derived from. Nothing else
    /// is marked by the keys that its digests are made with.
    pub fn made_api_key_of(&self, lineage: &[Ancestor]) -> bool {
        let is_of = |name| {
            let mut all = self.all(Purpose::SecretDigest);
            all.any(|own| Purpose::SecretDigest.key_mark(own.id) == name)
        };
        let mut marks = lineage.iter().filter(|own| own.target == Target::Key);
        marks.any(|own| is_of(own.name))
    }

    fn keyed(&self, label: &'static str, of: Secret) -> impl Iterator<Item = (Digest, u64)> {
        let current = self.current(Purpose::SecretDigest);
        let others = self.all(Purpose::SecretDigest);
        std::iter::once(current)
            .chain(others.filter(|own| own.id != current.id))
            .map(move |own| {
                let digest = Digest::from_bytes(own.mac(label, &[of.expose()]));
                (digest, Purpose::SecretDigest.key_mark(own.id))
            })
    }
}

/// Networks that a key is good from; everywhere, where there are none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Networks(Vec<IpNet>);

/// Something that is no list of networks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("are at most 32 networks with their prefix, as in `10.0.0.0/8` or `2001:db8::/32`")]
pub struct InvalidNetworks;

impl TryFrom<Vec<String>> for Networks {
    type Error = InvalidNetworks;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidNetworks> {
        if texts.len() > MAX_NETWORKS {
            return Err(InvalidNetworks);
        }
        let read = texts.iter().map(|text| macaroon::network(text));
        read.collect::<Option<_>>().map(Self).ok_or(InvalidNetworks)
    }
}

impl From<Networks> for Vec<String> {
    fn from(networks: Networks) -> Self {
        networks.0.iter().map(ToString::to_string).collect()
    }
}

impl Networks {
    /// Whether it is good everywhere.
    pub fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether whatever is good from here is good from `other` too.
    pub fn is_within(&self, other: &Self) -> bool {
        let within = |own: &IpNet| other.0.iter().any(|wide| wide.contains(own));
        other.is_everywhere() || !self.is_everywhere() && self.0.iter().all(within)
    }

    /// Refuses an address that is in none of them, and one that is not known.
    pub fn check(&self, address: Option<IpAddr>) -> Result<(), KeyFlaw> {
        if self.is_everywhere() {
            return Ok(());
        }
        let address = address.ok_or(KeyFlaw::NetworkUnknown)?.to_canonical();
        let is_inside = self.0.iter().any(|network| network.contains(&address));
        is_inside.then_some(()).ok_or(KeyFlaw::Network)
    }
}

/// Why an API key is not good, or not good here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KeyFlaw {
    /// A character was changed, or it was cut off.
    Form,
    /// There is no such key, or its secret is another.
    Unknown,
    /// It is disabled for now.
    Disabled,
    /// Whoever it acts for may not act any more.
    Owner,
    /// It is for other APIs.
    Elsewhere,
    /// The API takes no keys of its environment.
    Environment,
    /// It is not good from where the request comes from.
    Network,
    /// It is good from some networks, and nobody said where the request comes from.
    NetworkUnknown,
    /// What would be asked of any token of its client refuses it.
    Policy(&'static str),
}

impl KeyFlaw {
    /// Which check fails.
    pub const fn check(self) -> Check {
        match self {
            Self::Form | Self::Unknown => Check::Signature,
            Self::Elsewhere | Self::Environment => Check::Audience,
            _ => Check::Revocation,
        }
    }

    /// A stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Form => "api_key_malformed",
            Self::Unknown => "api_key_unknown",
            Self::Disabled => "api_key_disabled",
            Self::Owner => "api_key_owner",
            Self::Elsewhere => "wrong_audience",
            Self::Environment => "api_key_environment",
            Self::Network => "api_key_network",
            Self::NetworkUnknown => "api_key_network_unknown",
            Self::Policy(_) => "api_key_policy",
        }
    }

    /// What would repair it, in one plain sentence.
    pub const fn repair(self) -> &'static str {
        match self {
            Self::Form => "send the key exactly as it was shown; a cut or changed one is worthless",
            Self::Unknown => {
                "make a new key with `symbolon apikey create`; a lost one cannot be shown again"
            }
            Self::Disabled => "enable it with `symbolon apikey enable`",
            Self::Owner => {
                "enable the client, person or organization, or make a key that acts for another"
            }
            Self::Elsewhere => "add the API to the key's `resources`, or use a key of this API",
            Self::Environment => {
                "use a key of the environment that the API takes; the resource's `api_keys` says which"
            }
            Self::Network => {
                "call from one of the key's networks, or add the network with `symbolon apikey update`"
            }
            Self::NetworkUnknown => "have the API send `client_ip` when it introspects the key",
            Self::Policy(_) => "give the client what the key needs, or make a key that needs less",
        }
    }
}

impl fmt::Display for KeyFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "the API key is cut off, or one of its characters was changed",
            Self::Unknown => "there is no such API key",
            Self::Disabled => "the API key is disabled",
            Self::Owner => "whoever the API key acts for may not act any more",
            Self::Elsewhere => "the API key is for other APIs",
            Self::Environment => "the API takes no keys of this environment",
            Self::Network => "the API key is not good from this network",
            Self::NetworkUnknown => "the API key is good from some networks alone, and nobody said where the request comes from",
            Self::Policy(reason) => reason,
        })
    }
}
