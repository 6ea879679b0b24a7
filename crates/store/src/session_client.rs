//! Which clients had tokens in a session and want to hear when it ends.
//!
//! The row is written in the act that gives the first tokens, and taken in the
//! act that ends the session, so nobody is told twice and nobody is forgotten.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.3

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::{Id, Person, Session};

use crate::act::Tx;
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// A client in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionClient {
    pub(crate) client: String,
    pub(crate) session: Id<Session>,
}

statements! {
    NOTE = "INSERT INTO session_client (slot, session, client, expires) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (slot, session, client) DO UPDATE
            SET expires = {greatest}(session_client.expires, excluded.expires)";
    TAKE = "DELETE FROM session_client WHERE slot = ?1 AND session = ?2
        RETURNING client, session";
    TAKE_OF_PERSON = "DELETE FROM session_client WHERE slot = ?1 AND session IN
        (SELECT id FROM session {by_person} WHERE slot = ?1 AND person = ?2 AND ended IS NULL)
        RETURNING client, session";
}

/// Notes that a client has tokens of a session, for as long as it can matter.
pub(crate) async fn note(
    tx: &mut Tx<'_>,
    session: &Id<Session>,
    client: &ClientId,
    expires: Timestamp,
) -> Result<(), Fault> {
    let binds = binds![session.slot(), session, client.as_str(), expires];
    tx.run(&NOTE, binds).await?;
    Ok(())
}

/// Takes the clients of one session.
pub(crate) async fn take(
    tx: &mut Tx<'_>,
    session: &Id<Session>,
) -> Result<Vec<SessionClient>, Fault> {
    let found = tx.all(&TAKE, binds![session.slot(), session], read).await;
    found.map(sorted)
}

/// Takes the clients of every session of a person that was not ended yet.
pub(crate) async fn take_all(
    tx: &mut Tx<'_>,
    person: &Id<Person>,
) -> Result<Vec<SessionClient>, Fault> {
    let binds = binds![person.slot(), person];
    tx.all(&TAKE_OF_PERSON, binds, read).await.map(sorted)
}

/// Two acts that write to the same receivers do it in one order.
fn sorted(mut all: Vec<SessionClient>) -> Vec<SessionClient> {
    let order = |own: &SessionClient| (own.client.clone(), *own.session.as_bytes());
    all.sort_by_key(order);
    all
}

fn read(row: &Row) -> Result<SessionClient, Fault> {
    Ok(SessionClient {
        client: row.string(0)?,
        session: row.id(1)?,
    })
}
