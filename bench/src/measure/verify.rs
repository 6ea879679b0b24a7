//! Checking in process: a JWT shown for the first time against the bare
//! signature check, and one seen before, each with revocation asked.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_token::Position;
use symbolon_token::jose::SigningKey;
use symbolon_token::revocation::{Revocation as Record, Target};
use symbolon_verify::{Algorithm, Requirement, Revocation, Verifier};
use tokio::net::TcpListener;

use crate::bench::Bench;
use crate::clock;
use crate::figure::{Bound, Figure};

pub(super) const API: &str = "https://orders.example.com";
/// How many tokens are shown, each for the first time once a round.
const TOKENS: usize = 4000;
/// How many of them floor and ours check before they change places.
const TURN: usize = 100;
/// How many live revocations the set holds.
const RECORDS: u64 = 1000;
/// How many tokens come again, and how often.
const KNOWN: usize = 256;
const AGAIN: usize = 100;

/// Microseconds a check, one value for each round.
#[derive(Default)]
struct Measured {
    bare: Vec<f64>,
    first: Vec<f64>,
    known: Vec<f64>,
    known_asked: Vec<f64>,
}

pub(crate) fn verify(bench: &Bench) -> Result<Vec<Figure>> {
    // The checks run in one thread, the stub of an issuer in another.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let measured = runtime.block_on(measure(bench.rounds))?;
    let at_most = Bound::AtMost(3.0);
    Ok(vec![
        Figure::new(
            "verify JWT ES256, first time",
            "µs",
            Bound::AtMostTimes(1.15),
        )
        .rounds(measured.bare, measured.first)
        .note(format!("{RECORDS} revocations held")),
        Figure::new("verify JWT ES256, seen before", "µs", at_most)
            .rounds(Vec::new(), measured.known)
            .note(format!("{RECORDS} revocations held")),
        Figure::new("the same, issuer asked each second", "µs", at_most)
            .rounds(Vec::new(), measured.known_asked)
            .note("Revocation::Now".to_owned()),
    ])
}

async fn measure(rounds: usize) -> Result<Measured> {
    let issuer = Issuer::start().await?;
    let tokens: Vec<_> = (0..TOKENS).map(|n| issuer.token(n)).collect();
    let key = issuer.public_key()?;
    let bare = tokens
        .iter()
        .map(|token| Signed::of(token))
        .collect::<Result<Vec<_>>>()?;
    let local = Requirement::all(["read:orders"]).revocation(Revocation::AtExpiry);
    let asking = Requirement::all(["read:orders"]);
    let mut measured = Measured::default();
    for _ in 0..rounds {
        let verifier = issuer.verifier().await?;
        let (mut floor, mut ours) = (Duration::ZERO, Duration::ZERO);
        for (signed, tokens) in bare.chunks(TURN).zip(tokens.chunks(TURN)) {
            let began = clock::now();
            for one in signed {
                ensure!(one.is_good(&key), "a good signature was refused");
            }
            floor += began.elapsed();
            ours += timed(check_all(&verifier, tokens, &local)).await?;
        }
        measured.bare.push(each(floor, TOKENS));
        measured.first.push(each(ours, TOKENS));

        let known = &tokens[..KNOWN];
        let (mut local_only, mut asked) = (Duration::ZERO, Duration::ZERO);
        // Once beforehand, so that only what comes again is measured.
        check_all(&verifier, known, &asking).await?;
        for _ in 0..AGAIN {
            local_only += timed(check_all(&verifier, known, &local)).await?;
            asked += timed(check_all(&verifier, known, &asking)).await?;
        }
        measured.known.push(each(local_only, KNOWN * AGAIN));
        measured.known_asked.push(each(asked, KNOWN * AGAIN));
        check_obeys(&verifier, &tokens[0], &local).await?;
    }
    Ok(measured)
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let began = clock::now();
    work.await?;
    Ok(began.elapsed())
}

pub(super) fn each(span: Duration, checks: usize) -> f64 {
    span.as_secs_f64() * 1e6 / checks as f64
}

async fn check_all(
    verifier: &Verifier,
    tokens: &[String],
    requirement: &Requirement,
) -> Result<()> {
    for token in tokens {
        let checked = verifier.check(token, requirement).await;
        checked.map_err(|refusal| anyhow::anyhow!("refused: {}", refusal.cause()))?;
    }
    Ok(())
}

