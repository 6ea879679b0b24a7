//! Audit rows: security changes, written in the act's own transaction.

use std::sync::atomic::Ordering;

use serde_json::Value;
use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::document;
use crate::statement::statements;

/// What happened, as the act that does it will write it down.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// What was done: a stable name, as in `grant.withdraw`.
    pub action: &'static str,
    /// Who did it: a subject, a client, or `system`.
    pub actor: String,
    /// Whom it was done to.
    pub subject: Option<String>,
    /// The client it was about.
    pub client: Option<String>,
    /// More, without a secret.
    pub detail: Value,
    /// The request's id.
    pub request: String,
}

impl AuditEvent {
    /// An event about nobody in particular yet.
    pub fn new(action: &'static str, actor: impl Into<String>) -> Self {
        Self {
            action,
            actor: actor.into(),
            subject: None,
            client: None,
            detail: Value::Object(serde_json::Map::new()),
            request: String::new(),
        }
    }
}

/// An audit row, as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Where it stands.
    pub place: AuditPlace,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// Whom it was done to.
    pub subject: Option<String>,
    /// The client it was about.
    pub client: Option<String>,
    /// More.
    pub detail: Value,
    /// The request's id.
    pub request: String,
}

/// Where an audit row stands: by time, then by the process that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    /// When it happened.
    pub at: Timestamp,
    /// Which process wrote it.
    pub node: i64,
    /// The process's own number for it.
    pub counter: i64,
}

statements! {
    WRITE = "INSERT INTO audit (node, counter, at, action, actor, subject, client, detail, request)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    LIST = "SELECT at, node, counter, action, actor, subject, client, detail, request FROM audit
        WHERE (at, node, counter) > (?1, ?2, ?3) AND (CAST(?4 AS TEXT) IS NULL OR action = ?4)
        ORDER BY at, node, counter LIMIT ?5";
}

/// Writes an event into the transaction of the act that it tells of.
pub(crate) async fn write(
    tx: &mut Tx<'_>,
    event: &AuditEvent,
    now: Timestamp,
) -> Result<(), Fault> {
    // A number that a rolled back act took never appears; readers know that.
    let counter = tx.shared.counter.fetch_add(1, Ordering::Relaxed);
    let (node, detail) = (tx.shared.node, document(&event.detail)?);
    let (subject, client) = (event.subject.as_deref(), event.client.as_deref());
    let binds = binds![
        node,
        counter,
        now,
        event.action,
        &event.actor,
        subject,
        client,
        &detail,
        &event.request,
    ];
    tx.run(&WRITE, binds).await?;
    Ok(())
}

/// Reads audit rows, oldest first.
#[derive(Clone, Debug)]
pub struct ListAudit {
    /// The last row that was read.
    pub after: Option<AuditPlace>,
    /// At most how many.
    pub limit: u32,
    /// Only what was done under this name.
    pub action: Option<String>,
}

impl Act for ListAudit {
    type Out = Vec<AuditEntry>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<AuditEntry>, Fault> {
        let after = self.after.unwrap_or(AuditPlace {
            at: Timestamp::from_millis(i64::MIN),
            node: i64::MIN,
            counter: i64::MIN,
        });
        let action = self.action.as_deref();
        let binds = binds![after.at, after.node, after.counter, action, self.limit];
        tx.all(&LIST, binds, |row| {
            Ok(AuditEntry {
                place: AuditPlace {
                    at: row.time(0)?,
                    node: row.number(1)?,
                    counter: row.number(2)?,
                },
                action: row.string(3)?,
                actor: row.string(4)?,
                subject: row.string_or_none(5)?,
                client: row.string_or_none(6)?,
                detail: row.json(7)?,
                request: row.string(8)?,
            })
        })
        .await
    }
}
