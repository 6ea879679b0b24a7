//! What a token for a sector of its own says of person and session: names that
//! no other sector is given, so that two of them cannot compare.
//!
//! Spec: OpenID Connect Core 1.0 §8
//! Spec: RFC 9068 §6

use crate::authority::{Ancestor, Authority};
use crate::revocation::{Blinding, Marks, Target};

/// What a token for a sector says of the session: it can be read by the issuer
/// alone.
#[derive(Debug)]
pub struct Sector<'a> {
    /// How the sector's names are blinded.
    pub blinding: &'a Blinding,
    /// The session as the sector knows it, where the token ends with one.
    pub session: Option<String>,
}

/// Replaces what is the same in every sector by what the sector knows.
pub(crate) fn hide(marks: &mut Marks, authority: &Authority, sector: &Blinding) {
    let plain = marks.clone();
    marks.session = authority
        .session()
        .map(|id| sector.name(Target::Session, id.as_bytes()));
    if let Some(person) = authority.person() {
        marks.subject = Some(sector.name(Target::Subject, person.as_bytes()));
    }
    marks.lineage.retain(|own| !names_person(own, &plain));
}

/// Whether an ancestor names the person or the session of a token, alone or
/// with something else that the token names. What is derived keeps both, so
/// its own marks stand for such an ancestor; see [`Marks::implied`].
fn names_person(own: &Ancestor, plain: &Marks) -> bool {
    let name = Some(own.name);
    match own.target {
        Target::Subject => name == plain.subject,
        Target::Session => name == plain.session,
        Target::ClientSubject | Target::Membership => plain.implied().contains(own),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::{Agreement, Scopes, Timestamp};

    use super::*;
    use crate::authority::{Binding, Granted, Subject};
    use crate::id::Id;
    use crate::jwt::marks;
    use crate::revocation::{Position, Revocation, pair_name};
    use crate::revocation_set::RevocationSet;

    /// A person's authority in a session, derived from a token of another
    /// client that was taken for the same person in the same session.
    fn derived(blinding: &Blinding) -> Authority {
        let mut granted = Granted {
            subject: Subject::Person(Id::from_bytes([1; 16]).unwrap()),
            client: "first".parse().unwrap(),
            audiences: Vec::new(),
            scopes: Scopes::empty(),
            agreement: Agreement::default(),
            expires: Timestamp::FAR,
            organization: Some("acme".parse().unwrap()),
            roles: Vec::new(),
            grant: Id::from_bytes([2; 16]),
            family: None,
            session: Id::from_bytes([3; 16]),
            authentication: None,
            binding: Binding::NONE,
            actors: Vec::new(),
            may_act: None,
            lineage: Vec::new(),
            position: Position::default(),
        };
        let token = Id::from_bytes([0; 16]);
        let first = marks(&Authority::granted(granted.clone()), token, blinding);
        granted.lineage = first.ancestors();
        granted.client = "second".parse().unwrap();
        Authority::granted(granted)
    }

    fn blinding() -> Blinding {
        Blinding::new(&[7; 32])
    }

    #[test]
    fn nothing_that_names_the_person_is_left_and_everything_is_found_again() {
        let (plain, sector) = (blinding(), blinding().of_sector("one.example"));
        let authority = derived(&plain);
        let whole = marks(&authority, None, &plain);
        let mut hidden = whole.clone();

        hide(&mut hidden, &authority, &sector);

        let (subject, session) = (whole.subject.unwrap(), whole.session.unwrap());
        let first = plain.name(Target::Client, b"first");
        let names = [
            subject,
            session,
            pair_name(Target::ClientSubject, first, subject),
            pair_name(Target::Membership, whole.organization.unwrap(), subject),
        ];
        let left = hidden.ancestors();
        let lineage = hidden.lineage.iter();
        let named = lineage.chain(&left).filter(|own| names.contains(&own.name));
        assert_eq!(named.count(), 0);
        let mut found = Marks {
            subject: whole.subject,
            session: whole.session,
            ..hidden
        };
        found.lineage.extend(found.implied());
        let mut all = found.ancestors();
        all.extend(&found.lineage);
        assert!(whole.lineage.iter().all(|own| all.contains(own)));
    }

    #[test]
    fn a_record_for_the_sector_hits_and_one_for_another_does_not() {
        let sectors = ["one.example", "two.example"].map(|own| blinding().of_sector(own));
        let authority = derived(&blinding());
        let mut hidden = marks(&authority, None, &blinding());
        hide(&mut hidden, &authority, &sectors[0]);
        let (person, session) = (authority.person().unwrap(), authority.session().unwrap());
        for (target, bytes) in [
            (Target::Subject, person.as_bytes()),
            (Target::Session, session.as_bytes()),
        ] {
            let hits = |by: &Blinding| {
                let mut set = RevocationSet::default();
                set.apply(Revocation {
                    sequence: 1,
                    target,
                    name: by.name(target, bytes),
                    expires: Timestamp::FAR,
                });
                set.hit(&hidden, Position::default()).is_some()
            };

            assert!(hits(&sectors[0]) && !hits(&sectors[1]) && !hits(&blinding()));
        }
    }
}
