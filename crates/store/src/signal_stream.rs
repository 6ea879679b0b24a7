//! Streams of security events: what a receiver asked to be told, and how.
//!
//! Status: enabled, paused (what happens is kept), disabled (what happens is
//! not kept). A stream belongs to one client and tells of the people who have
//! let that client do something, besides those whom it does not want to hear of.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::{Id, Person};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::ending::many;
use crate::fault::Fault;
use crate::outbox::{self, HELD, NewMessage, TO_SEND, part};
use crate::row::Row;
use crate::signal::{Event, Initiator, Message, STREAM};
use crate::statement::statements;

/// How many streams one client has at most.
pub const MAX_STREAMS: u32 = 4;

/// How many people one stream may leave out.
pub const MAX_LEFT_OUT: u32 = 10_000;

/// Whether a stream is told anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStatus {
    /// Everything, at once.
    Enabled,
    /// Everything, once it is enabled again.
    Paused,
    /// Nothing.
    Disabled,
}

impl StreamStatus {
    const fn number(self) -> u8 {
        match self {
            Self::Enabled => 0,
            Self::Paused => 1,
            Self::Disabled => 2,
        }
    }

    fn read(row: &Row, at: usize) -> Result<Self, Fault> {
        Ok(match row.number(at)? {
            0 => Self::Enabled,
            1 => Self::Paused,
            _ => Self::Disabled,
        })
    }
}

/// A stream as it is stored.
#[derive(Clone, PartialEq)]
pub struct SignalStream {
    /// Its id.
    pub id: String,
    /// The client it belongs to.
    pub client: ClientId,
    /// Whether it is told anything.
    pub status: StreamStatus,
    /// Whether the receiver fetches what it is told.
    pub fetches: bool,
    /// The bits of the events that it is told of.
    pub events: i64,
    /// What the receiver said, as the caller writes it.
    pub document: String,
    /// What the receiver wants to be shown, sealed.
    pub secret: Option<Vec<u8>>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

/// The secret is sealed, and still nobody's to read.
impl std::fmt::Debug for SignalStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignalStream")
            .field("id", &self.id)
            .field("client", &self.client)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Creates a stream. `created` and `updated` of the stream are not read.
#[derive(Clone, Debug)]
pub struct CreateStream {
    /// The stream.
    pub stream: SignalStream,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Replaces a stream, if it is still what the change was made from. What waits
/// for it is kept, moved or let go, as its status says: a first part at once, the
/// rest by [`crate::SettleStream`].
#[derive(Clone, Debug)]
pub struct UpdateStream {
    /// The stream. Its id and client choose the row.
    pub stream: SignalStream,
    /// When it was changed last before.
    pub was: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Deletes a stream of a client, and what waits for it: all of it where that is
/// little, the rest by [`crate::ForgetGone`].
#[derive(Clone, Debug)]
pub struct DeleteStream {
    /// Its id.
    pub id: String,
    /// The client it has to belong to.
    pub client: ClientId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Finds a stream.
#[derive(Clone, Debug)]
pub struct FindStream {
    /// Its id.
    pub id: String,
}

/// Lists the streams of a client.
#[derive(Clone, Debug)]
pub struct StreamsOf {
    /// The client.
    pub client: ClientId,
}

/// Leaves a person out of a stream, or no more.
#[derive(Clone, Debug)]
pub struct SetSubject {
    /// The stream.
    pub stream: String,
    /// The person.
    pub person: Id<Person>,
    /// Whether the stream tells of them.
    pub told: bool,
}

/// Has a stream told that it works, unless that was asked a moment ago.
#[derive(Clone, Debug)]
pub struct VerifyStream {
    /// The stream.
    pub id: String,
    /// What the receiver wants to see again.
    pub state: Option<String>,
    /// The last time at which it may have been asked before.
    pub not_since: Timestamp,
    /// The time.
    pub now: Timestamp,
}

/// What writing a stream found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamWritten {
    /// It was written.
    Written,
    /// There is none. Nothing was written.
    Missing,
    /// Somebody else has changed it since. Nothing was written.
    Changed,
    /// The client has as many as it may. Nothing was written.
    TooMany,
}

statements! {
    // Two that count at once must not both find room.
    LOCK_CLIENT = "SELECT id FROM client WHERE id = ?1 {for_update}";
    COUNT = "SELECT count(*) FROM signal_stream WHERE client = ?1";
    CREATE = "INSERT INTO signal_stream
            (id, client, status, fetches, events, document, secret, verified, created, updated)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?8)";
    UPDATE = "UPDATE signal_stream SET status = ?3, fetches = ?4, events = ?5, document = ?6,
            secret = ?7, updated = {greatest}(?8, updated + 1)
        WHERE id = ?1 AND client = ?2 AND updated = ?9";
    DELETE = "DELETE FROM signal_stream WHERE id = ?1 AND client = ?2";
    DELETE_SUBJECTS = "DELETE FROM signal_subject WHERE stream = ?1";
    FIND = "SELECT id, client, status, fetches, events, document, secret, created, updated
        FROM signal_stream WHERE id = ?1";
    OF_CLIENT = "SELECT id, client, status, fetches, events, document, secret, created, updated
        FROM signal_stream WHERE client = ?1 ORDER BY created, id";
    // From the grants of one person: how many streams others have is no matter.
    OF_PERSON = "SELECT DISTINCT s.id, s.status, s.fetches, s.events
        FROM grants g JOIN signal_stream s ON s.client = g.client
            JOIN client c ON c.id = s.client
        WHERE g.slot = ?1 AND g.person = ?2 AND g.withdrawn IS NULL AND s.status < 2
            AND c.enabled = 1 AND NOT EXISTS (SELECT 1 FROM signal_subject x
                WHERE x.stream = s.id AND x.subject = ?2)
        ORDER BY s.id";
    LEAVE_OUT = "INSERT INTO signal_subject (stream, subject) SELECT ?1, ?2
        WHERE (SELECT count(*) FROM signal_subject WHERE stream = ?1) < ?3
        ON CONFLICT DO NOTHING";
    TELL_OF = "DELETE FROM signal_subject WHERE stream = ?1 AND subject = ?2";
    LEFT_OUT = "SELECT 1 FROM signal_subject WHERE stream = ?1 AND subject = ?2";
    VERIFY = "UPDATE signal_stream SET verified = ?2
        WHERE id = ?1 AND verified <= ?3 AND status = 0 RETURNING fetches";
    OF_CLIENT_IDS = "SELECT id FROM signal_stream WHERE client = ?1 ORDER BY id";
    FORGET_CLIENT = "DELETE FROM session_client WHERE client = ?1";
}

/// A stream, as far as telling needs it.
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) events: i64,
    pub(crate) state_of_messages: u8,
}

