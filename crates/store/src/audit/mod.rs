//! Audit rows: security changes, written in the act's own transaction.
//!
//! 1. `write` enters a row beside what it tells of, under this process's next
//!    number.
//! 2. `link` puts committed rows into the chain, and enters numbers that never
//!    appeared as void.
//! 3. `chain` and `list` read: in the chain's order, or by time.
//! 4. `start` lets go what is older than it has to be kept.

pub(crate) mod chain;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod start;

use std::sync::atomic::Ordering;

use serde_json::Value;
use symbolon_protocol::Timestamp;

use crate::act::Tx;
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::document;
use crate::statement::statements;

pub use chain::{AuditChain, ChainHead, LinkedRow, ListAuditChain};
pub use link::{Head, Held, LinkAudit, Linked, Linking, SignsAnchors, UnlinkedAudit};
pub use list::{AuditEntry, AuditFilter, AuditPage, AuditPlace, ListAudit};
pub use start::{ForgetAudit, MoveAuditStart};

/// What a number is entered as that no committed act has.
pub const VOID: &str = "audit.void";

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

statements! {
    WRITE = "INSERT INTO audit (node, counter, at, action, actor, subject, client, detail, request)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (node, counter) DO NOTHING";
}

/// Writes an event into the transaction of the act that it tells of.
pub(crate) async fn write(
    tx: &mut Tx<'_>,
    event: &AuditEvent,
    now: Timestamp,
) -> Result<(), Fault> {
    write_numbered(tx, event, now).await.map(|_| ())
}

/// The same; answers the process and its number for the record.
async fn write_numbered(
    tx: &mut Tx<'_>,
    event: &AuditEvent,
    now: Timestamp,
) -> Result<(i64, i64), Fault> {
    // A number that a rolled back act took never appears: it is entered as void.
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
    if tx.run(&WRITE, binds).await? == 0 {
        // INVARIANT: an act that took longer than a number may stay open does
        // not commit under it; it is run again under another.
        return Err(Fault::retry("an audit number was entered as void"));
    }
    Ok((node, counter))
}
