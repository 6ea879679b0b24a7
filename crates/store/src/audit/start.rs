//! Where the audit trail begins: what is older than it has to be kept goes, and
//! what is left can still be verified.
//!
//! 1. An anchor that is old enough becomes the next start. The act that says so
//!    writes a record of it, like any other change.
//! 2. The start counts once that record is linked into the chain, so whoever
//!    reads the chain finds in it why it does not begin at 1.
//! 3. Records, links and anchors up to the start are deleted, batch by batch.
//!
//! Nothing is deleted that no anchor holds: a start is an anchor.

use serde_json::json;
use symbolon_protocol::Timestamp;
use symbolon_token::audit::{Anchor, FORGET};

use super::AuditEvent;
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// How far a start moves at least: each move is a record of its own.
const STRIDE_MS: i64 = 24 * 60 * 60 * 1000;

/// Names the last anchor before a moment as the next start of the trail.
#[derive(Clone, Copy, Debug)]
pub struct MoveAuditStart {
    /// What was anchored later stays.
    pub before: Timestamp,
    /// How long records are kept, in seconds, for whoever reads of it.
    pub retention_seconds: u64,
    /// The time.
    pub now: Timestamp,
}

/// Deletes records before the start, the oldest first.
#[derive(Clone, Copy, Debug)]
pub struct ForgetAudit {
    /// At most how many.
    pub limit: u32,
}

statements! {
    // A record that counts says why.
    START = "SELECT s.link, s.hash, s.at, s.key, s.signature FROM audit_start s
        WHERE EXISTS (SELECT 1 FROM audit_link l WHERE l.node = s.node AND l.counter = s.counter)
        ORDER BY s.link DESC LIMIT 1";
    LAST = "SELECT s.link, s.at, (SELECT l.link FROM audit_link l
            WHERE l.node = s.node AND l.counter = s.counter)
        FROM audit_start s ORDER BY s.link DESC LIMIT 1";
    // Not past the first anchor that is too young, whatever the clocks of later
    // ones said.
    NEXT = "SELECT link, hash, at, key, signature FROM audit_anchor
        WHERE at <= ?1 AND link > ?2
            AND link < (SELECT COALESCE(MIN(link), ?3) FROM audit_anchor WHERE at > ?1)
        ORDER BY link DESC LIMIT 1";
    NAME = "INSERT INTO audit_start (link, hash, at, key, signature, node, counter)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    RECORDS = "DELETE FROM audit WHERE (node, counter) IN
        (SELECT node, counter FROM audit_link WHERE link <= ?1 ORDER BY link LIMIT ?2)";
    LINKS = "DELETE FROM audit_link WHERE link IN
        (SELECT link FROM audit_link WHERE link <= ?1 ORDER BY link LIMIT ?2)";
    ANCHORS = "DELETE FROM audit_anchor WHERE hour IN
        (SELECT hour FROM audit_anchor WHERE link <= ?1 ORDER BY hour LIMIT ?2)";
    STARTS = "DELETE FROM audit_start WHERE link < ?1";
}

/// The start that counts, where the trail does not begin with its first record.
pub(crate) async fn current(tx: &mut Tx<'_>) -> Result<Option<Anchor>, Fault> {
    let row = tx.one(&START, &[]).await?;
    row.as_ref().map(read).transpose()
}

pub(super) fn read(row: &Row) -> Result<Anchor, Fault> {
    Ok(Anchor {
        link: row.number(0)?,
        hash: row.array(1)?,
        at: row.time(2)?,
        key: row.string(3)?,
        signature: row.bytes(4)?.to_vec(),
    })
}

impl Act for MoveAuditStart {
    /// The link that the trail will begin after; nothing where it stays.
    type Out = Option<i64>;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<i64>, Fault> {
        let mut from = 0;
        if let Some(last) = tx.one(&LAST, &[]).await? {
            if last.number_or_none(2)?.is_none() {
                // The one before has not begun to count yet.
                return Ok(None);
            }
            from = last.number(0)?;
            let least = last.time(1)?.millis().saturating_add(STRIDE_MS);
            if self.before.millis() < least {
                return Ok(None);
            }
        }
        let binds = binds![self.before, from, i64::MAX];
        let Some(row) = tx.one(&NEXT, binds).await? else {
            return Ok(None);
        };
        let anchor = read(&row)?;
        let mut event = AuditEvent::new(FORGET, "system");
        event.detail = json!({
            "through": anchor.link,
            "anchored": anchor.at.to_string(),
            "retention_seconds": self.retention_seconds,
        });
        let (node, counter) = super::write_numbered(tx, &event, self.now).await?;
        let binds = binds![
            anchor.link,
            &anchor.hash,
            anchor.at,
            &anchor.key,
            &anchor.signature,
            node,
            counter,
        ];
        tx.run(&NAME, binds).await?;
        Ok(Some(anchor.link))
    }
}

impl Act for ForgetAudit {
    /// How many records are gone.
    type Out = u64;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let Some(start) = current(tx).await? else {
            return Ok(0);
        };
        let binds = binds![start.link, self.limit];
        // The record before the link that names it.
        tx.run(&RECORDS, binds).await?;
        let links = tx.run(&LINKS, binds).await?;
        tx.run(&ANCHORS, binds).await?;
        tx.run(&STARTS, binds![start.link]).await?;
        // Budgets count what requests write; this is nobody's request.
        tx.wrote = false;
        Ok(links)
    }
}
