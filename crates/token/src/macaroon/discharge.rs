//! Third-party caveats that this server discharges: what is asked for, sealed
//! into the caveat's identifier together with the key of the discharge.
//!
//! Spec: Macaroons NDSS 2014 §2.2, §3.1

use std::time::Duration;

use libmacaroon::{Macaroon, MacaroonKey};
use symbolon_protocol::{ClientId, OrganizationId, ResourceIdentifier, Scopes};

use super::MAX_CAVEAT_BYTES;
use super::caveat::Caveat;
use super::flaw::Flaw;
use super::form::Bundle;
use crate::clock::{Entropy, random};
use crate::id::{Id, Person};
use crate::keyring::{Keyring, Purpose};
use crate::revocation::Position;
use crate::seal::{self, Bound, Unsealable};
use crate::secret::{Secret, wipe};
use crate::wire::{Reader, Writer};

/// What has to be true before a discharge is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A person has signed in again, and not longer ago than this.
    SignedIn {
        /// The person.
        person: Id<Person>,
        /// The client that has the macaroon.
        client: ClientId,
        /// How long ago at most.
        within: Duration,
    },
    /// A person is a member of an organization.
    Member {
        /// The person.
        person: Id<Person>,
        /// The organization.
        organization: OrganizationId,
    },
    /// A person says yes to what a client of somebody wants to do.
    Approved {
        /// Who has to say yes.
        person: Id<Person>,
        /// The client that asks.
        client: ClientId,
        /// For whom it acts, in words; empty where it acts for itself.
        subject: String,
        /// What for, in the client's words.
        purpose: String,
        /// What a yes permits, and nothing more. None in caveats of versions
        /// that left that to the macaroon.
        permits: Option<Permits>,
    },
}

/// What somebody's yes permits: it is no yes to what they were not shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permits {
    /// Where.
    pub audience: ResourceIdentifier,
    /// What.
    pub scopes: Scopes,
}

impl Permits {
    /// What narrows a macaroon to this.
    fn caveats(&self) -> impl Iterator<Item = Caveat> {
        let scopes = (!self.scopes.is_empty()).then(|| Caveat::Scope(self.scopes.clone()));
        std::iter::once(Caveat::Audience(self.audience.clone())).chain(scopes)
    }

    /// Whether it can be written down: a caveat has only so many bytes.
    pub fn is_writable(&self) -> bool {
        self.caveats()
            .all(|caveat| caveat.to_string().len() <= MAX_CAVEAT_BYTES)
    }
}

impl Asked {
    /// The person whose word or doing it takes.
    pub const fn person(&self) -> Id<Person> {
        match self {
            Self::SignedIn { person, .. }
            | Self::Member { person, .. }
            | Self::Approved { person, .. } => *person,
        }
    }

    /// What its discharge says beside its end.
    fn caveats(&self) -> impl Iterator<Item = Caveat> {
        let permits = match self {
            Self::Approved { permits, .. } => permits.as_ref(),
            Self::SignedIn { .. } | Self::Member { .. } => None,
        };
        permits.into_iter().flat_map(Permits::caveats)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(96));
        out.id(Some(self.person().as_bytes()));
        match self {
            Self::SignedIn { client, within, .. } => {
                out.number(1);
                out.text(client.as_str());
                out.number(within.as_secs());
            }
            Self::Member { organization, .. } => {
                out.number(2);
                out.text(organization.as_str());
            }
            Self::Approved {
                client,
                subject,
                purpose,
                permits,
                ..
            } => {
                out.number(if permits.is_some() { 4 } else { 3 });
                out.text(client.as_str());
                out.text(subject);
                out.text(purpose);
                if let Some(permits) = permits {
                    out.text(permits.audience.as_str());
                    out.text(&permits.scopes.to_string());
                }
            }
        }
        out.0
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let person = Id::from_bytes(from.id()??)?;
        Some(match from.number()? {
            1 => Self::SignedIn {
                person,
                client: from.text()?.parse().ok()?,
                within: Duration::from_secs(from.number()?),
            },
            2 => Self::Member {
                person,
                organization: from.text()?.parse().ok()?,
            },
            kind @ (3 | 4) => Self::Approved {
                person,
                client: from.text()?.parse().ok()?,
                subject: from.text()?.to_owned(),
                purpose: from.text()?.to_owned(),
                permits: match kind {
                    3 => None,
                    _ => Some(Permits {
                        audience: from.text()?.parse().ok()?,
                        scopes: from.text()?.parse().ok()?,
                    }),
                },
            },
            _ => return None,
        })
    }
}

