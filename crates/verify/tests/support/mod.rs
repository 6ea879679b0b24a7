//! An issuer on a free port, whose every answer a test can choose.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]
#![allow(dead_code, reason = "no test file uses all of it")]

pub(crate) mod feed;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::{FixedClock, START, SeededEntropy};
use symbolon_token::Clock;
use symbolon_token::jose::SigningKey;
use symbolon_verify::{Algorithm, Principal, Requirement, Revocation, Verifier};

pub(crate) const API: &str = "https://api.example/v1";
pub(crate) const SECRET: &str = "a secret: with + and %";

/// What an endpoint answers.
#[derive(Clone)]
pub(crate) enum Reply {
    Json(Value),
    Raw(u16, Vec<u8>),
    Cached(Value, &'static str),
    Redirect(String),
    Never,
}

pub(crate) struct Behaviour {
    pub(crate) jwks: Mutex<Reply>,
    pub(crate) metadata: Mutex<Option<Reply>>,
    /// What is at the second place where metadata may be.
    pub(crate) other_metadata: Mutex<Option<Reply>>,
    pub(crate) introspection: Mutex<Reply>,
    pub(crate) macaroon_keys: Mutex<Reply>,
    /// Where that is said for a resource, instead of the reply for all.
    pub(crate) macaroon_keys_of: Mutex<HashMap<String, Value>>,
    pub(crate) feed_keys: Mutex<Option<Reply>>,
    pub(crate) macaroon_keys_read: AtomicUsize,
    pub(crate) jwks_read: AtomicUsize,
    pub(crate) questions: AtomicUsize,
    /// How many uses of a macaroon are left, where they are counted: answers go by
    /// it.
    pub(crate) uses_left: Mutex<Option<u64>>,
    pub(crate) last_question: Mutex<Option<(String, String)>>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) feed: Arc<feed::Feed>,
    url: String,
}

impl Behaviour {
    /// What it says of a token, whose uses it may count.
    fn introspected(&self, form: &str) -> Reply {
        let mut reply = self.introspection.lock().unwrap().clone();
        let left = &mut *self.uses_left.lock().unwrap();
        if let (Some(left), Reply::Json(told)) = (left, &mut reply) {
            match form.contains("&count=no") {
                _ if *left == 0 => *told = json!({ "active": false }),
                true => told["uses_left"] = (*left).into(),
                false => *left -= 1,
            }
        }
        reply
    }

    fn keys_for(&self, form: &str) -> Reply {
        let mut pairs = url::form_urlencoded::parse(form.as_bytes());
        let resource = pairs.find(|(name, _)| name == "resource").unwrap().1;
        let own = self.macaroon_keys_of.lock().unwrap();
        let own = own.get(&*resource).cloned().map(Reply::Json);
        own.unwrap_or_else(|| self.macaroon_keys.lock().unwrap().clone())
    }
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) behaviour: Arc<Behaviour>,
    pub(crate) key: SigningKey,
    pub(crate) clock: Arc<FixedClock>,
}

pub(crate) fn key(algorithm: SigningAlgorithm) -> SigningKey {
    let document = SigningKey::generate(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, &document).unwrap()
}