fn read(row: &Row) -> Result<SignalStream, Fault> {
    Ok(SignalStream {
        id: row.string(0)?,
        client: row.parsed(1)?,
        status: StreamStatus::read(row, 2)?,
        fetches: row.flag(3)?,
        events: row.number(4)?,
        document: row.string(5)?,
        secret: row.bytes_or_none(6)?.map(<[u8]>::to_vec),
        created: row.time(7)?,
        updated: row.time(8)?,
    })
}

const fn state_of(status: StreamStatus, fetches: bool) -> u8 {
    match (status, fetches) {
        (StreamStatus::Enabled, false) => TO_SEND,
        _ => HELD,
    }
}

fn receiver_of(id: &str) -> String {
    format!("{STREAM}{id}")
}

/// The streams that tell of a person.
pub(crate) async fn of_person(tx: &mut Tx<'_>, person: &Id<Person>) -> Result<Vec<Told>, Fault> {
    tx.all(&OF_PERSON, binds![person.slot(), person], |row| {
        Ok(Told {
            id: row.string(0)?,
            events: row.number(3)?,
            state_of_messages: state_of(StreamStatus::read(row, 1)?, row.flag(2)?),
        })
    })
    .await
}

/// Whether what is written for a receiver is sent to it or held for it.
pub(crate) async fn state_of_messages(tx: &mut Tx<'_>, receiver: &str) -> Result<u8, Fault> {
    let Some(id) = receiver.strip_prefix(STREAM) else {
        return Ok(TO_SEND);
    };
    let row = tx.one(&FIND, binds![id]).await?;
    let stream = row.as_ref().map(read).transpose()?;
    Ok(stream.map_or(TO_SEND, |own| state_of(own.status, own.fetches)))
}

/// The receiver of a stream, its status, and whether what is written for it is
/// sent or held.
pub(crate) async fn how_told(
    tx: &mut Tx<'_>,
    id: &str,
) -> Result<Option<(String, (StreamStatus, u8))>, Fault> {
    let row = tx.one(&FIND, binds![id]).await?;
    let stream = row.as_ref().map(read).transpose()?;
    let told = |own: SignalStream| (own.status, state_of(own.status, own.fetches));
    Ok(stream.map(|own| (receiver_of(id), told(own))))
}

