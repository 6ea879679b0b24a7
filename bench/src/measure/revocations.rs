//! A million live revocations in a verifier that follows the feed: memory,
//! cold start, a check, and what one more record costs; the check beside as
//! many look-ups in a bare table.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{Json, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_token::feed::{Head, Tally, pack};
use symbolon_token::jose::SigningKey;
use symbolon_token::revocation::{Revocation, Target};
use symbolon_token::{Marks, Position, RevocationSet};
use symbolon_verify::{Algorithm, Verifier};
use tokio::net::TcpListener;

use super::verify::API;
use crate::bench::Bench;
use crate::clock;
use crate::figure::{Bound, Figure};
use crate::process::own_resident;

/// How many live revocations there are.
const RECORDS: u64 = 1_000_000;
/// How many of them stand in one event.
const BATCH: u64 = 4096;
/// How many checks, and how many records more, are measured in a round.
const CHECKS: u64 = 200_000;
const MORE: u64 = 2_000;
const READER: &str = "orders-api";

/// What each round gave.
#[derive(Default)]
struct Measured {
    memory: Vec<f64>,
    start: Vec<f64>,
    bare: Vec<f64>,
    check: Vec<f64>,
    more: Vec<f64>,
}

pub(crate) fn revocations(bench: &Bench) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut measured = Measured::default();
    // First, while nothing that was freed is there to be used again.
    runtime.block_on(follow(&mut measured, bench.rounds))?;
    look_up(&mut measured, bench.rounds)?;
    let note = || format!("{RECORDS} live revocations");
    Ok(vec![
        Figure::new(
            "verifier that follows the feed, memory",
            "MiB",
            Bound::AtMost(96.0),
        )
        .rounds(Vec::new(), measured.memory)
        .note(note()),
        Figure::new("the same, cold start", "ms", Bound::AtMost(5_000.0))
            .rounds(Vec::new(), measured.start)
            .note(format!("{}, from a stub on this machine", note())),
        Figure::new("whether a token was taken back", "ns", Bound::AtMost(500.0))
            .rounds(measured.bare, measured.check)
            .note(format!("{}; floor: as many look-ups in hashbrown", note())),
        Figure::new("one more record", "µs", Bound::None)
            .rounds(Vec::new(), measured.more)
            .note(format!("{}; readers go on meanwhile", note())),
    ])
}

/// The same records in every run: most are of single tokens.
fn record(number: u64) -> Revocation {
    let target = match number % 16 {
        0 => Target::Family,
        1 => Target::Grant,
        2 => Target::Session,
        3 => Target::Subject,
        4 => Target::ClientSubject,
        5 => Target::Membership,
        _ => Target::Token,
    };
    Revocation {
        sequence: i64::try_from(number).unwrap_or(i64::MAX) + 1,
        target,
        name: mixed(number),
        expires: Timestamp::FAR,
    }
}

