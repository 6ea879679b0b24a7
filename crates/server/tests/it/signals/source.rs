//! Sources of security events: what they say is believed as far as they are
//! trusted, once, and never more.
//!
//! Spec: RFC 8417
//! Spec: RFC 8935
//! Spec: RFC 8936

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::HeaderMap;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::jose::SigningKey;
use tokio::net::TcpListener;

use super::admin;
use crate::browser::{Browser, request};
use crate::exchange::world::{Partner, now};
use crate::harness::{Answer, Server, read};

macro_rules! with_a_source {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::World::on_sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::World::on_postgres().await).await;
            })*
        }
    };
}

with_a_source! {
    an_event_signs_a_person_out_once
    an_event_that_is_not_good_is_refused_by_its_code
    whatever_is_refused_is_told_in_a_language_that_is_named
    an_event_of_six_days_ago_is_taken_once_for_as_long_as_it_may_come
    only_the_bearer_of_a_source_is_heard
    a_source_speaks_of_people_whom_it_may_name
    a_source_does_no_more_than_it_may
    a_source_that_does_not_call_is_asked
    a_flood_of_one_source_is_bounded
}

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type";
const BEARER: &str = "a bearer of thirty-two characters";

/// A server and its sources: `hr` signs people out, `it` may disable them.
struct World {
    server: Server,
    partner: Partner,
    other: Partner,
    waiting: Waiting,
}

/// What waits at the source that is asked, and what was said of it.
#[derive(Clone, Default)]
pub(super) struct Waiting {
    pub(super) sets: Arc<Mutex<serde_json::Map<String, Value>>>,
    pub(super) said: Arc<Mutex<Vec<Value>>>,
    /// In which language, where it was said.
    languages: Arc<Mutex<Vec<Option<String>>>>,
}