/// A set that nobody looks into would be fast: a record must end a token that
/// was seen before.
async fn check_obeys(verifier: &Verifier, token: &str, requirement: &Requirement) -> Result<()> {
    verifier
        .revocations()
        .apply([record(RECORDS, Target::Grant, mark(0))]);
    let checked = verifier.check(token, requirement).await;
    ensure!(checked.is_err(), "a revoked token was taken");
    Ok(())
}

fn record(number: u64, target: Target, name: u64) -> Record {
    Record {
        sequence: i64::try_from(number).unwrap_or(i64::MAX) + 1,
        target,
        name,
        expires: Timestamp::FAR,
    }
}

/// The blinded name of the grant behind a token.
fn mark(n: usize) -> u64 {
    0xa11c_e000_0000_0000 + n as u64
}

/// What of a token the bare check needs, taken apart beforehand.
pub(super) struct Signed<'a> {
    message: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Signed<'a> {
    pub(super) fn of(token: &'a str) -> Result<Self> {
        let (message, signature) = token.rsplit_once('.').context("not a JWT")?;
        Ok(Self {
            message: message.as_bytes(),
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature)?,
        })
    }

    pub(super) fn is_good(&self, key: &ParsedPublicKey) -> bool {
        key.verify_sig(self.message, &self.signature).is_ok()
    }
}

/// Metadata, key set and a yes to every question.
pub(super) struct Issuer {
    url: String,
    key: SigningKey,
}

impl Issuer {
    pub(super) async fn start() -> Result<Self> {
        let algorithm = SigningAlgorithm::Es256;
        let document = SigningKey::generate(algorithm)?;
        let key = SigningKey::from_pkcs8(algorithm, &document)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let metadata = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/jwks"),
            "introspection_endpoint": format!("{url}/introspect"),
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
        });
        let keys = json!({ "keys": [key.public_jwk()] });
        let document = async |State(document): State<Value>| Json(document);
        let app = Router::new()
            .merge(
                Router::new()
                    .route("/.well-known/oauth-authorization-server", get(document))
                    .with_state(metadata),
            )
            .merge(Router::new().route("/jwks", get(document)).with_state(keys))
            .merge(
                Router::new()
                    .route("/introspect", post(document))
                    .with_state(json!({ "active": true })),
            );
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, key })
    }

    fn token(&self, n: usize) -> String {
        self.signed(&self.claims(n))
    }

    /// The same, bound to the key with a thumbprint.
    pub(super) fn bound_token(&self, n: usize, key: &str) -> String {
        let mut claims = self.claims(n);
        claims["cnf"] = json!({ "jkt": key });
        self.signed(&claims)
    }

    fn signed(&self, claims: &Value) -> String {
        self.key.sign("at+jwt", claims.to_string().as_bytes())
    }

    fn claims(&self, n: usize) -> Value {
        let now = clock::unix_seconds();
        let hex = |n: u64| format!("{n:016x}");
        json!({
            "iss": self.url, "sub": "a-person", "aud": API, "exp": now + 3600, "iat": now,
            "jti": format!("token-number-{n}"), "client_id": "web", "scope": "read:orders",
            "rev": {
                "e": 1, "q": 0, "f": hex(n as u64 + 1), "g": hex(mark(n)), "s": hex(2),
                "u": hex(3), "c": hex(4),
            },
        })
    }

    pub(super) fn public_key(&self) -> Result<ParsedPublicKey> {
        public_key(&self.key.public_jwk())
    }

    /// A verifier that knows the keys and many revocations, but no token.
    pub(super) async fn verifier(&self) -> Result<Verifier> {
        let verifier = Verifier::new(&self.url, API, [Algorithm::Es256])?
            .introspect_as("orders-api", "a secret for the stub")?;
        let (epoch, sequence) = (1, 0);
        let revocations = verifier.revocations();
        revocations.begin(Position { epoch, sequence });
        let kinds = [
            Target::Grant,
            Target::Family,
            Target::Session,
            Target::Subject,
        ];
        let records = (0..RECORDS).zip(kinds.into_iter().cycle());
        revocations.apply(records.map(|(n, kind)| record(n, kind, 0xdead_0000 + n)));
        verifier.ready().await?;
        Ok(verifier)
    }
}

/// The public half of a key in the form that the bare check takes: an
/// uncompressed point.
pub(super) fn public_key(jwk: &Value) -> Result<ParsedPublicKey> {
    let mut point = vec![4];
    for name in ["x", "y"] {
        let text = jwk[name].as_str().context("a key without a point")?;
        point.extend(BASE64_URL_SAFE_NO_PAD.decode(text)?);
    }
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point);
    key.ok().context("not a point")
}
