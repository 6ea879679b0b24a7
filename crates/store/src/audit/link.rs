//! Links committed audit rows into the chain and anchors its head.
//!
//! 1. The head is locked: of several nodes one links at a time.
//! 2. It is the one that was anchored last, and the chain below it is the one that
//!    whoever links saw, or nothing is linked: a signature must not vouch for what
//!    somebody wrote who has no key.
//! 3. Of each process that wrote lately, rows are taken in the order of its own
//!    numbers. At a number that is not there yet the process waits; past
//!    [`OPEN`], the number is entered as void, and an act that would still
//!    commit under it cannot.
//! 4. The rows of all processes are linked by time, as far as their numbers
//!    allow it, and the new head is signed.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use symbolon_protocol::{Timestamp, planted};
use symbolon_token::audit::{Anchor, GENESIS, LinkHash, Record};

use super::{VOID, WRITE, start};
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// How long an act may take between its number and its commit. What a database
/// lets an act take is less than a quarter of this.
const OPEN: Duration = Duration::from_secs(60);
/// How long after its last row a process is asked about every time.
const LATELY: Duration = Duration::from_secs(60 * 60);
/// Of the anchors of each hour the last one is kept.
const ANCHOR_MS: i64 = 60 * 60 * 1000;

/// Signs the head of the chain.
pub trait SignsAnchors: fmt::Debug + Send + Sync {
    /// The head, signed.
    fn anchor(&self, link: i64, hash: LinkHash, at: Timestamp) -> Anchor;

    /// Whether an anchor was signed by a key that counts.
    fn has_signed(&self, anchor: &Anchor) -> bool;
}

impl SignsAnchors for symbolon_token::Keyring {
    fn anchor(&self, link: i64, hash: LinkHash, at: Timestamp) -> Anchor {
        Self::anchor(self, link, hash, at)
    }

    fn has_signed(&self, anchor: &Anchor) -> bool {
        anchor.is_signed_by(&self.anchor_keys())
    }
}

/// Links what was committed, and signs the new head, where the head before is
/// the one that was anchored.
#[derive(Clone, Debug)]
pub struct LinkAudit {
    /// Signs.
    pub signer: Arc<dyn SignsAnchors>,
    /// The head that whoever links saw last: the chain never falls behind it, and
    /// never has another digest there.
    pub seen: Option<Head>,
    /// Whether processes are looked for that never linked a row.
    pub discover: bool,
    /// At most how many rows.
    pub limit: u32,
    /// The time.
    pub now: Timestamp,
}

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last link.
    pub link: i64,
    /// Its digest.
    pub hash: LinkHash,
    /// The epoch: a restored store has another chain.
    pub epoch: i64,
}

impl Head {
    /// Whether another head cannot have come after this one.
    fn is_past(&self, other: &Self) -> bool {
        let is_other = self.link == other.link && self.hash != other.hash;
        self.epoch == other.epoch && (other.link < self.link || is_other)
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// All that waited was linked, or as much as one turn takes.
    Done(Linked),
    /// The head, whose number this is, is not what was anchored last, none of the
    /// signer's keys signed it, or it does not follow from what was seen: nothing
    /// was linked.
    Unanchored(i64),
}

/// What was linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked {
    /// How many rows.
    pub rows: u32,
    /// How many numbers were entered as void.
    pub void: u32,
    /// The last link.
    pub head: i64,
    /// Its digest.
    pub hash: LinkHash,
    /// The digest that the first of them follows from.
    pub before: LinkHash,
    /// Who vouched for that.
    pub held: Held,
    /// The epoch: a restored store has another chain.
    pub epoch: i64,
}

/// Who vouches for the head that the chain goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A key that counts, or there was no chain yet.
    Signed,
    /// A key that was distrusted since: whoever links saw that very head itself,
    /// or has seen nothing yet, and then nobody can tell any more.
    Distrusted,
}

/// Whether a process that wrote lately has rows that are not linked.
#[derive(Clone, Copy, Debug)]
pub struct UnlinkedAudit {
    /// The time.
    pub now: Timestamp,
}