impl Waiting {
    /// One that is asked at an address.
    pub(super) async fn open() -> (Self, String) {
        let waiting = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let polled = format!("http://{}/poll", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/poll", post(answer))
            .with_state(waiting.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (waiting, polled)
    }
}

async fn answer(State(waiting): State<Waiting>, headers: HeaderMap, body: String) -> String {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let language = headers.get("content-language");
    let language = language.and_then(|value| value.to_str().ok());
    let mut languages = waiting.languages.lock().unwrap();
    languages.push(language.map(str::to_owned));
    drop(languages);
    let mut sets = waiting.sets.lock().unwrap();
    for jti in asked["ack"].as_array().into_iter().flatten() {
        sets.remove(jti.as_str().unwrap());
    }
    for jti in asked["setErrs"].as_object().into_iter().flatten() {
        sets.remove(jti.0);
    }
    waiting.said.lock().unwrap().push(asked.clone());
    let none = asked["maxEvents"] == 0;
    let shown = if none { json!({}) } else { json!(*sets) };
    json!({ "sets": shown, "moreAvailable": false }).to_string()
}

impl World {
    async fn on_sqlite() -> Self {
        let (partner, other, waiting, text) = Self::sources().await;
        let server = Server::on_sqlite_with(&text).await;
        Self {
            server,
            partner,
            other,
            waiting,
        }
    }

    async fn on_postgres() -> Self {
        let (partner, other, waiting, text) = Self::sources().await;
        let server = Server::on_postgres_with(&text).await;
        Self {
            server,
            partner,
            other,
            waiting,
        }
    }

    async fn sources() -> (Partner, Partner, Waiting, String) {
        let (partner, other) = (Partner::start().await, Partner::start().await);
        let (waiting, polled) = Waiting::open().await;
        let issuer = &partner.issuer;
        let source = |id: &str, more: &str| {
            format!(
                "[[signal_source]]\nid = \"{id}\"\nissuer = \"{issuer}\"\njwks_uri = \"{issuer}/jwks\"\naudience = \"https://us.example.com\"\n{more}\n"
            )
        };
        let push = format!("push_secret = \"{BEARER}\"\n");
        let text = [
            source("hr", &push),
            source(
                "it",
                &format!("{push}effects = [\"disable\"]\nsubjects = [\"username\"]"),
            ),
            source("acme", &format!("{push}organization = \"acme\"")),
            source(
                "asked",
                &format!("poll_url = \"{polled}\"\npoll_token = \"{BEARER}\""),
            ),
        ];
        (partner, other, waiting, text.concat())
    }

    fn claims(&self, event: &str, subject: Value) -> Value {
        json!({
            "iss": self.partner.issuer, "aud": "https://us.example.com",
            "jti": event.rsplit('/').next().unwrap(), "iat": now(&self.server),
            "sub_id": subject, "events": { event: {} },
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let payload = claims.to_string();
        self.partner.key.sign("secevent+jwt", payload.as_bytes())
    }

    async fn push(&self, source: &str, event: &str) -> Answer {
        self.push_as(source, BEARER, event).await
    }

    async fn push_as(&self, source: &str, bearer: &str, event: &str) -> Answer {
        let request = self
            .server
            .request(Method::POST, &format!("/signals/{source}"))
            .bearer_auth(bearer)
            .header("content-type", "application/secevent+jwt")
            .body(event.to_owned());
        read(request.send().await.unwrap()).await
    }

    async fn tokens(&self, username: &str) -> String {
        let mut browser = Browser::new(&self.server);
        let tokens = browser.tokens(username, &request()).await;
        tokens.text("access_token")
    }
}

fn alice() -> Value {
    json!({ "format": "email", "email": "alice@example.com" })
}

fn code(answer: &Answer) -> String {
    answer.text("err")
}

async fn an_event_signs_a_person_out_once(world: World) {
    for (number, event) in [
        format!("{CAEP}/session-revoked"),
        format!("{CAEP}/credential-change"),
        format!("{RISC}/sessions-revoked"),
        format!("{RISC}/credential-compromise"),
        format!("{RISC}/account-disabled"),
    ]
    .iter()
    .enumerate()
    {
        let token = world.tokens("alice").await;
        let mut claims = world.claims(event, alice());
        claims["jti"] = number.into();
        claims["jti"] = format!("event {number}").into();
        let signed = world.sign(&claims);

        let answer = world.push("hr", &signed).await;

        assert_eq!((answer.status, &*answer.body), (202, ""), "{event}");
        assert!(!world.server.is_active(&token).await, "{event}");
        let token = world.tokens("alice").await;
        let again = world.push("hr", &signed).await;
        assert_eq!(again.status, 202, "what comes again is taken again");
        assert!(world.server.is_active(&token).await, "and does nothing");
    }
    let audit = "audit?action=user.revoke";
    let list = admin(&world.server, Method::GET, audit, None).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 5);
    assert_eq!(list["items"][0]["actor"], "signal_source:hr");
}

async fn an_event_that_is_not_good_is_refused_by_its_code(world: World) {
    let token = world.tokens("alice").await;
    let event = format!("{CAEP}/session-revoked");
    let good = world.claims(&event, alice());
    let at = |seconds: i64| now(&world.server) + seconds;
    for (change, wanted) in [
        (json!({ "iss": world.other.issuer }), "invalid_issuer"),
        (
            json!({ "aud": "https://them.example.com" }),
            "invalid_audience",
        ),
        (json!({ "iat": at(60) }), "invalid_request"),
        (json!({ "iat": at(-8 * 86_400) }), "invalid_request"),
        (json!({ "sub": "alice" }), "invalid_request"),
        (json!({ "exp": at(60) }), "invalid_request"),
        (json!({ "jti": "" }), "invalid_request"),
        (json!({ "events": {} }), "invalid_request"),
        (json!({ "events": { "a": {}, "b": {} } }), "invalid_request"),
    ] {
        let mut claims = good.clone();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let answer = world.push("hr", &world.sign(&claims)).await;
        assert_eq!((answer.status, &*code(&answer)), (400, wanted), "{change}");
    }
    let payload = good.to_string();
    let forged = world.other.key.sign("secevent+jwt", payload.as_bytes());
    let stranger = {
        let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
        key.sign("secevent+jwt", payload.as_bytes())
    };
    for forged in [forged, stranger] {
        assert_eq!(code(&world.push("hr", &forged).await), "invalid_key");
    }
    for kind in ["JWT", "at+jwt", "logout+jwt"] {
        let other = world.partner.key.sign(kind, payload.as_bytes());
        assert_eq!(
            code(&world.push("hr", &other).await),
            "invalid_request",
            "{kind}"
        );
    }
    let unsigned = {
        use base64::Engine as _;
        let write = |text: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text);
        let head = write(r#"{"alg":"none","typ":"secevent+jwt"}"#);
        format!("{head}.{}.", write(&payload))
    };
    for garbage in ["", "a.b.c", "{}", &unsigned, &"x".repeat(60_000)] {
        let answer = world.push("hr", garbage).await;
        assert_eq!(answer.status, 400, "{garbage:.20}");
    }
    assert!(world.server.is_active(&token).await);
    assert_eq!(world.push("hr", &world.sign(&good)).await.status, 202);
    assert!(!world.server.is_active(&token).await);
}

async fn whatever_is_refused_is_told_in_a_language_that_is_named(world: World) {
    let bytes = |bearer: &str| {
        let request = world.server.request(Method::POST, "/signals/hr");
        request
            .bearer_auth(bearer)
            .header("content-type", "application/secevent+jwt")
            .body(vec![0xff_u8, 0xfe])
    };

    let no_text = read(bytes(BEARER).send().await.unwrap()).await;
    let stranger = read(bytes("another bearer").send().await.unwrap()).await;
    let no_event = world.push("hr", "a.b.c").await;

    for (answer, wanted) in [
        (no_text, (400, "invalid_request")),
        (stranger, (401, "authentication_failed")),
        (no_event, (400, "invalid_request")),
    ] {
        assert_eq!((answer.status, &*code(&answer)), wanted);
        assert_ne!(answer.text("description"), "");
        assert_eq!(answer.header("content-language"), Some("en"));
    }
}

async fn an_event_of_six_days_ago_is_taken_once_for_as_long_as_it_may_come(world: World) {
    let token = world.tokens("alice").await;
    let mut claims = world.claims(&format!("{CAEP}/session-revoked"), alice());
    claims["iat"] = (now(&world.server) - 6 * 86_400).into();
    let signed = world.sign(&claims);

    let first = world.push("hr", &signed).await;

    assert_eq!(first.status, 202, "{}", first.body);
    assert!(!world.server.is_active(&token).await);
    // All but a moment of its last day.
    world.server.advance(86_300);
    let app = &world.server.running.as_ref().unwrap().app;
    symbolon_server::testing::purge(app).await;
    let token = world.tokens("alice").await;
    let again = world.push("hr", &signed).await;
    assert_eq!(again.status, 202, "what comes again is taken again");
    assert!(world.server.is_active(&token).await, "and does nothing");
    world.server.advance(101);
    assert_eq!(code(&world.push("hr", &signed).await), "invalid_request");
}

async fn only_the_bearer_of_a_source_is_heard(world: World) {
    let token = world.tokens("alice").await;
    let event = world.sign(&world.claims(&format!("{CAEP}/session-revoked"), alice()));

    for (source, bearer) in [
        ("hr", "another bearer of thirty-two characters"),
        ("nobody", BEARER),
        ("asked", BEARER),
        ("", BEARER),
    ] {
        let answer = world.push_as(source, bearer, &event).await;
        assert!(
            matches!(answer.status, 401 | 404),
            "{source}: {}",
            answer.status
        );
    }
    let bare = world
        .server
        .request(Method::POST, "/signals/hr")
        .body(event);
    let bare = read(bare.send().await.unwrap()).await;

    assert_eq!((bare.status, &*code(&bare)), (401, "authentication_failed"));
    assert!(world.server.is_active(&token).await);
}

async fn a_source_speaks_of_people_whom_it_may_name(world: World) {
    let event = format!("{CAEP}/session-revoked");
    let alice_token = world.tokens("alice").await;
    let bob_token = world.tokens("bob").await;
    let person = admin(&world.server, Method::GET, "users/alice", None).await;
    let id = person.text("id");
    let iss = |iss: &str, sub: &str| json!({ "format": "iss_sub", "iss": iss, "sub": sub });
    for (number, (source, subject)) in [
        (
            "hr",
            json!({ "format": "email", "email": "bob@example.com" }),
        ),
        ("hr", json!({ "format": "email", "email": "alice" })),
        ("hr", json!({ "format": "opaque", "id": "alice" })),
        ("hr", iss(&world.partner.issuer, "alice")),
        ("hr", iss("https://other.example.net", &id)),
        (
            "hr",
            json!({ "format": "phone_number", "phone_number": "+1" }),
        ),
        ("acme", iss(&world.server.name(), "usr_nobody")),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = world.claims(&event, subject.clone());
        claims["jti"] = format!("nobody {number}").into();
        let answer = world.push(source, &world.sign(&claims)).await;
        assert_eq!(answer.status, 202, "{subject}");
    }
    assert!(world.server.is_active(&alice_token).await);
    assert!(world.server.is_active(&bob_token).await);
    let counted = world.server.admin(Method::GET, "/metrics", None).await.body;
    let nobody = r#"symbolon_signals_total{outcome="nobody"}"#;
    assert!(counted.contains(nobody), "{counted}");

    let own = iss(&world.server.name(), &id);
    let session = json!({ "format": "opaque", "id": "theirs" });
    let whole = json!({ "format": "complex", "user": own, "session": session });
    let answer = world
        .push("acme", &world.sign(&world.claims(&event, whole)))
        .await;

    assert_eq!(answer.status, 202);
    assert!(!world.server.is_active(&alice_token).await, "a member");
    let bob = admin(&world.server, Method::GET, "users/bob", None)
        .await
        .text("id");
    let mut claims = world.claims(&event, iss(&world.server.name(), &bob));
    claims["jti"] = "bob".into();
    world.push("acme", &world.sign(&claims)).await;
    assert!(world.server.is_active(&bob_token).await, "no member");
}

async fn a_source_does_no_more_than_it_may(world: World) {
    let by_name = json!({ "format": "opaque", "id": "alice" });
    let is_enabled = async || {
        let alice = admin(&world.server, Method::GET, "users/alice", None).await;
        alice.json()["enabled"] == true
    };
    let push = async |source: &str, event: &str, subject: &Value| {
        let signed = world.sign(&world.claims(event, subject.clone()));
        let answer = world.push(source, &signed).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    let token = world.tokens("alice").await;
    push("it", &format!("{CAEP}/session-revoked"), &by_name).await;
    assert!(world.server.is_active(&token).await, "it may only disable");
    push("hr", &format!("{RISC}/account-purged"), &alice()).await;
    assert!(is_enabled().await, "hr may only sign out");
    assert!(!world.server.is_active(&token).await);
    let token = world.tokens("alice").await;

    push("it", &format!("{RISC}/account-disabled"), &by_name).await;

    assert!(!is_enabled().await);
    assert!(!world.server.is_active(&token).await);
    push("it", &format!("{RISC}/account-enabled"), &by_name).await;
    assert!(!is_enabled().await, "an administrator lets people in again");
    for event in ["https://example.com/unknown", RISC, CAEP] {
        push("hr", event, &alice()).await;
    }
    let ssf = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    push("hr", ssf, &json!({ "format": "opaque", "id": "stream" })).await;
}

async fn a_source_that_does_not_call_is_asked(world: World) {
    let token = world.tokens("alice").await;
    let event = world.sign(&world.claims(&format!("{CAEP}/session-revoked"), alice()));
    let wrong = json!({ "aud": "https://them.example.com", "iss": world.partner.issuer });
    {
        let mut sets = world.waiting.sets.lock().unwrap();
        sets.insert("good".to_owned(), event.into());
        sets.insert("wrong".to_owned(), world.sign(&wrong).into());
        sets.insert("garbage".to_owned(), 7.into());
    }

    while !world.waiting.sets.lock().unwrap().is_empty() {
        world.server.advance(1);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    assert!(!world.server.is_active(&token).await);
    let said = world.waiting.said.lock().unwrap().clone();
    let asked = |name: &str| said.iter().find(|own| own.get(name).is_some()).cloned();
    assert_eq!(asked("ack").unwrap()["ack"], json!(["good"]));
    let refused = asked("setErrs").unwrap()["setErrs"].clone();
    assert_eq!(refused["wrong"]["err"], "invalid_audience");
    assert_eq!(refused["garbage"]["err"], "invalid_request");
    let languages = world.waiting.languages.lock().unwrap().clone();
    for (asked, language) in said.iter().zip(languages) {
        let wanted = asked.get("setErrs").map(|_| "en");
        assert_eq!(language.as_deref(), wanted, "{asked}");
    }
}

async fn a_flood_of_one_source_is_bounded(world: World) {
    let mut statuses = Vec::new();
    for _ in 0..220 {
        statuses.push(world.push("hr", "a.b.c").await.status);
    }
    let answer = world.push("hr", "a.b.c").await;

    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("1"))
    );
    assert!(statuses[..200].iter().all(|status| *status == 400));
    let elsewhere = world.push("it", "a.b.c").await;
    assert_eq!(elsewhere.status, 400, "another source is heard");
}
