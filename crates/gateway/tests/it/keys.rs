//! The keys of an issuer behind the gateway: made-up names, rotations, an issuer
//! that is away, one under a company's own authority.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use symbolon_gateway::{Demand, Edge, Launch, Route, Running, Settings};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::{FixedClock, START, SeededEntropy};
use symbolon_token::jose::SigningKey;
use symbolon_verify::Revocation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::binding::{Made, made};
use crate::issuer::{API, http};
use crate::site::{needs, route, settings};
use crate::upstream::Upstream;

/// Another API of the same issuer.
const STOCK: &str = "https://stock.example";

fn key() -> SigningKey {
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap()
}

fn set(keys: &[&SigningKey]) -> Value {
    let keys: Vec<Value> = keys.iter().map(|own| own.public_jwk()).collect();
    json!({ "keys": keys })
}

/// What an issuer of this module answers, and how often it was asked for keys.
struct Stub {
    url: String,
    /// Nothing: it says nothing at all.
    keys: Mutex<Option<Value>>,
    read: AtomicUsize,
}

impl Stub {
    async fn start(keys: Value) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            keys: Mutex::new(Some(keys)),
            read: AtomicUsize::new(0),
        });
        let metadata = stub.metadata();
        let router = Router::new()
            .route(
                "/.well-known/oauth-authorization-server",
                get(async move || Json(metadata)),
            )
            .route("/jwks", get(jwks))
            .with_state(Arc::clone(&stub));
        tokio::spawn(async move { axum::serve(listener, router).await });
        stub
    }

    fn metadata(&self) -> Value {
        let url = &self.url;
        json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") })
    }

    fn serves(&self, keys: Option<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }

    fn token(&self, key: &SigningKey, audience: &str) -> String {
        key.sign("at+jwt", claims(&self.url, audience).to_string().as_bytes())
    }

    /// A token under a name of a key that nobody has heard of.
    fn made_up(&self, number: usize) -> String {
        let part = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": format!("made-up-{number}") });
        let payload = claims(&self.url, API);
        format!(
            "{}.{}.{}",
            part(header.to_string()),
            part(payload.to_string()),
            part("x".repeat(64))
        )
    }
}

async fn jwks(State(stub): State<Arc<Stub>>) -> Response {
    stub.read.fetch_add(1, Ordering::SeqCst);
    let keys = stub.keys.lock().unwrap().clone();
    match keys {
        Some(keys) => Json(keys).into_response(),
        None => std::future::pending().await,
    }
}

/// Those of a token that lives for days.
fn claims(issuer: &str, audience: &str) -> Value {
    json!({
        "iss": issuer, "sub": "usr_1", "aud": audience, "client_id": "web", "jti": "t1",
        "exp": START.seconds() + 1_000_000, "iat": START.seconds(), "scope": "read",
    })
}

/// A route whose tokens are good until they end.
fn guarded(path: &str, issuer: &str, audience: &str, stale: Option<Duration>) -> Route {
    let mut demand = needs(issuer, audience, "read");
    if let Demand::Token(own) = &mut demand {
        own.revocation = Revocation::AtExpiry;
        own.stale_if_error = stale;
    }
    route(path, demand)
}

struct Guarded {
    address: SocketAddr,
    clock: Arc<FixedClock>,
    _running: Running,
}

impl Guarded {
    async fn start(issuer: &str, routes: Vec<Route>) -> Self {
        Self::with(issuer, routes, |_| ()).await
    }