/// Forgets what a client was to be told: it is deleted.
pub(crate) async fn forget_client(tx: &mut Tx<'_>, client: &ClientId) -> Result<(), Fault> {
    let id = client.as_str();
    let streams: Vec<String> = tx
        .all(&OF_CLIENT_IDS, binds![id], |row| row.string(0))
        .await?;
    for stream in streams {
        tx.run(&DELETE, binds![&stream, id]).await?;
        tx.run(&DELETE_SUBJECTS, binds![&stream]).await?;
        part::forget(tx, &receiver_of(&stream)).await?;
    }
    // Where sessions have too many clients, whoever deletes one has gone through
    // them, slot by slot.
    if !many::many_listen(tx).await? {
        tx.run(&FORGET_CLIENT, binds![id]).await?;
    }
    part::forget(tx, &format!("{}{id}", crate::signal::CLIENT)).await
}

impl Act for CreateStream {
    type Out = StreamWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StreamWritten, Fault> {
        let own = &self.stream;
        let client = own.client.as_str();
        if tx.one(&LOCK_CLIENT, binds![client]).await?.is_none() {
            return Ok(StreamWritten::Missing);
        }
        let count = tx.one(&COUNT, binds![client]).await?;
        let count = count.ok_or_else(|| Fault::broken("a count came back empty"))?;
        if count.number(0)? >= i64::from(MAX_STREAMS) {
            return Ok(StreamWritten::TooMany);
        }
        let binds = binds![
            &own.id,
            client,
            own.status.number(),
            own.fetches,
            own.events,
            &own.document,
            own.secret.as_deref(),
            self.now,
        ];
        tx.run(&CREATE, binds).await?;
        audit::write(tx, &self.audit, self.now).await?;
        Ok(StreamWritten::Written)
    }
}

impl Act for UpdateStream {
    type Out = StreamWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StreamWritten, Fault> {
        let own = &self.stream;
        let binds = binds![
            &own.id,
            own.client.as_str(),
            own.status.number(),
            own.fetches,
            own.events,
            &own.document,
            own.secret.as_deref(),
            self.now,
            self.was,
        ];
        if tx.run(&UPDATE, binds).await? == 0 {
            let there = tx.one(&FIND, binds![&own.id]).await?;
            let there = there.as_ref().map(read).transpose()?;
            let is_own = there.is_some_and(|there| there.client == own.client);
            return Ok(match is_own {
                true => StreamWritten::Changed,
                false => StreamWritten::Missing,
            });
        }
        let receiver = receiver_of(&own.id);
        let told = (own.status, state_of(own.status, own.fetches));
        part::settle(tx, &receiver, told).await?;
        audit::write(tx, &self.audit, self.now).await?;
        Ok(StreamWritten::Written)
    }
}

impl Act for DeleteStream {
    type Out = StreamWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StreamWritten, Fault> {
        let binds = binds![&self.id, self.client.as_str()];
        if tx.run(&DELETE, binds).await? == 0 {
            return Ok(StreamWritten::Missing);
        }
        tx.run(&DELETE_SUBJECTS, binds![&self.id]).await?;
        part::forget(tx, &receiver_of(&self.id)).await?;
        audit::write(tx, &self.audit, self.now).await?;
        Ok(StreamWritten::Written)
    }
}

impl Act for FindStream {
    type Out = Option<SignalStream>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<SignalStream>, Fault> {
        let row = tx.one(&FIND, binds![&self.id]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for StreamsOf {
    type Out = Vec<SignalStream>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<SignalStream>, Fault> {
        tx.all(&OF_CLIENT, binds![self.client.as_str()], read).await
    }
}

impl Act for SetSubject {
    type Out = StreamWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StreamWritten, Fault> {
        let (stream, person) = (&self.stream, &self.person);
        if self.told {
            tx.run(&TELL_OF, binds![stream, person]).await?;
            return Ok(StreamWritten::Written);
        }
        let room = binds![stream, person, MAX_LEFT_OUT];
        if tx.run(&LEAVE_OUT, room).await? > 0 {
            return Ok(StreamWritten::Written);
        }
        Ok(match tx.one(&LEFT_OUT, binds![stream, person]).await? {
            Some(_) => StreamWritten::Written,
            None => StreamWritten::TooMany,
        })
    }
}

impl Act for VerifyStream {
    /// Whether the stream is enabled and was not asked a moment ago.
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let binds = binds![&self.id, self.now, self.not_since];
        let Some(row) = tx.one(&VERIFY, binds).await? else {
            return Ok(false);
        };
        let message = Message {
            event: Event::Verification,
            person: None,
            session: None,
            by: Initiator::System,
            words: self.state.iter().cloned().collect(),
        };
        let new = NewMessage {
            receiver: receiver_of(&self.id),
            subject: self.id.as_bytes(),
            state: state_of(StreamStatus::Enabled, row.flag(0)?),
            message: &message,
        };
        outbox::add(tx, &new, self.now).await?;
        Ok(true)
    }
}
