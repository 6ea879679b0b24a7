//! The audit chain, read in its own order: records, links and anchors of one
//! snapshot.

use symbolon_protocol::Timestamp;
use symbolon_token::audit::{Anchor, LinkHash, Record};

use super::start;
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// Reads a part of the chain.
#[derive(Clone, Copy, Debug)]
pub struct ListAuditChain {
    /// The last link that was read; zero at first.
    pub after: i64,
    /// At most how many.
    pub limit: u32,
}

/// A part of the chain.
#[derive(Clone, Debug)]
pub struct AuditChain {
    /// Links, in order.
    pub rows: Vec<LinkedRow>,
    /// The anchors of these links, and of what comes after the last of them
    /// where no more links follow.
    pub anchors: Vec<Anchor>,
    /// What the chain begins after, where its beginning was let go.
    pub start: Option<Anchor>,
    /// The last link of all.
    pub head: ChainHead,
    /// Records that are there and that the chain passed by, where the part is
    /// the last: somebody else put them there.
    pub strays: Vec<(i64, i64)>,
}

/// The end of the chain, as the database has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The last link.
    pub link: i64,
    /// Its digest; nothing before the first.
    pub hash: Option<LinkHash>,
}

/// One link.
#[derive(Clone, Debug)]
pub struct LinkedRow {
    /// Its number.
    pub link: i64,
    /// Its digest, as it was stored.
    pub hash: LinkHash,
    /// The record; gone where somebody removed it.
    pub record: Option<Record>,
}

statements! {
    ROWS = "SELECT l.link, l.hash, l.node, l.counter, a.at, a.action, a.actor, a.subject,
            a.client, a.detail, a.request
        FROM audit_link l LEFT JOIN audit a ON a.node = l.node AND a.counter = l.counter
        WHERE l.link > ?1 ORDER BY l.link LIMIT ?2";
    ANCHORS = "SELECT link, hash, at, key, signature FROM audit_anchor
        WHERE link > ?1 AND link <= ?2 ORDER BY link";
    HEAD = "SELECT link, hash FROM audit_head WHERE one = 1";
    // The chain passed over no number of a process, and what was let go went with
    // its link.
    STRAYS = "SELECT n.node, (SELECT MIN(a.counter) FROM audit a WHERE a.node = n.node)
        FROM audit_node n
        WHERE (SELECT MIN(a.counter) FROM audit a WHERE a.node = n.node) <
            COALESCE((SELECT MIN(l.counter) FROM audit_link l WHERE l.node = n.node), n.next)
        ORDER BY n.node LIMIT 100";
}

impl Act for ListAuditChain {
    type Out = AuditChain;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<AuditChain, Fault> {
        let start = start::current(tx).await?;
        let first = start.as_ref().map_or(0, |start| start.link);
        let after = self.after.max(first);
        let rows = tx.all(&ROWS, binds![after, self.limit], read).await?;
        let last = rows.last().map(|row| row.link);
        let is_last = rows.len() < self.limit as usize;
        let until = match last {
            Some(last) if !is_last => last,
            _ => i64::MAX,
        };
        let binds = binds![after, until];
        let anchors = tx.all(&ANCHORS, binds, start::read).await?;
        let head = tx.one(&HEAD, &[]).await?;
        let head = head.ok_or_else(|| Fault::broken("the audit chain has no head"))?;
        let strays = if is_last {
            tx.all(&STRAYS, &[], |row| Ok((row.number(0)?, row.number(1)?)))
                .await?
        } else {
            Vec::new()
        };
        Ok(AuditChain {
            rows,
            anchors,
            start,
            head: ChainHead {
                link: head.number(0)?,
                hash: head.array_or_none(1)?,
            },
            strays,
        })
    }
}

fn read(row: &Row) -> Result<LinkedRow, Fault> {
    let link = row.number(0)?;
    let record = match row.number_or_none(4)? {
        None => None,
        Some(at) => Some(Record {
            link,
            node: row.number(2)?,
            counter: row.number(3)?,
            at: Timestamp::from_millis(at),
            action: row.string(5)?,
            actor: row.string(6)?,
            subject: row.string_or_none(7)?,
            client: row.string_or_none(8)?,
            detail: row.string(9)?,
            request: row.string(10)?,
        }),
    };
    Ok(LinkedRow {
        link,
        hash: row.array(1)?,
        record,
    })
}