    async fn with(issuer: &str, routes: Vec<Route>, change: impl FnOnce(&mut Settings)) -> Self {
        let upstream = Upstream::start().await;
        let mut settings = settings(issuer, upstream.address);
        settings.credentials = None;
        settings.routes = routes;
        change(&mut settings);
        let launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None);
        let launch = launch.await.unwrap();
        let address = launch.public.local_addr().unwrap();
        let clock = Arc::new(FixedClock::new());
        let edge = Edge {
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        let running = launch.start(settings, edge).unwrap();
        running.gateway.warm().await;
        Self {
            address,
            clock,
            _running: running,
        }
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn status(&self, client: &reqwest::Client, path: &str, token: &str) -> u16 {
        let request = client.get(format!("http://{}{path}", self.address));
        let answer = request.bearer_auth(token).send().await.unwrap();
        answer.status().as_u16()
    }
}

fn two_apis(issuer: &str) -> Vec<Route> {
    vec![
        guarded("/orders/{id}", issuer, API, None),
        guarded("/stock/{id}", issuer, STOCK, None),
    ]
}

/// Attack: E136
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_made_up_key_ids_cost_one_fetch_however_many_apis_there_are() {
    let key = key();
    let stub = Stub::start(set(&[&key])).await;
    let gateway = Guarded::start(&stub.url, two_apis(&stub.url)).await;
    let client = http();
    assert_eq!(stub.read(), 1, "both APIs have their keys by one fetch");

    for number in 0..1_000 {
        let path = ["/orders/7", "/stock/7"][number % 2];
        let made_up = stub.made_up(number);
        assert_eq!(gateway.status(&client, path, &made_up).await, 401);
    }

    assert_eq!(stub.read(), 2);
    for (path, audience) in [("/orders/7", API), ("/stock/7", STOCK)] {
        let good = stub.token(&key, audience);
        assert_eq!(gateway.status(&client, path, &good).await, 200, "{path}");
    }
    let elsewhere = stub.token(&key, STOCK);
    let status = gateway.status(&client, "/orders/7", &elsewhere).await;
    assert_eq!(status, 401, "what is shared is not the audience");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_seen_within_the_cooldown_behind_the_gateway() {
    let (old, new) = (key(), key());
    let stub = Stub::start(set(&[&old])).await;
    let gateway = Guarded::start(&stub.url, two_apis(&stub.url)).await;
    let client = http();
    let rotated = stub.token(&new, API);

    // At once, where nobody has made a name up before.
    stub.serves(Some(set(&[&old, &new])));
    assert_eq!(gateway.status(&client, "/orders/7", &rotated).await, 200);
    // Where somebody has: after the cooldown, and not a second later.
    let newest = key();
    assert_eq!(
        gateway.status(&client, "/orders/7", &stub.made_up(1)).await,
        401
    );
    let odd = json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA" });
    let mut broken = set(&[&new, &newest]);
    broken["keys"].as_array_mut().unwrap().insert(0, odd);
    stub.serves(Some(broken));
    let rotated = stub.token(&newest, API);
    assert_eq!(gateway.status(&client, "/orders/7", &rotated).await, 401);

    gateway.advance(30);

    assert_eq!(gateway.status(&client, "/orders/7", &rotated).await, 200);
    let before = stub.token(&new, API);
    assert_eq!(gateway.status(&client, "/orders/7", &before).await, 200);
    let gone = stub.token(&old, API);
    assert_eq!(gateway.status(&client, "/orders/7", &gone).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_without_the_issuer_passes_what_the_route_says_and_stalls_nobody() {
    let key = key();
    let stub = Stub::start(set(&[&key])).await;
    let span = |seconds| Some(Duration::from_secs(seconds));
    let routes = vec![
        guarded("/patient/{id}", &stub.url, API, span(2 * 3600)),
        guarded("/strict/{id}", &stub.url, API, span(600)),
    ];
    let gateway = Guarded::start(&stub.url, routes).await;
    let client = http();
    let good = stub.token(&key, API);
    stub.serves(None);

    for minute in 1..=60 {
        gateway.advance(60);
        assert_eq!(
            gateway.status(&client, "/patient/7", &good).await,
            200,
            "minute {minute}"
        );
        if minute < 10 {
            assert_eq!(gateway.status(&client, "/strict/7", &good).await, 200);
        }
    }

    assert_eq!(gateway.status(&client, "/strict/7", &good).await, 503);
    // The first waits for the fetch that is under way, and learns that it failed.
    assert_eq!(
        gateway
            .status(&client, "/patient/7", &stub.made_up(0))
            .await,
        503
    );
    gateway.advance(31);
    // Beside requests that ask for nothing: a busy machine holds up both.
    let (mut strange, mut usual) = (Vec::new(), Vec::new());
    for number in 1..200 {
        let made_up = stub.made_up(number);
        for (token, status, spans) in [(&made_up, 503, &mut strange), (&good, 200, &mut usual)] {
            let begin = Instant::now();
            assert_eq!(gateway.status(&client, "/patient/7", token).await, status);
            spans.push(begin.elapsed());
        }
    }
    strange.sort_unstable();
    usual.sort_unstable();
    let (at, middle) = (strange.len() * 95 / 100, strange.len() / 2);
    let promised = Duration::from_millis(50);
    for (strange, bound) in [
        (strange[at], usual[at] + promised),
        (strange[middle], promised * 5),
    ] {
        assert!(strange < bound, "they waited {strange:?} of {bound:?}");
    }

    stub.serves(Some(set(&[&key])));
    gateway.advance(120);
    let back = async {
        while gateway.status(&client, "/strict/7", &good).await != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            gateway.advance(60);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back)
        .await
        .unwrap();
}

/// An issuer that is reached by TLS alone: it answers every request with one of
/// two documents.
async fn over_tls(own: &Made, key: &SigningKey) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivatePkcs8KeyDer::from(own.key.clone());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.certificate.clone()], private.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let metadata = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }).to_string();
    let keys = set(&[key]).to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, documents) = (acceptor.clone(), (metadata.clone(), keys.clone()));
            tokio::spawn(answer_over_tls(acceptor, stream, documents));
        }
    });
    url
}

async fn answer_over_tls(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    (metadata, keys): (String, String),
) {
    // Whoever does not trust the certificate goes away.
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut head = vec![0; 8192];
    let size = stream.read(&mut head).await.unwrap_or_default();
    let body = match head[..size].starts_with(b"GET /jwks ") {
        true => keys,
        false => metadata,
    };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_under_an_authority_of_ones_own_is_believed_where_that_is_trusted() {
    let (host, key) = (made("localhost"), key());
    let url = over_tls(&host, &key).await;
    let folder = std::env::temp_dir().join(format!("symbolon-gateway-ca-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let pem = folder.join("ca.pem");
    std::fs::write(&pem, &host.pem.0).unwrap();
    let routes = || vec![guarded("/orders/{id}", &url, API, None)];
    let token = key.sign("at+jwt", claims(&url, API).to_string().as_bytes());

    let trusting = Guarded::with(&url, routes(), |own| own.authorities = vec![pem]).await;
    let other = Guarded::start(&url, routes()).await;

    assert_eq!(trusting.status(&http(), "/orders/7", &token).await, 200);
    assert_eq!(other.status(&http(), "/orders/7", &token).await, 503);
    std::fs::remove_dir_all(&folder).unwrap();
}
