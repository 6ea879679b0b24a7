//! One stream of the revocation feed: a snapshot or what came after a place,
//! then what comes, with a signed head after each batch and every second.
//!
//! Spec: WHATWG HTML §9.2.3, §9.2.5

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use symbolon_store::{APART, LoadFeedPage, Revocation};
use symbolon_token::feed::{Head, RECORD_BYTES, Tally};
use symbolon_token::{Position, random};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::body::{self, Events, event};
use super::{Place, Reader};
use crate::app::App;
use crate::authn::client::Standing;
use crate::cx::Cx;
use crate::failure::Broken;
use crate::feed::{MAX_STALENESS, Told};
use crate::lately::Since;

/// How often a head comes where nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a head waits for others, where several come one upon the other.
const GATHER: Duration = Duration::from_millis(50);
/// How long a reader may take to take what is sent.
const SLOW: Duration = Duration::from_secs(10);
/// How long a stream lasts: then its reader shows its credentials again, and
/// may come to another node.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How many records stand in one event.
const BATCH: usize = 4096;
/// How many records are read from the database at once.
const PAGE: u32 = 4096;
/// How many events wait for a reader.
const WAITING: usize = 4;

/// Where a reader says that it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Resumed {
    position: Position,
    tag: u64,
}

impl Resumed {
    /// Reads the id of an event; `None` where it is none of ours.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.splitn(3, '.');
        let mut number = || parts.next()?.parse::<i64>().ok().filter(|own| *own >= 0);
        let position = Position {
            epoch: number()?,
            sequence: number()?,
        };
        let tag = u64::from_str_radix(parts.next()?, 16).ok()?;
        Some(Self { position, tag })
    }

    fn id(&self) -> String {
        let Position { epoch, sequence } = self.position;
        format!("{epoch}.{sequence}.{:016x}", self.tag)
    }
}

/// What a reader asks for.
pub(crate) struct Opening {
    pub(crate) reader: Reader,
    /// What its credentials stand on.
    pub(crate) standing: Standing,
    pub(crate) place: Place,
    /// Comes back in every head.
    pub(crate) nonce: String,
    /// Where the reader was.
    pub(crate) resumed: Option<Resumed>,
}

impl Opening {
    /// What a stream would be answered with, without one.
    pub(crate) fn head_alone() -> Response {
        body::response(Body::empty())
    }

    /// Opens the stream.
    pub(crate) async fn open(self, cx: &Cx) -> Result<Response, Broken> {
        let from = self.from(cx).await?;
        let (to, events) = mpsc::channel(WAITING);
        let [jitter] = random(cx.entropy());
        let stream = Stream {
            app: Arc::clone(&cx.app),
            at: from.unwrap_or(Position {
                sequence: 0,
                ..cx.feed.position()
            }),
            is_snapshot: from.is_none(),
            opened: cx.edge.clock.monotonic(),
            lasts: LIFETIME - Duration::from_secs(u64::from(jitter) * 2),
            version: None,
            reader: self.reader,
            standing: self.standing,
            nonce: self.nonce,
            tally: Tally::default(),
            to,
        };
        let place = self.place;
        tokio::spawn(async move {
            // Whoever is gone, or too slow, is not told why.
            let _ = stream.run().await;
            drop(place);
        });
        Ok(body::response(Body::new(Events(events))))
    }

    /// The place to go on from; `None` where a snapshot has to come first: the
    /// place is of another epoch or another choice of records, or further than
    /// the database knows.
    async fn from(&self, cx: &Cx) -> Result<Option<Position>, Broken> {
        let Some(resumed) = self.resumed.filter(|own| own.tag == self.reader.tag()) else {
            return Ok(None);
        };
        // Another node may have told more than this one has read.
        if resumed.position > cx.feed.position() {
            cx.follow().await?;
        }
        let now = cx.feed.position();
        let is_ours = resumed.position.epoch == now.epoch && resumed.position <= now;
        Ok(is_ours.then_some(resumed.position))
    }
}

/// A stream that is open.
struct Stream {
    app: Arc<App>,
    reader: Reader,
    standing: Standing,
    nonce: String,
    /// Everything up to here was sent.
    at: Position,
    /// Whether no head was sent yet, and the first is of a snapshot.
    is_snapshot: bool,
    opened: Duration,
    lasts: Duration,
    /// Which clients and resources its right and the choice of records were
    /// found by.
    version: Option<i64>,
    /// The records since the last head.
    tally: Tally,
    to: mpsc::Sender<Bytes>,
}

impl Stream {
    /// Passes on until there is a reason to end: the reader is gone or slow,
    /// could not prove itself again as it did, may read other records than before,
    /// has read for long enough; the node ends, or knows too little.
    async fn run(mut self) -> Option<()> {
        let mut told = self.app.feed.listen();
        let begin = json!({
            "epoch": self.at.epoch,
            "after": self.at.sequence,
            "snapshot": self.is_snapshot,
        });
        self.send(event("begin", None, &begin.to_string())).await?;
        loop {
            // What is told from here on is news to what is read below.
            if *told.borrow_and_update() == Told::Over {
                return None;
            }
            self.check_right().await?;
            self.pass_on().await?;
            let sent = self.now();
            if sent.saturating_sub(self.opened) >= self.lasts {
                return None;
            }
            self.wait(&mut told).await?;
            let since = self.now().saturating_sub(sent);
            sleep(GATHER.saturating_sub(since)).await;
        }
    }

