//! `[[signal_source]]`: who may tell this server that a person has to go.

use std::fmt;

use symbolon_protocol::{ForeignIssuer, OrganizationId};
use symbolon_token::{Digest, Secret};

/// A transmitter whose events are believed.
#[derive(Debug)]
pub struct SignalSource {
    /// Its name: the last part of the address that it calls.
    pub id: String,
    /// The `iss` of its events.
    pub issuer: ForeignIssuer,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The `aud` of events that are meant for this server.
    pub audience: String,
    /// How they may be signed; any way that its keys allow where none is named.
    pub algorithms: Vec<String>,
    /// A digest of the bearer that it shows when it calls.
    pub push: Option<Digest>,
    /// How its events are fetched, where they are.
    pub poll: Option<SignalPoll>,
    /// Whom its identifiers mean.
    pub subjects: Vec<SubjectName>,
    /// What its events may bring about.
    pub effects: Vec<Effect>,
    /// The organization whose members alone it speaks of.
    pub organization: Option<OrganizationId>,
}

/// How the events of a transmitter are fetched.
#[derive(Debug)]
pub struct SignalPoll {
    /// Where.
    pub url: String,
    /// What is shown there.
    pub bearer: PollBearer,
}

/// The bearer that is shown to a transmitter.
#[derive(Debug)]
pub enum PollBearer {
    /// Always this one.
    Fixed(Secret),
    /// What a token endpoint gives to this client.
    Asked(PollClient),
}

/// As whom a token endpoint is asked for a bearer (RFC 6749 §4.4).
#[derive(Debug)]
pub struct PollClient {
    /// The token endpoint.
    pub token_endpoint: String,
    /// The client.
    pub client_id: String,
    /// Its secret, shown as `client_secret_basic`.
    pub client_secret: Secret,
    /// What the bearer is to let it do.
    pub scope: Option<String>,
    /// For whom it is to be good (RFC 8707).
    pub resource: Option<String>,
}

/// How the people of a transmitter are found here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// By an e-mail address that was verified here.
    Email,
    /// By the `sub` that this issuer gave them.
    OwnSubject,
    /// By its own `sub`, which is the user name here.
    Username,
}

/// What an event may bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// All that a person has running ends.
    SignOut,
    /// A person may not sign in any more.
    Disable,
}

impl SubjectName {
    pub(super) const ALL: [Self; 3] = [Self::Email, Self::OwnSubject, Self::Username];

    const fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::OwnSubject => "own_subject",
            Self::Username => "username",
        }
    }
}

impl Effect {
    pub(super) const ALL: [Self; 2] = [Self::SignOut, Self::Disable];

    const fn word(self) -> &'static str {
        match self {
            Self::SignOut => "sign_out",
            Self::Disable => "disable",
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