/// Numbers that look drawn.
fn mixed(number: u64) -> u64 {
    let mut own = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    own = (own ^ (own >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    own = (own ^ (own >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    own ^ (own >> 31)
}

/// Starts a verifier on a million records, and looks what it holds.
async fn follow(measured: &mut Measured, rounds: usize) -> Result<()> {
    let stub = Stub::start().await?;
    for _ in 0..rounds {
        let before = own_resident()?;
        let began = clock::now();
        let verifier = Verifier::new(&stub.url, API, [Algorithm::Es256])?
            .introspect_as(READER, "a secret of thirty-two characters")?
            .subscribe()?;
        verifier.ready().await?;
        measured.start.push(began.elapsed().as_secs_f64() * 1e3);
        let held = verifier.feed().map_or(0, |state| state.records);
        ensure!(held as u64 == RECORDS, "{held} records are held");
        // What reading has freed may still be resident; it counts.
        measured.memory.push((own_resident()? - before).max(0.0));
        if measured.memory.len() < rounds {
            drop(verifier);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    // Later rounds find memory that earlier ones have freed: the first counts.
    measured.memory.truncate(1);
    Ok(())
}

/// A token with every mark that one can have, none of which was taken back.
fn marks(number: u64) -> Marks {
    let name = |kind: u64| Some(mixed(RECORDS * (kind + 2) + number));
    Marks {
        token: name(1),
        family: name(2),
        grant: name(3),
        session: name(4),
        subject: name(5),
        client: name(6),
        organization: name(7),
        key: name(8),
        resource: name(9),
        ..Marks::default()
    }
}

fn look_up(measured: &mut Measured, rounds: usize) -> Result<()> {
    let at = |sequence| Position { epoch: 1, sequence };
    let mut set = RevocationSet::new(at(0));
    let mut bare = hashbrown::HashMap::new();
    for number in 0..RECORDS {
        let own = record(number);
        set.apply(own);
        bare.insert((own.target as u8, own.name), own.sequence);
    }
    let tokens: Vec<Marks> = (0..4096).map(marks).collect();
    let names: Vec<Vec<(u8, u64)>> = tokens.iter().map(names_of).collect();
    for _ in 0..rounds {
        let began = clock::now();
        for number in 0..CHECKS {
            let own = &names[number as usize % names.len()];
            let hit = own.iter().any(|name| bare.contains_key(black_box(name)));
            ensure!(!hit, "a token that lives is dead");
        }
        measured.bare.push(nanoseconds(began.elapsed(), CHECKS));
        let began = clock::now();
        for number in 0..CHECKS {
            let own = &tokens[number as usize % tokens.len()];
            ensure!(
                set.hit(black_box(own), at(9)).is_none(),
                "a token that lives is dead"
            );
        }
        measured.check.push(nanoseconds(began.elapsed(), CHECKS));
        let began = clock::now();
        for number in 0..MORE {
            // What a verifier does: readers keep the set of before.
            let mut next = set.clone();
            next.apply(record(RECORDS + number));
            set = black_box(next);
        }
        measured.more.push(nanoseconds(began.elapsed(), MORE) / 1e3);
    }
    let dead = Marks {
        token: Some(record(7).name),
        ..Marks::default()
    };
    ensure!(set.hit(&dead, at(9)).is_some(), "a dead token lives");
    Ok(())
}

fn nanoseconds(span: Duration, times: u64) -> f64 {
    span.as_secs_f64() * 1e9 / times as f64
}

/// What has to be looked up for a token.
fn names_of(marks: &Marks) -> Vec<(u8, u64)> {
    let own = marks.ancestors().into_iter();
    own.map(|own| (own.target as u8, own.name)).collect()
}

/// An issuer whose feed has a million records, made as they are sent.
struct Stub {
    url: String,
    key: SigningKey,
    /// The records, counted and digested beforehand.
    tally: (u64, [u8; 32]),
}

impl Stub {
    async fn start() -> Result<std::sync::Arc<Self>> {
        let algorithm = SigningAlgorithm::Es256;
        let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm)?)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut tally = Tally::default();
        (0..batches()).for_each(|number| tally.add(&batch(number)));
        let stub = std::sync::Arc::new(Self {
            key,
            tally: tally.take(),
            url,
        });
        let routes = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/jwks", get(keys))
            .route("/revocations", get(stream_of_records))
            .with_state(std::sync::Arc::clone(&stub));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(stub)
    }

    fn head(&self, nonce: &str) -> String {
        let position = i64::try_from(RECORDS).unwrap_or(i64::MAX);
        let head = Head {
            issuer: self.url.clone(),
            reader: READER.to_owned(),
            time: 0,
            nonce: nonce.to_owned(),
            epoch: 1,
            sequence: position,
            after: 0,
            snapshot: true,
            records: 0,
            sha256: String::new(),
            elapsed: 0,
            stale: 0,
        };
        head.over(self.tally).sign(&self.key)
    }
}

type Shared = State<std::sync::Arc<Stub>>;

async fn metadata(State(stub): Shared) -> Json<Value> {
    let url = &stub.url;
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/jwks"),
        "revocations_endpoint": format!("{url}/revocations"),
        "revocations_jwks_uri": format!("{url}/jwks"),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
    }))
}

async fn keys(State(stub): Shared) -> Json<Value> {
    Json(json!({ "keys": [stub.key.public_jwk()] }))
}

async fn stream_of_records(
    State(stub): Shared,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let nonce = query.into_iter().find(|(name, _)| name == "nonce");
    let head = stub.head(&nonce.unwrap_or_default().1);
    let begin = json!({ "epoch": 1, "after": 0, "snapshot": true }).to_string();
    let first = stream::iter([event("begin", &begin)]);
    let records = stream::iter((0..batches()).map(|number| {
        let text = BASE64_URL_SAFE_NO_PAD.encode(batch(number));
        event("records", &text)
    }));
    let last = stream::iter([event("head", &head)]).chain(stream::pending());
    let all = first.chain(records).chain(last).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(all));
    let kind = axum::http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", kind);
    response
}

fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

const fn batches() -> u64 {
    RECORDS.div_ceil(BATCH)
}

fn batch(number: u64) -> Vec<u8> {
    let mut packed = Vec::new();
    let end = ((number + 1) * BATCH).min(RECORDS);
    (number * BATCH..end).for_each(|own| pack(&record(own), &mut packed));
    packed
}
