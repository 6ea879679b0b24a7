//! Of whom a stream tells at the moment in which it is told: what waits may be
//! older than a consent that was withdrawn, or a person who was taken out.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.3

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::{Id, Person};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::signal_stream::LEFT_OUT;
use crate::statement::statements;

/// Asks whether a stream tells of a person still.
#[derive(Clone, Debug)]
pub struct TellsOf {
    /// The stream.
    pub stream: String,
    /// The client it belongs to.
    pub client: ClientId,
    /// The person.
    pub person: Id<Person>,
    /// When what is told of happened. What ended a consent itself is told.
    pub happened: Timestamp,
}

statements! {
    AGREED = "SELECT 1 FROM grants {by_grantor} WHERE slot = ?1 AND person = ?2 AND client = ?3
        AND withdrawn IS NULL LIMIT 1";
    ENDED = "SELECT 1 FROM grants WHERE slot = ?1 AND person = ?2 AND client = ?3
        AND withdrawn = ?4 LIMIT 1";
}

impl Act for TellsOf {
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let (person, client) = (&self.person, self.client.as_str());
        let left_out = binds![&self.stream, person];
        if tx.one(&LEFT_OUT, left_out).await?.is_some() {
            return Ok(false);
        }
        let agreed = binds![person.slot(), person, client];
        if tx.one(&AGREED, agreed).await?.is_some() {
            return Ok(true);
        }
        let ended = binds![person.slot(), person, client, self.happened];
        Ok(tx.one(&ENDED, ended).await?.is_some())
    }
}
