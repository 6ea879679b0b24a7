//! The subject as a client sees it.
//!
//! Spec: OpenID Connect Core 1.0 §8

use symbolon_protocol::{Client, planted};
use symbolon_token::{Id, Keyring, Person, Session, Subject};

/// The `sub` of a person at a client.
pub(crate) fn of_person(keys: &Keyring, client: &Client, person: Id<Person>) -> String {
    match sector(client) {
        Some(sector) => keys.pairwise(&sector, person),
        None => person.to_string(),
    }
}

/// The `sid` of a session at a client.
pub(crate) fn session(keys: &Keyring, client: &Client, session: Id<Session>) -> String {
    match sector(client) {
        Some(sector) => keys.pairwise_session(&sector, session),
        None => session.to_string(),
    }
}

/// The sector of a client that knows people by a name of its own.
pub(crate) fn sector(client: &Client) -> Option<String> {
    let sector = client.names_in();
    match planted(26) {
        true => sector.map(|_| "everybody".to_owned()),
        false => sector,
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
    match sector(client) {
        Some(sector) => keys.person_of(&sector, subject),
        None => subject.parse().ok(),
    }
}
