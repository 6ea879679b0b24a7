//! Events of a source whose keys cannot be had: they are not refused, and come
//! again.
//!
//! Spec: RFC 8935 §2.3
//! Spec: RFC 8936 §2.4

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::jose::SigningKey;
use tokio::net::TcpListener;

use super::source::Waiting;
use crate::browser::{Browser, request};
use crate::exchange::world::now;
use crate::harness::{Answer, Server, read};

macro_rules! with_a_source {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let source = super::Source::open().await;
                let server = super::Server::on_sqlite_with(&source.text).await;
                super::$name(server, source).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let source = super::Source::open().await;
                let server = super::Server::on_postgres_with(&source.text).await;
                super::$name(server, source).await;
            })*
        }
    };
}

with_a_source! {
    a_pushed_event_whose_keys_cannot_be_had_is_to_come_again
    a_pushed_event_by_a_key_that_nobody_may_look_for_yet_is_to_come_again
    a_bad_signature_by_a_known_key_is_refused_at_once
    a_fetched_event_whose_keys_cannot_be_had_is_neither_taken_nor_refused
}

const BEARER: &str = "a bearer of thirty-two characters";
const ISSUER: &str = "https://partner.example.net";

/// A source that pushes and is asked, and where its keys are.
struct Source {
    key: SigningKey,
    published: Published,
    waiting: Waiting,
    text: String,
}

/// The key set; nothing while it cannot be had.
#[derive(Clone, Default)]
struct Published(Arc<Mutex<Option<String>>>);

async fn keys(State(published): State<Published>) -> (StatusCode, String) {
    match published.0.lock().unwrap().clone() {
        Some(set) => (StatusCode::OK, set),
        None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    }
}

fn fresh_key() -> SigningKey {
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap()
}

impl Source {
    async fn open() -> Self {
        let published = Published::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let jwks = format!("http://{}/jwks", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/jwks", get(keys))
            .with_state(published.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let (waiting, polled) = Waiting::open().await;
        let source = |id: &str, more: &str| {
            format!(
                "[[signal_source]]\nid = \"{id}\"\nissuer = \"{ISSUER}\"\njwks_uri = \"{jwks}\"\naudience = \"https://us.example.com\"\n{more}\n"
            )
        };
        let asked = format!("poll_url = \"{polled}\"\npoll_token = \"{BEARER}\"");
        let text = [
            source("hr", &format!("push_secret = \"{BEARER}\"")),
            source("asked", &asked),
        ];
        Self {
            key: fresh_key(),
            published,
            waiting,
            text: text.concat(),
        }
    }

    fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
        *self.published.0.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }
}

fn event(server: &Server, key: &SigningKey, jti: &str) -> String {
    let name = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    let claims = json!({
        "iss": ISSUER, "aud": "https://us.example.com", "jti": jti, "iat": now(server),
        "sub_id": { "format": "email", "email": "alice@example.com" },
        "events": { name: {} },
    });
    key.sign("secevent+jwt", claims.to_string().as_bytes())
}

async fn push(server: &Server, event: &str) -> Answer {
    let request = server
        .request(Method::POST, "/signals/hr")
        .bearer_auth(BEARER)
        .header("content-type", "application/secevent+jwt")
        .body(event.to_owned());
    read(request.send().await.unwrap()).await
}

async fn alice(server: &Server) -> String {
    let tokens = Browser::new(server).tokens("alice", &request()).await;
    tokens.text("access_token")
}

fn assert_comes_again(answer: &Answer) {
    let is = (answer.status, answer.header("retry-after"));
    assert_eq!(is, (503, Some("30")), "{}", answer.body);
}

async fn a_pushed_event_whose_keys_cannot_be_had_is_to_come_again(server: Server, source: Source) {
    let token = alice(&server).await;
    let event = event(&server, &source.key, "1");
    assert_comes_again(&push(&server, &event).await);
    source.publish(&[&source.key]);
    server.advance_steadily(1);

    // The place is not asked again so soon.
    assert_comes_again(&push(&server, &event).await);

    assert!(server.is_active(&token).await);
    server.advance_steadily(30);
    assert_eq!(push(&server, &event).await.status, 202);
    assert!(!server.is_active(&token).await);
}

async fn a_pushed_event_by_a_key_that_nobody_may_look_for_yet_is_to_come_again(
    server: Server,
    source: Source,
) {
    source.publish(&[&source.key]);
    let first = event(&server, &source.key, "1");
    assert_eq!(push(&server, &first).await.status, 202);
    let next = fresh_key();
    source.publish(&[&source.key, &next]);
    server.advance_steadily(1);
    let token = alice(&server).await;
    let (second, stranger) = (
        event(&server, &next, "2"),
        event(&server, &fresh_key(), "3"),
    );

    for event in [&second, &stranger] {
        assert_comes_again(&push(&server, event).await);
    }

    assert!(server.is_active(&token).await);
    server.advance_steadily(30);
    assert_eq!(push(&server, &second).await.status, 202);
    assert!(!server.is_active(&token).await);
    server.advance_steadily(31);
    let refused = push(&server, &stranger).await;
    assert_eq!(
        (refused.status, &*refused.text("err")),
        (400, "invalid_key"),
        "the set was asked for, and there is none"
    );
}

async fn a_bad_signature_by_a_known_key_is_refused_at_once(server: Server, source: Source) {
    source.publish(&[&source.key]);
    let (one, other) = (
        event(&server, &source.key, "1"),
        event(&server, &source.key, "2"),
    );
    assert_eq!(push(&server, &one).await.status, 202);
    server.advance_steadily(1);
    *source.published.0.lock().unwrap() = None;
    let (said, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = one.rsplit_once('.').unwrap();

    let refused = push(&server, &format!("{said}.{signature}")).await;

    assert_eq!(
        (refused.status, &*refused.text("err")),
        (400, "invalid_key")
    );
}

async fn a_fetched_event_whose_keys_cannot_be_had_is_neither_taken_nor_refused(
    server: Server,
    source: Source,
) {
    let token = alice(&server).await;
    let event = event(&server, &source.key, "good");
    let sets = Arc::clone(&source.waiting.sets);
    sets.lock().unwrap().insert("good".to_owned(), event.into());
    let said = || source.waiting.said.lock().unwrap().clone();
    let tick = async || {
        server.advance_steadily(6);
        // What is known would be too old before anybody looked.
        server.catch_up().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    };

    while said().len() < 3 {
        tick().await;
    }

    let is_silent = |asked: &Value| asked.get("ack").is_none() && asked.get("setErrs").is_none();
    assert!(said().iter().all(is_silent), "{:?}", said());
    assert!(server.is_active(&token).await);
    source.publish(&[&source.key]);
    while !sets.lock().unwrap().is_empty() {
        tick().await;
    }
    assert!(!server.is_active(&token).await);
    assert!(said().iter().all(|asked| asked.get("setErrs").is_none()));
}
