//! Audit rows by time, filtered.
//!
//! A filter has no index of its own: the trail is written far more often than it
//! is searched. One call looks through a part of the trail that is bounded, and
//! says where to go on, so it is answered in time however few rows match.

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

/// Rows that a filter let through, oldest first.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// The rows; there may be none although more follow.
    pub entries: Vec<AuditEntry>,
    /// The last row that was looked at, where more may follow: what
    /// [`ListAudit::after`] takes.
    pub next: Option<AuditPlace>,
}

impl IntoIterator for AuditPage {
    type Item = AuditEntry;
    type IntoIter = std::vec::IntoIter<AuditEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// How many rows one call looks through.
const PART: u32 = 20_000;

statements! {
    // The times stand there a second time for PostgreSQL, which cannot tell from
    // places how few rows lie between two of them; and last, because SQLite goes
    // by what it reads first.
    END_OF_PART = "SELECT at, node, counter FROM audit
        WHERE (at, node, counter) > (?1, ?2, ?3) AND (at, node, counter) <= (?4, ?5, ?6)
            AND at >= ?1 AND at <= ?4
        ORDER BY at, node, counter LIMIT 1 OFFSET ?7";
    LIST = "SELECT a.at, a.node, a.counter, a.action, a.actor, a.subject, a.client, a.detail,
            a.request, l.link
        FROM audit a LEFT JOIN audit_link l ON l.node = a.node AND l.counter = a.counter
        WHERE (a.at, a.node, a.counter) > (?1, ?2, ?3)
            AND (a.at, a.node, a.counter) <= (?4, ?5, ?6)
            AND a.at >= ?1 AND a.at <= ?4
            AND (CAST(?7 AS TEXT) IS NULL OR a.action = ?7)
            AND (CAST(?8 AS TEXT) IS NULL OR a.actor = ?8)
            AND (CAST(?9 AS TEXT) IS NULL OR a.subject = ?9)
            AND (CAST(?10 AS TEXT) IS NULL OR a.client = ?10)
            AND (CAST(?11 AS TEXT) IS NULL OR a.request = ?11)
        ORDER BY a.at, a.node, a.counter LIMIT ?12";
}

/// Reads audit rows, oldest first. Whoever goes on from `next` until there is
/// none has seen every row that matches, once.
#[derive(Clone, Debug)]
pub struct ListAudit {
    /// The last row that was looked at.
    pub after: Option<AuditPlace>,
    /// At most how many.
    pub limit: u32,
    /// Which.
    pub filter: AuditFilter,
}

impl Act for ListAudit {
    type Out = AuditPage;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<AuditPage, Fault> {
        let filter = &self.filter;
        let since = filter.since.map(AuditPlace::before_all_at);
        let after = self.after.max(since).unwrap_or(AuditPlace::FIRST);
        let until = filter
            .until
            .map_or(AuditPlace::LAST, AuditPlace::before_all_at);
        let part = match filter.leaves_out() {
            true => PART,
            // Every row is one of the page.
            false => self.limit.clamp(1, PART),
        };
        let binds = binds![
            after.at,
            after.node,
            after.counter,
            until.at,
            until.node,
            until.counter,
            part - 1,
        ];
        let end = tx.one(&END_OF_PART, binds).await?;
        let end = end.as_ref().map(place).transpose()?;
        // Where there is none, the rest is smaller than a part.
        let through = end.unwrap_or(until);
        let binds = binds![
            after.at,
            after.node,
            after.counter,
            through.at,
            through.node,
            through.counter,
            filter.action.as_deref(),
            filter.actor.as_deref(),
            filter.subject.as_deref(),
            filter.client.as_deref(),
            filter.request.as_deref(),
            self.limit,
        ];
        let entries = tx.all(&LIST, binds, read).await?;
        let is_full = entries.len() >= self.limit as usize;
        let next = match entries.last() {
            Some(last) if is_full => Some(last.place),
            _ => end,
        };
        Ok(AuditPage { entries, next })
    }
}

impl AuditPlace {
    const FIRST: Self = Self::before_all_at(Timestamp::from_millis(i64::MIN));
    const LAST: Self = Self {
        at: Timestamp::from_millis(i64::MAX),
        node: i64::MAX,
        counter: i64::MAX,
    };

    /// The place before every row of an instant: no counter is that small.
    const fn before_all_at(at: Timestamp) -> Self {
        Self {
            at,
            node: i64::MIN,
            counter: i64::MIN,
        }
    }
}

impl AuditFilter {
    /// Whether there may be rows between two times that it leaves out.
    fn leaves_out(&self) -> bool {
        let texts = [
            &self.action,
            &self.actor,
            &self.subject,
            &self.client,
            &self.request,
        ];
        texts.iter().any(|text| text.is_some())
    }
}

fn place(row: &Row) -> Result<AuditPlace, Fault> {
    Ok(AuditPlace {
        at: row.time(0)?,
        node: row.number(1)?,
        counter: row.number(2)?,
    })
}

fn read(row: &Row) -> Result<AuditEntry, Fault> {
    Ok(AuditEntry {
        place: place(row)?,
        action: row.string(3)?,
        actor: row.string(4)?,
        subject: row.string_or_none(5)?,
        client: row.string_or_none(6)?,
        detail: row.json(7)?,
        request: row.string(8)?,
        link: row.number_or_none(9)?,
    })
}
