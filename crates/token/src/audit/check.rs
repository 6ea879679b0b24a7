//! Reads a chain from one end to the other and says where it breaks.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Anchor, AnchorKey, FORGET, GENESIS, LinkHash, Record};

/// Where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Links are missing: the first and the last of them.
    Missing(i64, i64),
    /// The contents of a record are gone, its link is not.
    Emptied(i64),
    /// A link does not follow from the one before it and its record: one of
    /// the two records was changed.
    Broken(i64),
    /// A link comes a second time, or too late.
    OutOfOrder(i64),
    /// A process's records do not follow each other: the link, and the number
    /// that was due.
    Skipped(i64, i64),
    /// An anchor that none of the keys signed.
    Forged(i64),
    /// An anchor names another digest than the chain has at this link.
    OtherHistory(i64),
    /// The chain ends before a link that was anchored.
    CutShort(i64),
    /// Links after the last anchor: nobody who has the key put them there.
    Unanchored(i64),
    /// The chain begins after this link, and no record in it says why.
    Unexplained(i64),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(first, last) if first == last => {
                write!(f, "record {first} was removed")
            }
            Self::Missing(first, last) => write!(f, "records {first} to {last} were removed"),
            Self::Emptied(link) => write!(f, "the contents of record {link} were removed"),
            Self::Broken(link) => write!(
                f,
                "record {link} does not follow from record {}: one of the two was changed",
                link - 1
            ),
            Self::OutOfOrder(link) => write!(f, "record {link} stands in another place"),
            Self::Skipped(link, due) => write!(
                f,
                "record {link} does not follow the one before it of its process, whose next number is {due}"
            ),
            Self::Forged(link) => write!(f, "the anchor at record {link} has a wrong signature"),
            Self::OtherHistory(link) => write!(
                f,
                "the chain up to record {link} is not the one that was anchored"
            ),
            Self::CutShort(link) => write!(
                f,
                "the chain was cut: record {link} was anchored and is not there"
            ),
            Self::Unanchored(link) => {
                write!(f, "record {link} and those after it were put in: no anchor")
            }
            Self::Unexplained(link) => write!(
                f,
                "the records up to {link} were removed, and no record of the chain tells of it"
            ),
        }
    }
}

/// A chain on its way through: give it every record in order, and each anchor
/// before the record that it names or right after it; then ask.
#[derive(Debug)]
pub struct ChainCheck {
    keys: Vec<AnchorKey>,
    last: i64,
    before: Option<LinkHash>,
    counters: BTreeMap<i64, i64>,
    is_whole: bool,
    /// What anchors say of links that are still to come.
    awaited: BTreeMap<i64, Vec<LinkHash>>,
    anchored: i64,
    records: u64,
    /// The start that a record has to tell of.
    unexplained: Option<i64>,
    flaws: Vec<Flaw>,
}

impl ChainCheck {
    /// A check of the whole chain, or of what follows a link whose digest is
    /// known from before.
    pub fn new(keys: Vec<AnchorKey>, after: Option<(i64, LinkHash)>) -> Self {
        let (last, before) = after.unwrap_or((0, GENESIS));
        Self {
            keys,
            last,
            before: Some(before),
            counters: BTreeMap::new(),
            is_whole: last == 0,
            awaited: BTreeMap::new(),
            anchored: last,
            records: 0,
            unexplained: None,
            flaws: Vec::new(),
        }
    }

    /// A check of what was kept of a chain: from its start on, which is an
    /// anchor, and of which a record in the chain itself has to tell.
    pub fn since(keys: Vec<AnchorKey>, start: &Anchor) -> Self {
        let mut check = Self::new(keys, Some((start.link, start.hash)));
        if !start.is_signed_by(&check.keys) {
            check.flaw(Flaw::Forged(start.link));
        }
        check.unexplained = Some(start.link);
        check
    }

    /// Takes the next record, with the digest that was stored for it.
    pub fn record(&mut self, record: &Record, stored: &LinkHash) {
        if self.arrive(record.link, stored) {
            if self.unexplained.is_some() && self.unexplained == through(record) {
                self.unexplained = None;
            }
            let due = self.counters.insert(record.node, record.counter + 1);
            let due = due.or_else(|| self.is_whole.then_some(record.counter.min(0)));
            if due.is_some_and(|due| due != record.counter) {
                self.flaw(Flaw::Skipped(record.link, due.unwrap_or_default()));
            }
            let broken = self
                .before
                .is_some_and(|before| record.hash(&before) != *stored);
            if broken {
                self.flaw(Flaw::Broken(record.link));
            }
            self.before = Some(*stored);
        }
    }

    /// Takes the next link, whose record is gone.
    pub fn emptied(&mut self, link: i64, stored: &LinkHash) {
        if self.arrive(link, stored) {
            self.flaw(Flaw::Emptied(link));
            self.before = Some(*stored);
        }
    }

    /// Whether a link is in its place, or at least after what came before.
    fn arrive(&mut self, link: i64, stored: &LinkHash) -> bool {
        self.records += 1;
        if link <= self.last {
            self.flaw(Flaw::OutOfOrder(link));
            return false;
        }
        if link > self.last + 1 {
            self.flaw(Flaw::Missing(self.last + 1, link - 1));
            // What it follows from is not known.
            self.before = None;
        }
        let later = self.awaited.split_off(&(link + 1));
        let passed = std::mem::replace(&mut self.awaited, later);
        let here = passed.get(&link).into_iter().flatten();
        for _ in here.filter(|hash| *hash != stored) {
            self.flaw(Flaw::OtherHistory(link));
        }
        self.last = link;
        true
    }

    /// Takes an anchor.
    pub fn anchor(&mut self, anchor: &Anchor) {
        if !anchor.is_signed_by(&self.keys) {
            self.flaw(Flaw::Forged(anchor.link));
            return;
        }
        self.anchored = self.anchored.max(anchor.link);
        self.expect(anchor.link, anchor.hash);
    }

    /// Takes what somebody noted of a link, earlier and elsewhere.
    pub fn expect(&mut self, link: i64, hash: LinkHash) {
        if link > self.last {
            self.awaited.entry(link).or_default().push(hash);
        } else if link == self.last && self.before.is_some_and(|own| own != hash) {
            self.flaw(Flaw::OtherHistory(link));
        }
    }

    /// How many records came.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The last link that came, and its digest.
    pub fn head(&self) -> (i64, Option<LinkHash>) {
        (self.last, self.before)
    }

    /// What was found. Past [`MAX_FLAWS`], no more are kept.
    pub fn finish(mut self) -> Vec<Flaw> {
        if let Some(link) = self.awaited.keys().next_back().copied() {
            self.flaw(Flaw::CutShort(link));
        }
        if let Some(link) = self.unexplained {
            self.flaw(Flaw::Unexplained(link));
        }
        if self.last > self.anchored {
            self.flaw(Flaw::Unanchored(self.anchored + 1));
        }
        self.flaws
    }

    fn flaw(&mut self, flaw: Flaw) {
        if self.flaws.len() < MAX_FLAWS {
            self.flaws.push(flaw);
        }
    }
}

/// The last link that was let go, where a record tells of that.
fn through(record: &Record) -> Option<i64> {
    let told = (record.action == FORGET).then_some(&record.detail)?;
    let detail: Value = serde_json::from_str(told).ok()?;
    detail.get("through")?.as_i64()
}

/// How many flaws are told: a chain that is another one throughout has many.
pub const MAX_FLAWS: usize = 100;