    fn now(&self) -> Duration {
        self.app.edge.clock.monotonic()
    }

    /// Waits for news, or for the next head's time.
    async fn wait(&self, told: &mut watch::Receiver<Told>) -> Option<()> {
        tokio::select! {
            () = self.to.closed() => None,
            news = timeout(HEARTBEAT, told.changed()) => match news {
                Ok(Err(_)) => None,
                Ok(Ok(())) | Err(_) => Some(()),
            },
        }
    }

    /// Ends where what the reader proved itself by is gone, and where it may read
    /// other records now: it has missed some.
    async fn check_right(&mut self) -> Option<()> {
        let version = Some(self.app.directory.version());
        if version != self.version {
            let client = self.reader.client();
            let stored = self.app.directory.find_client(client).await.ok()??;
            let reader = Reader::find(&self.app, client).await.ok()??;
            if !self.standing.is_in(&stored) || reader.tag() != self.reader.tag() {
                return None;
            }
            self.version = version;
        }
        let now = self.app.edge.clock.now();
        self.standing.lasts(&self.app, now).then_some(())
    }

    /// Sends what is new, and a head that vouches for it.
    async fn pass_on(&mut self) -> Option<()> {
        let now = self.now();
        // Asked first: what is read after it is no older.
        let stale = self.app.feed.age(now);
        if stale > MAX_STALENESS {
            return None;
        }
        let reaches = match self.app.feed.since(self.at) {
            Since::OtherEpoch => return None,
            Since::Known(records, reaches) => {
                self.records(records.iter().map(Arc::as_ref)).await?;
                reaches
            }
            Since::Further(head) => self.catch_up(head).await?,
        };
        let head = Head {
            issuer: self.app.settings().issuer.as_str().to_owned(),
            reader: self.reader.client().to_string(),
            time: self.app.edge.clock.now().seconds(),
            nonce: self.nonce.clone(),
            epoch: reaches.epoch,
            sequence: reaches.sequence,
            after: self.at.sequence,
            snapshot: self.is_snapshot,
            records: 0,
            sha256: String::new(),
            elapsed: millis(now.saturating_sub(self.opened)),
            stale: millis(stale),
        };
        let head = head.over(self.tally.take());
        let text = head.sign(&self.app.keys.load().feed.active);
        let tag = self.reader.tag();
        let id = Resumed {
            position: reaches,
            tag,
        }
        .id();
        self.send(event("head", Some(&id), &text)).await?;
        (self.at, self.is_snapshot) = (reaches, false);
        Some(())
    }

    /// Sends what is further back than the node remembers, page by page, and
    /// answers how far that reaches: to where the node had read before, at
    /// least.
    async fn catch_up(&mut self, head: Position) -> Option<Position> {
        let mut last = self.at.sequence;
        let app = Arc::clone(&self.app);
        loop {
            let page = {
                let _turn = app.readers.turns.acquire().await.ok()?;
                let page = LoadFeedPage {
                    after: last,
                    limit: PAGE,
                };
                app.store.read(page).await.ok()?
            };
            if page.head.epoch != self.at.epoch {
                return None;
            }
            self.records(page.revocations.iter()).await?;
            if let Some(record) = page.revocations.last() {
                last = record.position.sequence;
            }
            if page.revocations.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                let sequence = last.max(head.sequence);
                return Some(Position { sequence, ..head });
            }
        }
    }

    async fn records(&mut self, records: impl Iterator<Item = &Revocation>) -> Option<()> {
        let oldest = self.app.sure() - APART;
        let app = Arc::clone(&self.app);
        let mut packed = Vec::new();
        for record in records.filter(|own| own.expires > oldest) {
            self.reader.pack(record, app.feed.blinding(), &mut packed);
            if packed.len() >= BATCH * RECORD_BYTES {
                self.batch(&packed).await?;
                packed.clear();
            }
        }
        if packed.is_empty() {
            return Some(());
        }
        self.batch(&packed).await
    }

    async fn batch(&mut self, packed: &[u8]) -> Option<()> {
        self.tally.add(packed);
        let text = BASE64_URL_SAFE_NO_PAD.encode(packed);
        self.send(event("records", None, &text)).await
    }

    async fn send(&self, bytes: Bytes) -> Option<()> {
        timeout(SLOW, self.to.send(bytes)).await.ok()?.ok()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_event_reads_back_and_nothing_else_does() {
        let resumed = Resumed {
            position: Position {
                epoch: 3,
                sequence: 17,
            },
            tag: 0xab,
        };

        assert_eq!(resumed.id(), "3.17.00000000000000ab");
        assert_eq!(Resumed::parse(&resumed.id()), Some(resumed));
        for bad in [
            "",
            "3",
            "3.17",
            "-3.17.ab",
            "3.-1.ab",
            "3.17.x",
            "3.17.ab.c",
            "a.b.c",
        ] {
            assert_eq!(Resumed::parse(bad), None, "{bad}");
        }
    }
}
