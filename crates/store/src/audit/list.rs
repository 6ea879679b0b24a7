//! Audit rows by time, filtered.

use serde_json::Value;
use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

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
    /// Its number in the chain, once it is linked.
    pub link: Option<i64>,
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

/// Which rows: all that are as every member that is there says.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// What was done under this name.
    pub action: Option<String>,
    /// What this one did.
    pub actor: Option<String>,
    /// What was done to this one.
    pub subject: Option<String>,
    /// What was about this client.
    pub client: Option<String>,
    /// What this request did.
    pub request: Option<String>,
    /// What was done then or later.
    pub since: Option<Timestamp>,
    /// What was done before then.
    pub until: Option<Timestamp>,
}

statements! {
    LIST = "SELECT a.at, a.node, a.counter, a.action, a.actor, a.subject, a.client, a.detail,
            a.request, l.link
        FROM audit a LEFT JOIN audit_link l ON l.node = a.node AND l.counter = a.counter
        WHERE (a.at, a.node, a.counter) > (?1, ?2, ?3) AND a.at >= ?4 AND a.at < ?5
            AND (CAST(?6 AS TEXT) IS NULL OR a.action = ?6)
            AND (CAST(?7 AS TEXT) IS NULL OR a.actor = ?7)
            AND (CAST(?8 AS TEXT) IS NULL OR a.subject = ?8)
            AND (CAST(?9 AS TEXT) IS NULL OR a.client = ?9)
            AND (CAST(?10 AS TEXT) IS NULL OR a.request = ?10)
        ORDER BY a.at, a.node, a.counter LIMIT ?11";
}

/// Reads audit rows, oldest first.
#[derive(Clone, Debug)]
pub struct ListAudit {
    /// The last row that was read.
    pub after: Option<AuditPlace>,
    /// At most how many.
    pub limit: u32,
    /// Which.
    pub filter: AuditFilter,
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
        let filter = &self.filter;
        let since = filter.since.map_or(i64::MIN, Timestamp::millis);
        let until = filter.until.map_or(i64::MAX, Timestamp::millis);
        let binds = binds![
            after.at,
            after.node,
            after.counter,
            since,
            until,
            filter.action.as_deref(),
            filter.actor.as_deref(),
            filter.subject.as_deref(),
            filter.client.as_deref(),
            filter.request.as_deref(),
            self.limit,
        ];
        tx.all(&LIST, binds, read).await
    }
}

fn read(row: &Row) -> Result<AuditEntry, Fault> {
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
        link: row.number_or_none(9)?,
    })
}
