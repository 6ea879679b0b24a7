//! What happened to a person or a session, and who has to be told: the clients
//! of the session, and the streams whose client knows the person.
//!
//! An act calls [`tell`] before it ends anything, while it can still be seen
//! who took part.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.3
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.3
//! Spec: OpenID CAEP 1.0 §3
//! Spec: OpenID RISC 1.0 §2

use serde::{Deserialize, Serialize};
use symbolon_protocol::{OrganizationId, Timestamp};
use symbolon_token::{Id, Person, Session};

use crate::act::Tx;
use crate::audit::AuditEvent;
use crate::fault::Fault;
use crate::outbox::{self, NewMessage, TO_SEND};
use crate::session_client;
use crate::signal_stream;

/// Begins the name of a receiver that is a client.
pub const CLIENT: &str = "client:";
/// Begins the name of a receiver that is a stream.
pub const STREAM: &str = "stream:";

/// The claim that says what a person is in an organization. A message of it names
/// the organization behind it.
pub const ROLES: &str = "roles";

/// What a message says. Who it is about is written in the receiver's own words
/// when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What happened.
    pub event: Event,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Id<Person>>,
    /// To which of their sessions; all of them where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Id<Session>>,
    /// Who did it.
    #[serde(default)]
    pub by: Initiator,
    /// What is said besides: names of claims, or the state of a verification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

/// What receivers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A session ended, to a client that took part in it.
    Logout,
    /// One session or all of a person have ended (CAEP).
    SessionRevoked,
    /// A password was set or taken away (CAEP).
    CredentialChange,
    /// Claims about a person have changed (CAEP).
    TokenClaimsChange,
    /// A person may not sign in any more (RISC).
    AccountDisabled,
    /// A person may sign in again (RISC).
    AccountEnabled,
    /// A person was deleted (RISC).
    AccountPurged,
    /// All sessions of a person have ended (RISC, where CAEP is not understood).
    SessionsRevoked,
    /// A receiver asked whether its stream works.
    Verification,
}

impl Event {
    /// What a stream may ask for.
    pub const OF_STREAMS: [Self; 7] = [
        Self::SessionRevoked,
        Self::CredentialChange,
        Self::TokenClaimsChange,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::AccountPurged,
        Self::SessionsRevoked,
    ];

    /// Its bit among those that a stream asks for. It never changes.
    pub const fn bit(self) -> i64 {
        match self {
            Self::Logout | Self::Verification => 0,
            Self::SessionRevoked => 1,
            Self::CredentialChange => 1 << 1,
            Self::TokenClaimsChange => 1 << 2,
            Self::AccountDisabled => 1 << 3,
            Self::AccountEnabled => 1 << 4,
            Self::AccountPurged => 1 << 5,
            Self::SessionsRevoked => 1 << 6,
        }
    }
}

/// Who brought something about (CAEP 1.0 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initiator {
    /// An administrator.
    Admin,
    /// The person themselves.
    User,
    /// This server, by a rule or because of what others told it.
    #[default]
    System,
}

impl Initiator {
    fn of(audit: &AuditEvent) -> Self {
        match audit.actor.as_str() {
            "administrator" => Self::Admin,
            actor if audit.subject.as_deref() == Some(actor) => Self::User,
            _ => Self::System,
        }
    }
}

/// What an act does to a person.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    /// One session ends.
    SessionEnds(Id<Session>),
    /// All that runs ends.
    AllEnds,
    /// The password is another one, or gone, and all that runs ends.
    Password(&'static str),
    /// The person may not sign in any more, and all that runs ends.
    Disabled,
    /// The person may sign in again.
    Enabled,
    /// The person is deleted.
    Purged,
    /// Claims with these names have changed.
    Claims(Vec<String>),
    /// What the person is in an organization has changed.
    Roles(OrganizationId),
}