statements! {
    // A row that was put before the first of its process counts, too.
    DISCOVER = "WITH RECURSIVE each_node (node) AS (
            SELECT MIN(node) FROM audit
            UNION ALL SELECT (SELECT MIN(a.node) FROM audit a WHERE a.node > e.node)
            FROM each_node e WHERE e.node IS NOT NULL)
        INSERT INTO audit_node (node, next, seen)
        SELECT e.node, {least}(0, (SELECT MIN(a.counter) FROM audit a WHERE a.node = e.node)), ?1
        FROM each_node e LEFT JOIN audit_node n ON n.node = e.node
        WHERE e.node IS NOT NULL AND EXISTS (SELECT 1 FROM audit a
            WHERE a.node = e.node AND (n.node IS NULL OR a.counter >= n.next))
        ON CONFLICT (node) DO UPDATE SET seen = excluded.seen";
    LOCK = "SELECT f.link, f.hash, h.epoch FROM audit_head f JOIN feed_head h ON h.one = 1
        WHERE f.one = 1 {for_update_f}";
    // By the hour, because the last is nearly always in one of the last two.
    NEWEST = "SELECT link, hash, at, key, signature FROM audit_anchor
        WHERE hour >= ?1 ORDER BY link DESC, hour DESC LIMIT 1";
    BEGUN = "SELECT 1 FROM audit_start LIMIT 1";
    AT = "SELECT hash FROM audit_link WHERE link = ?1";
    DISTRUSTED = "SELECT 1 FROM working_key
        WHERE id = ?1 AND purpose = 'audit' AND state = 'distrusted'";
    NODES = "SELECT node, next FROM audit_node WHERE seen >= ?1 ORDER BY node";
    ROWS = "SELECT node, counter, at, action, actor, subject, client, detail, request
        FROM audit WHERE node = ?1 AND counter >= ?2 ORDER BY counter LIMIT ?3";
    WAITING = "SELECT 1 FROM audit_node n WHERE n.seen >= ?1 AND EXISTS
            (SELECT 1 FROM audit a WHERE a.node = n.node AND a.counter >= n.next) LIMIT 1";
    LINK = "INSERT INTO audit_link (link, node, counter, hash) VALUES (?1, ?2, ?3, ?4)";
    REACHED = "UPDATE audit_node SET next = ?2, seen = {greatest}(seen, ?3) WHERE node = ?1";
    HEAD = "UPDATE audit_head SET link = ?1, hash = ?2 WHERE one = 1";
    ANCHOR = "INSERT INTO audit_anchor (hour, link, hash, at, key, signature)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (hour) DO UPDATE SET link = excluded.link, hash = excluded.hash,
            at = excluded.at, key = excluded.key, signature = excluded.signature";
}

impl Act for UnlinkedAudit {
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let lately = self.now - LATELY;
        Ok(tx.one(&WAITING, binds![lately]).await?.is_some())
    }
}

impl Act for LinkAudit {
    type Out = Linking;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Linking, Fault> {
        let head = tx.one(&LOCK, &[]).await?;
        let head = head.ok_or_else(|| Fault::broken("the audit chain has no head"))?;
        let (link, hash) = (head.number(0)?, head.array_or_none(1)?.unwrap_or(GENESIS));
        let epoch = head.number(2)?;
        let own = Head { link, hash, epoch };
        if !self.is_as_seen(tx, &own).await? {
            return Ok(Linking::Unanchored(link));
        }
        let Some(held) = self.held(tx, &own).await? else {
            return Ok(Linking::Unanchored(link));
        };
        let mut linked = Linked {
            rows: 0,
            void: 0,
            head: link,
            hash,
            before: hash,
            held,
            epoch,
        };
        if self.discover {
            tx.run(&DISCOVER, binds![self.now]).await?;
        }
        let lately = binds![self.now - LATELY];
        let read_node = |row: &Row| Ok((row.number(0)?, row.number(1)?));
        let nodes = tx.all(&NODES, lately, read_node).await?;
        let mut queues = Vec::new();
        for (node, next) in nodes {
            let queue = self.ready(tx, node, next, &mut linked).await?;
            if !queue.is_empty() {
                queues.push(queue);
            }
        }
        self.enter(tx, queues, &mut linked).await?;
        // Budgets count what requests write; this is nobody's request.
        tx.wrote = false;
        Ok(Linking::Done(linked))
    }
}

impl LinkAudit {
    /// Whether the chain still has what was seen of it. Every later digest
    /// depends on that one: what follows from it follows from all before it.
    ///
    /// Whoever writes the database may make the chain anew up to a head that
    /// nobody has seen yet.
    async fn is_as_seen(&self, tx: &mut Tx<'_>, own: &Head) -> Result<bool, Fault> {
        let Some(seen) = self.seen.filter(|seen| seen.epoch == own.epoch) else {
            return Ok(true);
        };
        if seen.is_past(own) {
            return Ok(false);
        }
        if seen.link == 0 || seen.link == own.link {
            return Ok(true);
        }
        if let Some(row) = tx.one(&AT, binds![seen.link]).await? {
            return Ok(row.bytes(0)? == seen.hash.as_slice());
        }
        // It is gone, rightly where a start of the trail is no earlier.
        let Some(start) = start::current(tx).await? else {
            return Ok(false);
        };
        let is_let_go =
            seen.link < start.link || (seen.link, seen.hash) == (start.link, start.hash);
        Ok(is_let_go && self.signer.has_signed(&start))
    }