pub(crate) fn set(keys: &[&SigningKey]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    json!({ "keys": keys })
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let key = key(SigningAlgorithm::Es256);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = Arc::new(FixedClock::new());
        let behaviour = Arc::new(Behaviour {
            clock: Arc::clone(&clock),
            jwks: Mutex::new(Reply::Json(set(&[&key]))),
            metadata: Mutex::new(None),
            other_metadata: Mutex::new(None),
            introspection: Mutex::new(Reply::Json(json!({ "active": true }))),
            macaroon_keys: Mutex::new(Reply::Raw(400, Vec::new())),
            macaroon_keys_of: Mutex::default(),
            feed_keys: Mutex::default(),
            macaroon_keys_read: AtomicUsize::new(0),
            jwks_read: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            uses_left: Mutex::default(),
            last_question: Mutex::new(None),
            feed: Arc::new(feed::Feed::new()),
            url: url.clone(),
        });
        let app = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/.well-known/openid-configuration", get(other_metadata))
            .route("/jwks", get(jwks))
            .route("/introspect", post(introspect))
            .route("/macaroon-keys", post(macaroon_keys))
            .route("/jwks-feed", get(jwks_of_the_feed))
            .with_state(Arc::clone(&behaviour))
            .route("/revocations", get(feed::answer))
            .with_state(Arc::clone(&behaviour.feed));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            url,
            behaviour,
            key,
            clock,
        }
    }

    /// A verifier of JWTs alone, on the test's clock.
    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(&self.url, API, [Algorithm::Es256])
            .unwrap()
            .with_clock(self.clock.clone())
            .with_entropy(Arc::new(SeededEntropy::new(1)))
    }

    /// A verifier that asks.
    pub(crate) fn asking(&self) -> Verifier {
        self.verifier().introspect_as("orders api", SECRET).unwrap()
    }

    /// The claims of a good access token.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.url, "sub": "usr_1", "aud": API, "client_id": "web",
            "exp": START.seconds() + 600, "iat": START.seconds(), "jti": "t1",
            "scope": "read:invoices",
        })
    }

    /// A good access token with some claims changed.
    pub(crate) fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        self.token_by(&self.key, change)
    }

    pub(crate) fn token_by(&self, key: &SigningKey, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        key.sign("at+jwt", claims.to_string().as_bytes())
    }

    pub(crate) fn good(&self) -> String {
        self.token(|_| ())
    }

    pub(crate) fn serves_keys(&self, reply: Reply) {
        *self.behaviour.jwks.lock().unwrap() = reply;
    }

    pub(crate) fn says(&self, reply: Value) {
        *self.behaviour.introspection.lock().unwrap() = Reply::Json(reply);
    }

    /// The answer for a good opaque token with some members changed.
    pub(crate) fn says_active(&self, change: impl FnOnce(&mut Value)) {
        let mut claims = self.claims();
        claims["active"] = true.into();
        claims["token_type"] = "Bearer".into();
        change(&mut claims);
        self.says(claims);
    }

    pub(crate) fn jwks_read(&self) -> usize {
        self.behaviour.jwks_read.load(Ordering::SeqCst)
    }

    pub(crate) fn questions(&self) -> usize {
        self.behaviour.questions.load(Ordering::SeqCst)
    }

    pub(crate) fn uses_left(&self) -> Option<u64> {
        *self.behaviour.uses_left.lock().unwrap()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

async fn answer(reply: Reply) -> Response<Body> {
    let response = Response::builder();
    match reply {
        Reply::Json(value) => response.body(value.to_string().into()),
        Reply::Cached(value, control) => response
            .header("cache-control", control)
            .body(value.to_string().into()),
        Reply::Raw(status, body) => response.status(status).body(body.into()),
        Reply::Redirect(to) => response
            .status(302)
            .header("location", to)
            .body(Body::empty()),
        Reply::Never => std::future::pending().await,
    }
    .unwrap()
}

async fn other_metadata(State(behaviour): State<Arc<Behaviour>>) -> Response<Body> {
    let chosen = behaviour.other_metadata.lock().unwrap().clone();
    answer(chosen.unwrap_or(Reply::Raw(404, Vec::new()))).await
}

async fn metadata(State(behaviour): State<Arc<Behaviour>>) -> Response<Body> {
    let url = &behaviour.url;
    let chosen = behaviour.metadata.lock().unwrap().clone();
    let usual = json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"),
        "introspection_endpoint": format!("{url}/introspect"),
        "macaroon_keys_endpoint": format!("{url}/macaroon-keys"),
        "revocations_endpoint": format!("{url}/revocations"),
        "revocations_jwks_uri": format!("{url}/jwks-feed"),
        "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
    });
    answer(chosen.unwrap_or(Reply::Json(usual))).await
}

async fn jwks(State(behaviour): State<Arc<Behaviour>>) -> Response<Body> {
    behaviour.jwks_read.fetch_add(1, Ordering::SeqCst);
    let reply = behaviour.jwks.lock().unwrap().clone();
    let mut response = answer(reply).await;
    let date = date(behaviour.clock.now().to_string());
    response.headers_mut().insert("date", date.parse().unwrap());
    response
}

async fn jwks_of_the_feed(State(behaviour): State<Arc<Behaviour>>) -> Response<Body> {
    let chosen = behaviour.feed_keys.lock().unwrap().clone();
    answer(chosen.unwrap_or(Reply::Json(set(&[&behaviour.feed.key])))).await
}

/// An instant as `Date` writes it; readers pass the day of the week over.
fn date(instant: String) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month: usize = instant[5..7].parse().unwrap();
    let (year, day, time) = (&instant[..4], &instant[8..10], &instant[11..19]);
    format!("Thu, {day} {} {year} {time} GMT", MONTHS[month - 1])
}

async fn macaroon_keys(State(behaviour): State<Arc<Behaviour>>, body: String) -> Response<Body> {
    behaviour.macaroon_keys_read.fetch_add(1, Ordering::SeqCst);
    answer(behaviour.keys_for(&body)).await
}

async fn introspect(
    State(behaviour): State<Arc<Behaviour>>,
    headers: HeaderMap,
    body: String,
) -> Response<Body> {
    behaviour.questions.fetch_add(1, Ordering::SeqCst);
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    let reply = behaviour.introspected(&body);
    *behaviour.last_question.lock().unwrap() = Some((authorization, body));
    answer(reply).await
}

/// A text that is an opaque access token by form and checksum.
pub(crate) fn opaque(seed: u8) -> String {
    let body = vec![seed; 120];
    let mut crc = !0_u32;
    for byte in b"symat".iter().chain(&body) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let sealed = [&body[..], &(!crc).to_be_bytes()].concat();
    format!("sym_at_{}", BASE64_URL_SAFE_NO_PAD.encode(sealed))
}

/// A requirement that asks nobody about revocation.
pub(crate) fn at_expiry() -> Requirement {
    Requirement::all(["read:invoices"]).revocation(Revocation::AtExpiry)
}

/// An API with one protected route.
pub(crate) fn app(verifier: &Verifier, requirement: Requirement) -> Router {
    let handler = async |caller: Principal| caller.subject().to_owned();
    Router::new().route(
        "/invoices",
        get(handler).layer(verifier.require(requirement)),
    )
}

pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn challenge(&self) -> &str {
        self.headers["www-authenticate"].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn call(app: &Router, request: Request) -> Got {
    use tower::ServiceExt;
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Got {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) async fn with_token(app: &Router, token: &str) -> Got {
    let request = Request::get("/invoices").header("authorization", format!("Bearer {token}"));
    call(app, request.body(Body::empty()).unwrap()).await
}
