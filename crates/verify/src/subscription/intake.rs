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

use crate::revocations::Revocations;

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
    /// What is held.
    revocations: Revocations,
    /// How many records that may be.
    most: u64,
}

impl Intake {
    /// `revocations` is what the stream adds to, or takes the place of.
    pub(super) fn new(expected: Expected, revocations: Revocations) -> Self {
        Self {
            expected,
            begun: None,
            revocations,
            most: MAX_RECORDS,
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
        // What is held stays, unless a snapshot takes its place.
        let held = match begun.aside {
            Aside::Snapshot(_) => 0,
            Aside::Records(_) => self.revocations.len() as u64,
        };
        if held + begun.tally.count() > self.most {
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
        if !is_ours || is_by_distrusted(&event.data, &self.revocations) {
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
fn is_by_distrusted(head: &str, revocations: &Revocations) -> bool {
    let kid = symbolon_token::jose::Unverified::parse(head);
    let kid = kid.as_ref().ok().and_then(|own| own.claimed_kid());
    kid.is_none_or(|kid| {
        revocations.names_key(public_name(Target::Key, format_args!("{KEY_PREFIX}{kid}")))
    })
}

/// Whether a text may be sent back as a place.
fn is_place(id: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !id.is_empty() && id.len() <= MAX_PLACE && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use symbolon_protocol::SigningAlgorithm;
    use symbolon_token::feed::pack;
    use symbolon_token::jose::SigningKey;

    use super::*;

    /// A stream, and what a verifier holds that reads it.
    struct Stream {
        key: SigningKey,
        intake: Intake,
        revocations: Revocations,
        /// The sequence of the last head.
        after: i64,
    }

    fn event(name: &str, data: String) -> Event {
        Event {
            name: name.to_owned(),
            data,
            id: None,
        }
    }

    impl Stream {
        /// One that begins with a snapshot, where so many records are held at most.
        fn of_at_most(most: u64) -> Self {
            let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
            let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
            let keys = json!({ "keys": [key.public_jwk()] }).to_string();
            let expected = Expected {
                issuer: "https://as.example".to_owned(),
                reader: "orders".to_owned(),
                nonce: "n".to_owned(),
                keys: KeySet::parse(keys.as_bytes()).unwrap(),
                held: None,
            };
            let revocations = Revocations::default();
            let mut intake = Intake::new(expected, revocations.clone());
            intake.most = most;
            let begin = json!({ "epoch": 1, "after": 0, "snapshot": true });
            intake.take(event("begin", begin.to_string())).unwrap();
            Self {
                key,
                intake,
                revocations,
                after: 0,
            }
        }

        /// Brings so many records more, and the head that vouches for them.
        fn brings(&mut self, count: i64) -> Result<(), Lie> {
            let (mut packed, last) = (Vec::new(), self.after + count);
            for sequence in self.after + 1..=last {
                let record = Revocation {
                    sequence,
                    target: Target::Token,
                    name: sequence.unsigned_abs(),
                    expires: Timestamp::from_seconds(2_000_000_000),
                };
                pack(&record, &mut packed);
            }
            let data = BASE64_URL_SAFE_NO_PAD.encode(&packed);
            self.intake.take(event("records", data))?;
            let mut tally = Tally::default();
            tally.add(&packed);
            let head = Head {
                issuer: "https://as.example".to_owned(),
                reader: "orders".to_owned(),
                time: 0,
                nonce: "n".to_owned(),
                epoch: 1,
                sequence: last,
                after: self.after,
                snapshot: self.after == 0,
                records: 0,
                sha256: String::new(),
                elapsed: 0,
                stale: 0,
            };
            let head = head.over(tally.take()).sign(&self.key);
            let taken = self.intake.take(event("head", head))?.unwrap();
            match taken.news {
                News::Snapshot(set) => self.revocations.replace(set),
                News::Records(records) => self.revocations.extend(records, last),
            }
            self.after = last;
            Ok(())
        }
    }

    #[test]
    fn a_stream_brings_no_more_than_is_held_at_most_however_many_heads_it_has() {
        let mut stream = Stream::of_at_most(5);
        for count in [2, 2, 1] {
            assert_eq!(stream.brings(count), Ok(()));
        }

        assert_eq!(stream.brings(1), Err(Lie::TooMany));

        assert_eq!(stream.revocations.len(), 5, "what was held stays");
        assert_eq!(Stream::of_at_most(5).brings(6), Err(Lie::TooMany));
    }

    #[test]
    fn what_can_hit_nothing_any_more_makes_room() {
        let mut stream = Stream::of_at_most(5);
        assert_eq!(stream.brings(5), Ok(()));

        stream.revocations.purge(Timestamp::FAR);

        assert_eq!(stream.brings(5), Ok(()));
    }
}