    /// Who vouches for the head: each is anchored by whoever makes it, so the
    /// newest anchor names it, and there is none where nothing was linked yet.
    ///
    /// Whoever writes the database can call any key distrusted, and begin
    /// another epoch. So only who has seen nothing believes either.
    async fn held(&self, tx: &mut Tx<'_>, own: &Head) -> Result<Option<Held>, Fault> {
        let head = (own.link, own.hash);
        let mut newest = None;
        for since in [hour(self.now) - 1, i64::MIN] {
            let row = tx.one(&NEWEST, binds![since]).await?;
            newest = row.as_ref().map(start::read).transpose()?;
            if newest.as_ref().is_some_and(|found| found.link == head.0) {
                break;
            }
        }
        let Some(anchor) = newest else {
            // A trail that begins later has been linked before, and so has one of
            // which a link was seen.
            let is_new = head == (0, GENESIS)
                && self.seen.is_none_or(|seen| seen.link == 0)
                && tx.one(&BEGUN, &[]).await?.is_none();
            return Ok(is_new.then_some(Held::Signed));
        };
        if (anchor.link, anchor.hash) != head {
            return Ok(None);
        }
        if self.signer.has_signed(&anchor) {
            return Ok(Some(Held::Signed));
        }
        if self.seen.is_some_and(|seen| seen != *own) {
            // Who did see this head goes on from it, and anchors it anew.
            return Ok(None);
        }
        let distrusted = tx.one(&DISTRUSTED, binds![&anchor.key]).await?;
        Ok(distrusted.map(|_| Held::Distrusted))
    }

    /// The rows of a process that follow each other without a gap.
    async fn ready(
        &self,
        tx: &mut Tx<'_>,
        node: i64,
        mut next: i64,
        linked: &mut Linked,
    ) -> Result<VecDeque<Record>, Fault> {
        let rows = tx.all(&ROWS, binds![node, next, self.limit], read).await?;
        let mut ready = VecDeque::new();
        for row in rows {
            while next < row.counter && is_over(row.at, self.now) {
                ready.push_back(self.void(tx, node, next).await?);
                linked.void += 1;
                next += 1;
                if ready.len() >= self.limit as usize {
                    return Ok(ready);
                }
            }
            if row.counter != next {
                break;
            }
            next += 1;
            ready.push_back(row);
        }
        Ok(ready)
    }

    /// Enters a number that no act committed under. Where one is about to, this
    /// waits for it; where one has just done so, all of this is run again.
    async fn void(&self, tx: &mut Tx<'_>, node: i64, counter: i64) -> Result<Record, Fault> {
        let record = Record {
            link: 0,
            node,
            counter,
            at: self.now,
            action: VOID.to_owned(),
            actor: "system".to_owned(),
            subject: None,
            client: None,
            detail: "{}".to_owned(),
            request: String::new(),
        };
        let nobody: Option<&str> = None;
        let binds = binds![
            node,
            counter,
            record.at,
            &record.action,
            &record.actor,
            nobody,
            nobody,
            &record.detail,
            &record.request,
        ];
        if tx.run(&WRITE, binds).await? == 0 {
            return Err(Fault::retry("an audit row came late"));
        }
        Ok(record)
    }

    /// Links the rows: always the oldest of those that are first of their
    /// process.
    async fn enter(
        &self,
        tx: &mut Tx<'_>,
        mut queues: Vec<VecDeque<Record>>,
        linked: &mut Linked,
    ) -> Result<(), Fault> {
        let (mut reached, mut newest) = (BTreeMap::new(), self.now);
        while linked.rows < self.limit {
            let oldest = queues
                .iter_mut()
                .filter(|queue| !queue.is_empty())
                .min_by_key(|queue| queue.front().map(|row| (row.at, row.node)));
            let take = if planted(24) {
                VecDeque::pop_back
            } else {
                VecDeque::pop_front
            };
            let Some(mut row) = oldest.and_then(take) else {
                break;
            };
            row.link = linked.head + 1;
            newest = newest.max(row.at);
            let hash = row.hash(&linked.hash);
            let binds = binds![row.link, row.node, row.counter, &hash];
            tx.run(&LINK, binds).await?;
            reached.insert(row.node, row.counter + 1);
            (linked.head, linked.hash) = (row.link, hash);
            linked.rows += 1;
        }
        for (node, next) in reached {
            tx.run(&REACHED, binds![node, next, self.now]).await?;
        }
        // Only who saw a head that a distrusted key signed may vouch for it: until it
        // has, the others stand still, also where nothing is written.
        let vouches = linked.held == Held::Distrusted && self.seen.is_some();
        if linked.rows == 0 && !vouches {
            return Ok(());
        }
        let (link, hash) = (linked.head, linked.hash);
        tx.run(&HEAD, binds![link, &hash]).await?;
        // What was written while this was prepared is no later than its anchor.
        let anchor = self.signer.anchor(link, hash, newest);
        let binds = binds![
            hour(anchor.at),
            link,
            &hash,
            anchor.at,
            &anchor.key,
            &anchor.signature
        ];
        tx.run(&ANCHOR, binds).await?;
        Ok(())
    }
}

/// The hour of which an anchor is.
fn hour(at: Timestamp) -> i64 {
    at.millis().div_euclid(ANCHOR_MS)
}

/// Whether an act that took its number before a row was written is over.
fn is_over(row: Timestamp, now: Timestamp) -> bool {
    now.since(row) >= OPEN
}

fn read(row: &Row) -> Result<Record, Fault> {
    Ok(Record {
        link: 0,
        node: row.number(0)?,
        counter: row.number(1)?,
        at: row.time(2)?,
        action: row.string(3)?,
        actor: row.string(4)?,
        subject: row.string_or_none(5)?,
        client: row.string_or_none(6)?,
        detail: row.string(7)?,
        request: row.string(8)?,
    })
}
