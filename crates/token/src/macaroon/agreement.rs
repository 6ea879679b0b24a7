//! Whose word a discharge rests on: what takes it back before it ends.
//!
//! A discharge has no row and no id of its own. But the identifier of its caveat
//! says which key sealed it, and inside who agreed, and how far the revocation
//! feed had come. So a record about that key, person or membership finds it.
//!
//! The identifiers of a bundle whose chain was proved are those of the caveats
//! that it carries, so whoever holds a macaroon cannot choose another key.
//!
//! Spec: Macaroons NDSS 2014 §3.1

use symbolon_protocol::OrganizationId;

use super::discharge::{Asked, open_caveat};
use super::form::Bundle;
use crate::id::{Id, Person};
use crate::keyring::{Keyring, Purpose};
use crate::revocation::{Position, Target};
use crate::seal::{self, Bound};
use crate::{Ancestor, Blinding};

/// What one discharge rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreement {
    /// The mark of the key that sealed its caveat. Of what another service
    /// discharges, it names no key that there is.
    pub key: Option<u64>,
    /// Who agreed, where the caveat is one of this server and opens.
    pub given: Option<Given>,
}

/// Who agreed to what this server asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// The person.
    pub person: Id<Person>,
    /// The organization whose member they have to be.
    pub organization: Option<OrganizationId>,
    /// How far the feed had come when the caveat was made.
    pub since: Position,
}

impl Given {
    /// What a caveat that was opened rests on.
    pub fn of(asked: &Asked, since: Position) -> Self {
        Self {
            person: asked.person(),
            organization: match asked {
                Asked::Member { organization, .. } => Some(organization.clone()),
                Asked::SignedIn { .. } | Asked::Approved { .. } => None,
            },
            since,
        }
    }
}

impl Agreement {
    /// The names under which it could be taken back.
    pub fn ancestors(&self, blinding: &Blinding) -> Vec<Ancestor> {
        let key = self.key.map(|name| Ancestor {
            target: Target::Key,
            name,
        });
        let given = self.given.iter().flat_map(|own| own.ancestors(blinding));
        key.into_iter().chain(given).collect()
    }
}

impl Given {
    /// The names under which the word of a person could be taken back.
    pub fn ancestors(&self, blinding: &Blinding) -> Vec<Ancestor> {
        let name = |target, bytes: &[u8]| Ancestor {
            target,
            name: blinding.name(target, bytes),
        };
        let person = name(Target::Subject, self.person.as_bytes());
        let organization = self.organization.as_ref();
        let organization =
            organization.map(|own| name(Target::Organization, own.as_str().as_bytes()));
        let membership = organization.map(|own| Ancestor {
            target: Target::Membership,
            name: crate::revocation::pair_name(Target::Membership, own.name, person.name),
        });
        let all = [Some(person), organization, membership];
        all.into_iter().flatten().collect()
    }
}

/// The marks of the keys behind the discharges of a bundle whose chain was
/// proved: all that is known of them without the server's keys.
pub(super) fn keys(bundle: &Bundle) -> Vec<u64> {
    let each = bundle.discharges.iter();
    each.filter_map(|own| key(own.identifier())).collect()
}

/// What the discharges of a bundle whose chain was proved rest on.
pub(super) fn all(bundle: &Bundle, keys: &Keyring, bound: Bound<'_>) -> Vec<Agreement> {
    let each = bundle.discharges.iter().map(|own| {
        let opened = open_caveat(keys, bound, own.identifier()).ok();
        Agreement {
            key: key(own.identifier()),
            given: opened.map(|own| Given::of(&own.asked, own.since)),
        }
    });
    each.collect()
}

fn key(identifier: &[u8]) -> Option<u64> {
    seal::key_number(identifier).map(|number| Purpose::Discharge.key_mark(number))
}