impl Signal {
    /// The events of streams, in the order in which they are told.
    const fn events(&self) -> &'static [Event] {
        use Event as E;
        match self {
            Self::SessionEnds(_) => &[E::SessionRevoked],
            Self::AllEnds => &[E::SessionRevoked, E::SessionsRevoked],
            Self::Password(_) => &[E::CredentialChange, E::SessionRevoked, E::SessionsRevoked],
            Self::Disabled => &[E::AccountDisabled, E::SessionRevoked, E::SessionsRevoked],
            Self::Enabled => &[E::AccountEnabled],
            Self::Purged => &[E::AccountPurged, E::SessionRevoked, E::SessionsRevoked],
            Self::Claims(_) | Self::Roles(_) => &[E::TokenClaimsChange],
        }
    }

    const fn session(&self) -> Option<Id<Session>> {
        match self {
            Self::SessionEnds(session) => Some(*session),
            _ => None,
        }
    }

    fn words(&self, event: Event) -> Vec<String> {
        match (self, event) {
            (Self::Password(change), Event::CredentialChange) => vec![(*change).to_owned()],
            (Self::Claims(names), _) => names.clone(),
            (Self::Roles(organization), _) => vec![ROLES.to_owned(), organization.to_string()],
            _ => Vec::new(),
        }
    }
}

/// Writes into the act's own transaction what others are told of it. It stands
/// before the statements that end anything.
pub(crate) async fn tell(
    tx: &mut Tx<'_>,
    person: &Id<Person>,
    signal: &Signal,
    audit: &AuditEvent,
    now: Timestamp,
) -> Result<(), Fault> {
    let by = Initiator::of(audit);
    tell_clients(tx, person, signal, (by, now)).await?;
    for stream in signal_stream::of_person(tx, person).await? {
        for event in signal.events() {
            if stream.events & event.bit() == 0 {
                continue;
            }
            let message = Message {
                event: *event,
                person: Some(*person),
                session: signal.session(),
                by,
                words: signal.words(*event),
            };
            let new = NewMessage {
                receiver: format!("{STREAM}{}", stream.id),
                subject: person.as_bytes(),
                state: stream.state_of_messages,
                message: &message,
            };
            outbox::add(tx, &new, now).await?;
        }
    }
    Ok(())
}

/// One message for each client in each session that ends.
async fn tell_clients(
    tx: &mut Tx<'_>,
    person: &Id<Person>,
    signal: &Signal,
    (by, now): (Initiator, Timestamp),
) -> Result<(), Fault> {
    let told = match signal {
        Signal::Enabled | Signal::Claims(_) | Signal::Roles(_) => return Ok(()),
        Signal::SessionEnds(session) => session_client::take(tx, session).await?,
        Signal::AllEnds | Signal::Password(_) | Signal::Disabled | Signal::Purged => {
            session_client::take_all(tx, person).await?
        }
    };
    for one in told {
        let message = Message {
            event: Event::Logout,
            person: Some(*person),
            session: Some(one.session),
            by,
            words: Vec::new(),
        };
        let new = NewMessage {
            receiver: format!("{CLIENT}{}", one.client),
            subject: person.as_bytes(),
            state: TO_SEND,
            message: &message,
        };
        outbox::add(tx, &new, now).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_a_stream_has_a_bit_of_its_own() {
        let all = Event::OF_STREAMS.iter().fold(0, |all, event| {
            assert_eq!(all & event.bit(), 0, "{event:?}");
            all | event.bit()
        });

        assert_eq!(all, 0b111_1111);
        assert_eq!(Event::Logout.bit() | Event::Verification.bit(), 0);
    }

    #[test]
    fn a_message_reads_back_as_it_was_written() {
        let message = Message {
            event: Event::SessionRevoked,
            person: Id::from_bytes([1; 16]),
            session: None,
            by: Initiator::User,
            words: vec!["email".to_owned()],
        };

        let text = serde_json::to_string(&message).unwrap();

        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
        assert!(text.contains(r#""event":"session-revoked""#), "{text}");
    }
}
