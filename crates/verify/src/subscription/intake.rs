//! Judges a stream of the feed, event by event. Records are set aside until a
//! head has come that vouches for them; what a server claims that it may not
//! ends the stream, and nothing that was held before is touched.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use symbolon_protocol::{Timestamp, planted};
use symbolon_token::feed::{Event, Head, InvalidHead, Tally, Unpacked, Unreadable, unpack};
use symbolon_token::jose::KeySet;
use symbolon_token::revocation::{Revocation, Target, public_name};
use symbolon_token::{Position, RevocationSet};

/// How many records are held at most: some 130 MB.
const MAX_RECORDS: u64 = 4_000_000;
/// How long the id of an event may be.
const MAX_PLACE: usize = 64;
/// What the feed calls the keys that sign it, before their names.
const KEY_PREFIX: &str = "feed:";

/// Why a stream is not believed. `code` is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// It is no stream of events as the feed writes them.
    Unreadable(Unreadable),
    /// An event comes where it may not, or is not what it says.
    Malformed,
    /// A head is not signed by a key of the feed.
    Head(InvalidHead),
    /// A head is of another issuer, for another reader, or of another stream.
    Foreign,
    /// A head tells of less than was known already.
    Older,
    /// Records are missing, or others than the head vouches for.
    Records,
    /// There are more records than are held.
    TooMany,
}

impl Lie {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Unreadable(_) => "stream_unreadable",
            Self::Malformed => "event_malformed",
            Self::Head(_) => "head_not_signed",
            Self::Foreign => "head_of_another_stream",
            Self::Older => "head_older",
            Self::Records => "records_differ",
            Self::TooMany => "records_too_many",
        }
    }
}

impl From<Unreadable> for Lie {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

/// What a head of this stream has to say.
pub(super) struct Expected {
    pub(super) issuer: String,
    pub(super) reader: String,
    pub(super) nonce: String,
    pub(super) keys: KeySet,
    /// Where the verifier was, where it was anywhere.
    pub(super) held: Option<Position>,
}

/// What a head vouched for.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) news: News,
    pub(super) position: Position,
    /// How long after the stream was asked for the head was made, at least.
    pub(super) elapsed: Duration,
    /// What time the server says it was then.
    pub(super) time: Timestamp,
    /// For how long before that the server had not asked its database.
    pub(super) stale: Duration,
    /// Where to go on from.
    pub(super) place: Option<String>,
}

#[derive(Debug)]
pub(super) enum News {
    /// All there is.
    Snapshot(RevocationSet),
    /// What was added.
    Records(Vec<Revocation>),
}

/// What begins a stream.
#[derive(Deserialize)]
struct Begin {
    epoch: i64,
    after: i64,
    snapshot: bool,
}

/// Records that nobody has vouched for yet.
enum Aside {
    Snapshot(Box<RevocationSet>),
    Records(Vec<Revocation>),
}

/// A stream that has begun.
struct Begun {
    epoch: i64,
    /// The sequence of the last head.
    after: i64,
    /// For how long the stream had lasted then.
    elapsed: u64,
    aside: Aside,
    tally: Tally,
    /// The smallest and the largest sequence set aside.
    range: Option<(i64, i64)>,
}

/// One stream.
pub(super) struct Intake {
    expected: Expected,
    begun: Option<Begun>,
    is_distrusted: Box<dyn Fn(u64) -> bool + Send + Sync>,
}

