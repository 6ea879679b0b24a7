//! What a revocation is about, and the names under which tokens carry it.
//!
//! Names are blinded (64-bit keyed hashes), so that a verifier can match
//! a revocation without learning the ids behind it.

use std::fmt::{self, Write as _};
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;
use symbolon_protocol::Timestamp;

use crate::authority::Ancestor;

/// A place in the revocation feed.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Position {
    /// Counts restores from backup; tokens of another epoch are void.
    pub epoch: i64,
    /// Counts records.
    pub sequence: i64,
}

/// What a record can be about. The numbers are stored and never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Target {
    /// One access token.
    Token = 1,
    /// Everything that came of one code.
    Family = 2,
    /// What a person let a client do.
    Grant = 3,
    /// A person in a browser.
    Session = 4,
    /// A person, everywhere.
    Subject = 5,
    /// A client.
    Client = 6,
    /// One subject at one client: stands for many single tokens.
    ClientSubject = 7,
    /// An organization.
    Organization = 8,
    /// A person in an organization.
    Membership = 9,
    /// A trusted issuer.
    Issuer = 10,
    /// A signing key.
    Key = 11,
    /// A resource that was deleted.
    Resource = 12,
}

impl Target {
    /// Every target, in the order of its number.
    pub const ALL: [Self; 12] = [
        Self::Token,
        Self::Family,
        Self::Grant,
        Self::Session,
        Self::Subject,
        Self::Client,
        Self::ClientSubject,
        Self::Organization,
        Self::Membership,
        Self::Issuer,
        Self::Key,
        Self::Resource,
    ];

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Family => "family",
            Self::Grant => "grant",
            Self::Session => "session",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::ClientSubject => "client and subject",
            Self::Organization => "organization",
            Self::Membership => "membership",
            Self::Issuer => "trusted issuer",
            Self::Key => "key",
            Self::Resource => "resource",
        }
    }

    /// The target with a number.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|target| *target as u8 == number)
    }

    /// Whether a record kills by sequence, not for good: what it names may
    /// come back (a person enabled again), a family or a token never does.
    /// Neither does a key: whoever stole it writes any sequence into a token.
    pub(crate) const fn is_wide(self) -> bool {
        !matches!(self, Self::Token | Self::Family | Self::Grant | Self::Key)
    }

    /// Whether a name of this kind is the same wherever one person is, or where
    /// they are signed in.
    pub(crate) const fn names_person(self) -> bool {
        matches!(
            self,
            Self::Subject | Self::Session | Self::ClientSubject | Self::Membership
        )
    }
}

/// The key that blinds.
#[derive(Clone)]
pub struct Blinding(SipHasher24);

impl Blinding {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&secret[..16]);
        Self(SipHasher24::new_with_key(&key))
    }

    /// How people and sessions are named in tokens for one sector, so that two
    /// sectors cannot find out that they know the same person.
    #[must_use]
    pub fn of_sector(&self, sector: &str) -> Self {
        let half = |number: u8| {
            let mut hasher = self.0;
            hasher.write_u8(0);
            hasher.write_u8(number);
            hasher.write(sector.as_bytes());
            hasher.finish()
        };
        Self(SipHasher24::new_with_keys(half(1), half(2)))
    }

    /// The blinded name of `bytes` as a target of a kind.
    pub fn name(&self, target: Target, bytes: &[u8]) -> u64 {
        let mut hasher = self.0;
        hasher.write_u8(target as u8);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding(..)")
    }
}

/// The name of a single token: any holder can compute it from the `jti`.
pub fn token_name(jti: &str) -> u64 {
    let mut hasher = SipHasher24::new_with_key(b"symbolon jti v1\0");
    hasher.write(jti.as_bytes());
    hasher.finish()
}

/// The name of a pair, from the blinded names of its parts: whoever knows both
/// parts of a token knows the pair.
pub fn pair_name(target: Target, first: u64, second: u64) -> u64 {
    let mut hasher = SipHasher24::new_with_key(b"symbolon pair v1");
    hasher.write_u8(target as u8);
    hasher.write_u64(first);
    hasher.write_u64(second);
    hasher.finish()
}

/// The name of a signing key, trusted issuer or resource, which are public.
pub fn public_name(target: Target, text: impl fmt::Display) -> u64 {
    struct Hashed(SipHasher24);
    impl fmt::Write for Hashed {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut hashed = Hashed(SipHasher24::new_with_key(b"symbolon name v1"));
    hashed.0.write_u8(target as u8);
    // What takes all text never fails.
    let _ = write!(hashed, "{text}");
    hashed.0.finish()
}

/// What a record could hit a token by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// The token itself; see [`token_name`].
    pub token: Option<u64>,
    /// Its family.
    pub family: Option<u64>,
    /// Its grant.
    pub grant: Option<u64>,
    /// Its session.
    pub session: Option<u64>,
    /// Its subject.
    pub subject: Option<u64>,
    /// Its client.
    pub client: Option<u64>,
    /// Its organization.
    pub organization: Option<u64>,
    /// The trusted issuer behind it.
    pub issuer: Option<u64>,
    /// The key that signed it.
    pub key: Option<u64>,
    /// The one resource that it is for.
    pub resource: Option<u64>,
    /// What it was derived from.
    pub lineage: Vec<Ancestor>,
}

impl Marks {
    /// The names under which this could be taken back, as what is derived from
    /// it keeps them.
    pub fn ancestors(&self) -> Vec<Ancestor> {
        let own = self.each().into_iter();
        own.filter_map(|(target, name)| {
            Some(Ancestor {
                target,
                name: name?,
            })
        })
        .collect()
    }

    /// The pairs that follow from what this was derived from: the subject is
    /// still the same, so it was each earlier client's and organization's too.
    pub fn implied(&self) -> Vec<Ancestor> {
        let Some(subject) = self.subject else {
            return Vec::new();
        };
        let organization = |name| Ancestor {
            target: Target::Organization,
            name,
        };
        let own = self.organization.map(organization);
        let parts = self.lineage.iter().copied().chain(own);
        let pairs = parts.filter_map(|own| {
            let target = match own.target {
                Target::Client => Target::ClientSubject,
                Target::Organization => Target::Membership,
                _ => return None,
            };
            let name = pair_name(target, own.name, subject);
            Some(Ancestor { target, name })
        });
        pairs.collect()
    }

    pub(crate) fn each(&self) -> [(Target, Option<u64>); 12] {
        let pair = |target, one: Option<u64>, two: Option<u64>| Some(pair_name(target, one?, two?));
        [
            (Target::Token, self.token),
            (Target::Family, self.family),
            (Target::Grant, self.grant),
            (Target::Session, self.session),
            (Target::Subject, self.subject),
            (Target::Client, self.client),
            // Stands for single tokens, so it can hit nothing that is not one.
            (
                Target::ClientSubject,
                self.token
                    .and_then(|_| pair(Target::ClientSubject, self.client, self.subject)),
            ),
            (Target::Organization, self.organization),
            (
                Target::Membership,
                pair(Target::Membership, self.organization, self.subject),
            ),
            (Target::Issuer, self.issuer),
            (Target::Key, self.key),
            (Target::Resource, self.resource),
        ]
    }
}

/// Why a token is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Hit {
    /// A record names it.
    Record(Target),
    /// A record names something that it was derived from.
    Parent(Target),
    /// It is from before a restore.
    Epoch,
}

/// One record as it arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// Its number.
    pub sequence: i64,
    /// What it is about.
    pub target: Target,
    /// The blinded name.
    pub name: u64,
    /// When the last token that it could hit is dead anyway.
    pub expires: Timestamp,
}