/// A third-party caveat to be added to a macaroon by whoever holds it.
#[derive(Debug)]
pub struct MadeCaveat {
    /// Its identifier.
    pub id: Vec<u8>,
    /// The key under which its discharge is made. Whoever adds the caveat
    /// needs it, and forgets it then.
    pub key: Secret,
}

/// What was inside an identifier that this server made.
#[derive(Debug)]
pub struct OpenedCaveat {
    /// What is asked for.
    pub asked: Asked,
    /// How far the revocation feed had come when it was made: what is taken
    /// back later takes its discharge back.
    pub since: Position,
    key: Secret,
}

/// Makes a third-party caveat that this server will discharge: what is asked,
/// and the number of the last record that was read before it was asked.
///
/// Layout of what is sealed: key (32), what is asked, number.
pub fn make_caveat(
    keys: &Keyring,
    bound: Bound<'_>,
    (asked, sequence): (&Asked, i64),
    entropy: &dyn Entropy,
) -> MadeCaveat {
    let key: [u8; 32] = random(entropy);
    let mut since = Writer(Vec::with_capacity(10));
    since.number(u64::try_from(sequence).unwrap_or_default());
    let mut plain = [&key[..], &asked.encode(), &since.0].concat();
    let sealed = seal::seal_bytes(
        keys.current(Purpose::Discharge),
        &associated(bound),
        &plain,
        entropy,
    );
    wipe(&mut plain);
    MadeCaveat {
        id: sealed,
        key: Secret::new(key.to_vec()),
    }
}

/// Opens the identifier of a caveat that this server made.
pub fn open_caveat(
    keys: &Keyring,
    bound: Bound<'_>,
    id: &[u8],
) -> Result<OpenedCaveat, Unsealable> {
    let number = seal::key_number(id).ok_or(Unsealable)?;
    let secret = keys.find(Purpose::Discharge, number).ok_or(Unsealable)?;
    let mut plain = seal::open_bytes(secret, &associated(bound), id)?;
    let (key, asked) = plain.split_at_checked(32).ok_or(Unsealable)?;
    let mut from = Reader(asked);
    let asked = Asked::decode(&mut from).ok_or(Unsealable)?;
    let sequence = from.number().and_then(|own| i64::try_from(own).ok());
    let opened = OpenedCaveat {
        asked,
        since: Position {
            epoch: bound.epoch,
            sequence: sequence.ok_or(Unsealable)?,
        },
        key: Secret::new(key.to_vec()),
    };
    from.end().ok_or(Unsealable)?;
    wipe(&mut plain);
    Ok(opened)
}

/// Makes the discharge of a caveat, with caveats of its own: at least an end. It
/// is good for what was agreed to alone.
/// It is worth nothing before it is bound to the macaroon with the caveat.
pub fn discharge(
    opened: &OpenedCaveat,
    id: &[u8],
    location: &str,
    caveats: &[Caveat],
) -> Result<String, Flaw> {
    let key = MacaroonKey::generate(opened.key.expose());
    let made = Macaroon::create(Some(location), &key, id);
    let mut root = made.map_err(|_| Flaw::Limit("the identifier of a caveat"))?;
    let agreed = opened.asked.caveats();
    for caveat in agreed.chain(caveats.iter().cloned()) {
        root.add_first_party_caveat(caveat.to_string())
            .map_err(|_| Flaw::Limit("the caveats of a discharge"))?;
    }
    Bundle::of(&root)?.write()
}

fn associated(bound: Bound<'_>) -> Vec<u8> {
    let mut data = b"macaroon discharge\0".to_vec();
    data.extend_from_slice(&bound.epoch.to_be_bytes());
    data.extend_from_slice(bound.issuer.as_bytes());
    data
}