impl Intake {
    /// `is_distrusted` says whether a key of a mark was taken back.
    pub(super) fn new(
        expected: Expected,
        is_distrusted: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            expected,
            begun: None,
            is_distrusted: Box::new(is_distrusted),
        }
    }

    /// Takes an event in; answers what it settles.
    pub(super) fn take(&mut self, event: Event) -> Result<Option<Taken>, Lie> {
        match &*event.name {
            "begin" => self.begin(&event.data).map(|()| None),
            "records" => self.set_aside(&event.data).map(|()| None),
            "head" => self.settle(event).map(Some),
            // A later version may say more.
            _ => Ok(None),
        }
    }

    fn begin(&mut self, data: &str) -> Result<(), Lie> {
        let begin: Begin = serde_json::from_str(data).map_err(|_| Lie::Malformed)?;
        if self.begun.is_some() || begin.epoch < 0 || begin.after < 0 {
            return Err(Lie::Malformed);
        }
        let own = Position {
            epoch: begin.epoch,
            sequence: begin.after,
        };
        let held = self.expected.held;
        let aside = match (begin.snapshot, held) {
            // A restore counts epochs up; an older one is a server of the past.
            (true, Some(held)) if begin.epoch < held.epoch => return Err(Lie::Older),
            (true, _) if begin.after != 0 => return Err(Lie::Malformed),
            (true, _) => Aside::Snapshot(Box::new(RevocationSet::new(own))),
            (false, Some(held)) if held == own => Aside::Records(Vec::new()),
            (false, _) => return Err(Lie::Records),
        };
        self.begun = Some(Begun {
            epoch: begin.epoch,
            after: begin.after,
            elapsed: 0,
            aside,
            tally: Tally::default(),
            range: None,
        });
        Ok(())
    }

    fn set_aside(&mut self, data: &str) -> Result<(), Lie> {
        let begun = self.begun.as_mut().ok_or(Lie::Malformed)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(data);
        let bytes = bytes.map_err(|_| Lie::Malformed)?;
        begun.tally.add(&bytes);
        if begun.tally.count() > MAX_RECORDS {
            return Err(Lie::TooMany);
        }
        for record in unpack(&bytes).ok_or(Lie::Malformed)? {
            let sequence = record.sequence();
            let (first, last) = begun.range.unwrap_or((sequence, sequence));
            begun.range = Some((first.min(sequence), last.max(sequence)));
            let Unpacked::Known(record) = record else {
                continue;
            };
            match &mut begun.aside {
                Aside::Snapshot(set) => set.apply(record),
                Aside::Records(records) => records.push(record),
            }
        }
        Ok(())
    }

    fn settle(&mut self, event: Event) -> Result<Taken, Lie> {
        let Self {
            expected, begun, ..
        } = self;
        let begun = begun.as_mut().ok_or(Lie::Malformed)?;
        let head = Head::verify(&event.data, &expected.keys).map_err(Lie::Head)?;
        let is_ours = head.issuer == expected.issuer
            && head.reader == expected.reader
            && (head.nonce == expected.nonce || planted(34));
        if !is_ours || is_by_distrusted(&event.data, &*self.is_distrusted) {
            return Err(Lie::Foreign);
        }
        let is_snapshot = matches!(begun.aside, Aside::Snapshot(_));
        let follows = head.epoch == begun.epoch
            && head.after == begun.after
            && head.snapshot == is_snapshot
            && head.is_of(begun.tally.take());
        let range = begun.range.take();
        let fits = range.is_none_or(|(first, last)| first > begun.after && last <= head.sequence);
        if !follows || !fits {
            return Err(Lie::Records);
        }
        let held = expected.held.filter(|held| held.epoch == head.epoch);
        let known = held.map_or(begun.after, |held| held.sequence.max(begun.after));
        if head.sequence < known && !planted(35) || head.elapsed < begun.elapsed {
            return Err(Lie::Older);
        }
        (begun.after, begun.elapsed) = (head.sequence, head.elapsed);
        expected.held = Some(head.position());
        let aside = std::mem::replace(&mut begun.aside, Aside::Records(Vec::new()));
        Ok(Taken {
            news: match aside {
                Aside::Snapshot(mut set) => {
                    set.advance(head.sequence);
                    News::Snapshot(*set)
                }
                Aside::Records(records) => News::Records(records),
            },
            position: head.position(),
            elapsed: Duration::from_millis(head.elapsed),
            time: Timestamp::from_seconds(head.time.clamp(0, Timestamp::FAR.seconds())),
            stale: Duration::from_millis(head.stale),
            place: event.id.filter(|id| is_place(id)),
        })
    }
}

/// Whether a head is signed by a key that was taken back meanwhile.
fn is_by_distrusted(head: &str, is_distrusted: &dyn Fn(u64) -> bool) -> bool {
    let kid = symbolon_token::jose::Unverified::parse(head);
    let kid = kid.as_ref().ok().and_then(|own| own.claimed_kid());
    kid.is_none_or(|kid| is_distrusted(public_name(Target::Key, format_args!("{KEY_PREFIX}{kid}"))))
}

/// Whether a text may be sent back as a place.
fn is_place(id: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !id.is_empty() && id.len() <= MAX_PLACE && id.bytes().all(is_plain)
}
