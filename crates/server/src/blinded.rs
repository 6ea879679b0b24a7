//! A record of the store under the names that tokens carry.
//!
//! A token for a sector of its own names person and session as that sector
//! knows them, so a record about either has a name in each sector.
//!
//! Spec: OpenID Connect Core 1.0 §8

use symbolon_store::{Revocation as Stored, Target as Named};
use symbolon_token::revocation::{Revocation, Target, pair_name, public_name, token_name};
use symbolon_token::{Blinding, Id, Person};

/// The record under the names that are the same everywhere.
pub(crate) fn of(record: &Stored, blinding: &Blinding) -> Revocation {
    Names {
        plain: blinding,
        people: blinding,
    }
    .of(record)
}

/// The record as one sector knows it; `None` where it names neither a person
/// nor a session, so that it has the same name there.
pub(crate) fn in_sector(
    record: &Stored,
    blinding: &Blinding,
    sector: &Blinding,
) -> Option<Revocation> {
    let names_somebody = match &record.target {
        Named::Session(_) | Named::Subject(_) | Named::Membership(..) => true,
        Named::ClientSubject(_, subject) => subject.parse::<Id<Person>>().is_ok(),
        _ => false,
    };
    let names = Names {
        plain: blinding,
        people: sector,
    };
    names_somebody.then(|| names.of(record))
}

/// By whom things are named.
struct Names<'a> {
    /// What has one name.
    plain: &'a Blinding,
    /// People and sessions.
    people: &'a Blinding,
}

impl Names<'_> {
    fn of(&self, record: &Stored) -> Revocation {
        let (target, name) = self.name(&record.target);
        Revocation {
            sequence: record.position.sequence,
            target,
            name,
            expires: record.expires,
        }
    }

    fn name(&self, named: &Named) -> (Target, u64) {
        let plain = |target, bytes: &[u8]| (target, self.plain.name(target, bytes));
        let people = |target, bytes: &[u8]| (target, self.people.name(target, bytes));
        let pair = |target, one: (Target, u64), two| (target, pair_name(target, one.1, two));
        match named {
            Named::Token(id) => (Target::Token, token_name(&id.to_string())),
            Named::Family(id) => plain(Target::Family, id.as_bytes()),
            Named::Grant(id) => plain(Target::Grant, id.as_bytes()),
            Named::Session(id) => people(Target::Session, id.as_bytes()),
            Named::Subject(id) => people(Target::Subject, id.as_bytes()),
            Named::Client(id) => plain(Target::Client, id.as_str().as_bytes()),
            Named::ClientSubject(id, subject) => {
                let client = plain(Target::Client, id.as_str().as_bytes());
                pair(Target::ClientSubject, client, self.subject(subject))
            }
            Named::Organization(id) => plain(Target::Organization, id.as_str().as_bytes()),
            Named::Membership(id, person) => {
                let organization = plain(Target::Organization, id.as_str().as_bytes());
                let (_, person) = people(Target::Subject, person.as_bytes());
                pair(Target::Membership, organization, person)
            }
            Named::Issuer(issuer) => (Target::Issuer, public_name(Target::Issuer, issuer)),
            Named::Key(kid) => (Target::Key, public_name(Target::Key, kid)),
            Named::Resource(own) => (Target::Resource, public_name(Target::Resource, own)),
        }
    }

    fn subject(&self, text: &str) -> u64 {
        match text.parse::<Id<Person>>() {
            Ok(person) => self.people.name(Target::Subject, person.as_bytes()),
            Err(_) => self.plain.name(Target::Subject, text.as_bytes()),
        }
    }
}
