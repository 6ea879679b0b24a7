//! The subject as a client sees it.
//!
//! Spec: OpenID Connect Core 1.0 §8

use symbolon_protocol::{Client, SubjectType};
use symbolon_token::{Id, Keyring, Person, Subject};

/// The `sub` of a person at a client.
pub(crate) fn of_person(keys: &Keyring, client: &Client, person: Id<Person>) -> String {
    match (client.subject_type, client.sector()) {
        (SubjectType::Pairwise, Some(sector)) => keys.pairwise(&sector, person),
        _ => person.to_string(),
    }
}

/// The `sub` of whoever acts.
pub(crate) fn of(keys: &Keyring, client: &Client, subject: &Subject) -> String {
    match subject {
        Subject::Person(person) => of_person(keys, client, *person),
        Subject::Client(client) => client.to_string(),
        Subject::Foreign(subject) => subject.to_string(),
    }
}

/// The person behind a `sub` that a client was given.
pub(crate) fn person(keys: &Keyring, client: &Client, subject: &str) -> Option<Id<Person>> {
    match (client.subject_type, client.sector()) {
        (SubjectType::Pairwise, Some(sector)) => keys.person_of(&sector, subject),
        _ => subject.parse().ok(),
    }
}
