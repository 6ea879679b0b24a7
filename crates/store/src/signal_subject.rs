//! Of whom a stream tells at the moment in which it is told: what waits may be
//! older than a consent that was withdrawn, or a person who was taken out.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.3

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::{Id, Person};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::signal::{Event, Message, STREAM};
use crate::signal_stream::{FindStream, LEFT_OUT};
use crate::statement::statements;

/// Asks whether a stream asks for an event still, and tells of a person.
#[derive(Clone, Debug)]
pub struct TellsOf {
    /// The stream.
    pub stream: String,
    /// The client it belongs to.
    pub client: ClientId,
    /// The bits of the events that it is told of.
    pub events: i64,
    /// What happened.
    pub event: Event,
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
        if self.events & self.event.bit() == 0 {
            return Ok(false);
        }
        // Nothing of who is gone can be taken back any more.
        if self.event == Event::AccountPurged {
            return Ok(true);
        }
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

/// Whether a receiver may be told a message still. Only a stream tells of people by
/// what they allow now; of one that is gone nobody asks.
pub(crate) async fn is_told(
    tx: &mut Tx<'_>,
    receiver: &str,
    message: &Message,
    happened: Timestamp,
) -> Result<bool, Fault> {
    let (Some(id), Some(person)) = (receiver.strip_prefix(STREAM), message.person) else {
        return Ok(true);
    };
    let find = FindStream { id: id.to_owned() };
    let Some(stream) = find.run(tx).await? else {
        return Ok(true);
    };
    let tells = TellsOf {
        stream: stream.id,
        client: stream.client,
        events: stream.events,
        event: message.event,
        person,
        happened,
    };
    tells.run(tx).await
}
