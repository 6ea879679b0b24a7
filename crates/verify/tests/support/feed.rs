//! A revocation feed whose every event a test can choose.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::stream::poll_fn;
use serde_json::json;
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_token::Position;
use symbolon_token::feed::{Head, Tally, pack};
use symbolon_token::jose::SigningKey;
use symbolon_token::revocation::{Revocation, Target};
use symbolon_verify::{FeedState, Verifier};
use tokio::sync::{Mutex, mpsc};

/// How long a step may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The feed of a stub: its key, and the streams that verifiers open.
pub(crate) struct Feed {
    pub(crate) key: SigningKey,
    opened: Mutex<mpsc::UnboundedReceiver<Opened>>,
    to: mpsc::UnboundedSender<Opened>,
}

/// A stream that a verifier has opened.
pub(crate) struct Opened {
    pub(crate) nonce: String,
    /// Where the verifier says that it was.
    pub(crate) place: Option<String>,
    pub(crate) authorization: String,
    to: mpsc::UnboundedSender<Bytes>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let (to, opened) = mpsc::unbounded_channel();
        Self {
            key: super::key(SigningAlgorithm::Es256),
            opened: Mutex::new(opened),
            to,
        }
    }

    /// The next stream that is opened.
    pub(crate) async fn next(&self) -> Opened {
        let mut opened = self.opened.lock().await;
        let next = tokio::time::timeout(PATIENCE, opened.recv()).await;
        next.unwrap().unwrap()
    }
}

pub(crate) async fn answer(
    State(feed): State<Arc<Feed>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response<Body> {
    let (to, mut events) = mpsc::unbounded_channel();
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().unwrap();
        Some(value.to_owned())
    };
    let nonce = query.into_iter().find(|(name, _)| name == "nonce").unwrap();
    let opened = Opened {
        nonce: nonce.1,
        place: text("last-event-id"),
        authorization: text("authorization").unwrap(),
        to,
    };
    feed.to.send(opened).ok().unwrap();
    let events = poll_fn(move |cx| {
        let next = events.poll_recv(cx);
        next.map(|event| event.map(Ok::<Bytes, Infallible>))
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(events))
        .unwrap()
}

impl Opened {
    pub(crate) fn send(&self, text: &str) {
        // Whoever has gone is sent nothing.
        let _ = self.to.send(Bytes::from(text.to_owned()));
    }

    /// The beginning of a snapshot, or of what came after a place.
    pub(crate) fn begin(&self, epoch: i64, after: Option<i64>) {
        let begin = json!({
            "epoch": epoch, "after": after.unwrap_or(0), "snapshot": after.is_none(),
        });
        self.send(&format!("event: begin\ndata: {begin}\n\n"));
    }

    /// Records, of which the tally takes note.
    pub(crate) fn records(&self, records: &[Revocation], tally: &mut Tally) {
        let mut packed = Vec::new();
        records.iter().for_each(|own| pack(own, &mut packed));
        tally.add(&packed);
        let text = BASE64_URL_SAFE_NO_PAD.encode(packed);
        self.send(&format!("event: records\ndata: {text}\n\n"));
    }

    /// A signed head.
    pub(crate) fn head(&self, head: &Head, key: &SigningKey) {
        let (epoch, sequence) = (head.epoch, head.sequence);
        let text = head.sign(key);
        self.send(&format!(
            "event: head\nid: {epoch}.{sequence}.ab\ndata: {text}\n\n"
        ));
    }

    /// Waits until the verifier has closed the stream.
    pub(crate) async fn closed(&self) {
        tokio::time::timeout(PATIENCE, self.to.closed())
            .await
            .unwrap();
    }
}

/// What a good head of a stream says.
pub(crate) fn head(issuer: &super::Issuer, stream: &Opened, at: Position, after: i64) -> Head {
    Head {
        issuer: issuer.url.clone(),
        reader: "orders api".into(),
        time: 0,
        nonce: stream.nonce.clone(),
        epoch: at.epoch,
        sequence: at.sequence,
        after,
        snapshot: false,
        records: 0,
        sha256: String::new(),
        elapsed: 0,
        stale: 0,
    }
}

pub(crate) fn record(sequence: i64, target: Target, name: u64) -> Revocation {
    Revocation {
        sequence,
        target,
        name,
        expires: Timestamp::FAR,
    }
}

pub(crate) const fn at(sequence: i64) -> Position {
    Position { epoch: 1, sequence }
}

impl super::Issuer {
    /// A verifier that follows the feed.
    pub(crate) fn subscribed(&self) -> Verifier {
        self.asking().subscribe().unwrap()
    }

    /// Serves a whole snapshot on a new stream.
    pub(crate) async fn snapshot(&self, position: Position, records: &[Revocation]) -> Opened {
        let stream = self.feed().next().await;
        stream.begin(position.epoch, None);
        let mut tally = Tally::default();
        stream.records(records, &mut tally);
        let mut own = head(self, &stream, position, 0).over(tally.take());
        own.snapshot = true;
        stream.head(&own, &self.feed().key);
        stream
    }

    /// Sends records of a stream, and the head that vouches for them.
    pub(crate) fn adds(&self, stream: &Opened, after: i64, records: &[Revocation]) {
        let mut tally = Tally::default();
        stream.records(records, &mut tally);
        let last = records.last().map_or(after, |own| own.sequence);
        let own = head(self, stream, at(last), after).over(tally.take());
        stream.head(&own, &self.feed().key);
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.behaviour.feed
    }
}

/// Waits until what is known of the feed is as it should be.
pub(crate) async fn until(verifier: &Verifier, is_so: impl Fn(&FeedState) -> bool) -> FeedState {
    let reached = async {
        loop {
            let state = verifier.feed().unwrap();
            if is_so(&state) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, reached).await;
    assert!(waited.is_ok(), "{:?}", verifier.feed());
    waited.unwrap()
}
