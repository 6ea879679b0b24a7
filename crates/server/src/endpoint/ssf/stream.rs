//! The streams of a receiver: create, look, change, replace, delete.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.1

use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_store::{
    CreateStream, DeleteStream, SignalStream, StoredClient, StreamStatus, StreamsOf, UpdateStream,
};
use symbolon_token::random;

use super::{Right, audit, body, find, receiver, stream_id, written};
use crate::cx::Cx;
use crate::endpoint::bearer::with_nonce;
use crate::failure::{Broken, Failure, Refusal};
use crate::outbox::part;
use crate::received::Received;
use crate::respond;
use crate::streams::{self, StreamDocument, Wish};

/// Members that are this server's to say: whoever sends them has to agree.
const OURS: [&str; 7] = [
    "stream_id",
    "iss",
    "aud",
    "events_supported",
    "events_delivered",
    "min_verification_interval",
    "inactivity_timeout",
];

/// Answers `POST /ssf/streams`.
pub(crate) async fn create(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Manage).await?;
    let wish = Wish::read(&cx, &body(&received)?, None)?;
    let id = BASE64_URL_SAFE_NO_PAD.encode(random::<16>(cx.entropy()));
    let stream = SignalStream {
        status: StreamStatus::Enabled,
        fetches: wish.fetches,
        events: wish.document.bits(),
        document: wish.document.write(),
        secret: seal(&cx, &id, wish.shown.as_deref()),
        client: client.client.id.clone(),
        created: cx.now,
        updated: cx.now,
        id,
    };
    let act = CreateStream {
        stream: stream.clone(),
        audit: audit(&cx, &client, "stream.create", &stream.id),
        now: cx.now,
    };
    written(cx.store.act(act).await?)?;
    let shown = streams::shown(&cx, &stream, &wish.document);
    let response = respond::json(StatusCode::CREATED, &shown);
    Ok(with_nonce(&cx, &received, response))
}

/// What a receiver wants to be shown is a secret of its own.
fn seal(cx: &Cx, id: &str, shown: Option<&str>) -> Option<Vec<u8>> {
    shown.map(|shown| cx.keys.seal_secret(id, shown.as_bytes(), cx.entropy()))
}

/// Answers `GET /ssf/streams`: one stream, or all of them.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Look).await?;
    let query = received.query()?;
    let answer = match query.one("stream_id") {
        Some(id) => {
            let (stream, document) = find(&cx, &client, id).await?;
            streams::shown(&cx, &stream, &document)
        }
        None => all(&cx, &client).await?,
    };
    let response = respond::json(StatusCode::OK, &answer);
    Ok(with_nonce(&cx, &received, response))
}

async fn all(cx: &Cx, client: &StoredClient) -> Result<Value, Failure> {
    let read = StreamsOf {
        client: client.client.id.clone(),
    };
    let mut shown = Vec::new();
    for stream in cx.store.read(read).await? {
        let document = StreamDocument::read(&stream);
        let document = document.ok_or(Broken::Impossible("a stream does not read back"))?;
        shown.push(streams::shown(cx, &stream, &document));
    }
    Ok(shown.into())
}

/// Answers `PATCH /ssf/streams`: what is named changes.
pub(crate) async fn update(cx: Cx, received: Received) -> Result<Response, Failure> {
    change(cx, received, Change::Named).await
}

/// Answers `PUT /ssf/streams`: what is not named is as if never said.
pub(crate) async fn replace(cx: Cx, received: Received) -> Result<Response, Failure> {
    change(cx, received, Change::Whole).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Named,
    Whole,
}

async fn change(cx: Cx, received: Received, change: Change) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Manage).await?;
    let body = body(&received)?;
    let (mut stream, document) = find(&cx, &client, stream_id(&body)?).await?;
    check_ours(&cx, &body, &stream, &document)?;
    let was: Timestamp = stream.updated;
    let before = (change == Change::Named).then_some((&document, stream.fetches));
    let wish = Wish::read(&cx, &body, before)?;
    stream.fetches = wish.fetches;
    stream.events = wish.document.bits();
    let mut wanted = wish.document;
    wanted.reason = document.reason;
    stream.document = wanted.write();
    // An address that is called keeps what it was shown, until another is said.
    if wish.shown.is_some() || change == Change::Whole || body.contains_key("delivery") {
        stream.secret = seal(&cx, &stream.id, wish.shown.as_deref());
    }
    let act = UpdateStream {
        stream: stream.clone(),
        was,
        audit: audit(&cx, &client, "stream.update", &stream.id),
        now: cx.now,
    };
    written(cx.store.act(act).await?)?;
    part::follow_stream(&cx, &stream.id).await;
    let shown = streams::shown(&cx, &stream, &wanted);
    let response = respond::json(StatusCode::OK, &shown);
    Ok(with_nonce(&cx, &received, response))
}

/// Refuses a change of what only this server can say.
fn check_ours(
    cx: &Cx,
    body: &Map<String, Value>,
    stream: &SignalStream,
    document: &StreamDocument,
) -> Result<(), Failure> {
    let own = streams::shown(cx, stream, document);
    let differs = |name: &&&str| {
        let said = body.get(**name);
        said.is_some_and(|said| Some(said) != own.get(**name))
    };
    if OURS.iter().any(|name| differs(&name)) {
        let why = "a member is the transmitter's to say, and is otherwise";
        return Err(Refusal::invalid_request(why).into());
    }
    Ok(())
}

/// Answers `DELETE /ssf/streams`.
pub(crate) async fn delete(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Manage).await?;
    let query = received.query()?;
    let id = query.one("stream_id");
    let missing = Refusal::invalid_request("stream_id is missing");
    let (stream, _) = find(&cx, &client, id.ok_or(missing)?).await?;
    let act = DeleteStream {
        client: stream.client,
        audit: audit(&cx, &client, "stream.delete", &stream.id),
        id: stream.id,
        now: cx.now,
    };
    written(cx.store.act(act).await?)?;
    part::follow_deletion(&cx).await;
    let response = respond::empty(StatusCode::NO_CONTENT);
    Ok(with_nonce(&cx, &received, response))
}
