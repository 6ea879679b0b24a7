//! Sources that are asked with a bearer that ends: another one is asked for in time,
//! and where it is refused before.
//!
//! Spec: RFC 6749 §4.4
//! Spec: RFC 8936 §2

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::admin;
use super::stream::{fetched, receiver};
use crate::browser::{Browser, request};
use crate::harness::{SECRET, Server};

macro_rules! with_a_transmitter {
    ($($name:ident $given:expr;)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (transmitter, text) = super::Transmitter::open($given).await;
                let server = super::Server::on_sqlite_with(&text).await;
                super::$name(server, transmitter).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (transmitter, text) = super::Transmitter::open($given).await;
                let server = super::Server::on_postgres_with(&text).await;
                super::$name(server, transmitter).await;
            })*
        }
    };
}

with_a_transmitter! {
    a_bearer_is_kept_until_shortly_before_its_end super::Given::default();
    a_bearer_that_is_refused_before_its_end_is_replaced_at_once super::Given::default();
    whoever_gives_no_bearer_is_asked_again_and_counted super::Given::closed();
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
const OWN_SECRET: &str = "a secret: 100 % + more";

/// A transmitter that takes the newest bearer that its token endpoint gave.
#[derive(Clone)]
struct Transmitter(Arc<Mutex<Given>>);

#[derive(Default)]
struct Given {
    /// What the token endpoint was asked: the header, and the form.
    asked: Vec<(String, String)>,
    /// What it was shown at the other one.
    shown: Vec<String>,
    /// How it answered that.
    answered: Vec<u16>,
    /// The newest bearer, unless it was taken back.
    good: Option<String>,
    /// Whether it gives no bearers now.
    is_closed: bool,
}

impl Given {
    fn closed() -> Self {
        Self {
            is_closed: true,
            ..Self::default()
        }
    }
}

impl Transmitter {
    async fn open(given: Given) -> (Self, String) {
        let transmitter = Self(Arc::new(Mutex::new(given)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/token", post(give))
            .route("/poll", post(answer))
            .with_state(transmitter.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let text = format!(
            "[[signal_source]]\nid = \"asked\"\nissuer = \"https://partner.example.net\"\njwks_uri = \"{url}/jwks\"\naudience = \"https://us.example.com\"\npoll_url = \"{url}/poll\"\ntoken_endpoint = \"{url}/token\"\nclient_id = \"us\"\nclient_secret = \"{OWN_SECRET}\"\nscope = \"ssf.read\"\nresource = \"{url}\"\n"
        );
        (transmitter, text)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Given) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Lets time pass until the transmitter has seen something.
    async fn wait_for(&self, server: &Server, seen: impl Fn(&Given) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !self.with(|given| seen(given)) {
            let answered = self.with(|given| given.answered.clone());
            assert!(Instant::now() < until, "{answered:?}");
            server.advance(5);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn authorization(headers: &HeaderMap) -> String {
    let header = headers.get("authorization");
    let header = header.and_then(|value| value.to_str().ok());
    header.unwrap_or_default().to_owned()
}

async fn give(
    State(transmitter): State<Transmitter>,
    headers: HeaderMap,
    form: String,
) -> (StatusCode, String) {
    transmitter.with(|given| {
        given.asked.push((authorization(&headers), form));
        if given.is_closed {
            return (StatusCode::UNAUTHORIZED, "{}".to_owned());
        }
        let token = format!("token-{}", given.asked.len());
        let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600 });
        given.good = Some(format!("Bearer {token}"));
        (StatusCode::OK, body.to_string())
    })
}

async fn answer(
    State(transmitter): State<Transmitter>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    transmitter.with(|given| {
        let shown = authorization(&headers);
        let status = match given.good.as_ref() == Some(&shown) {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        };
        given.shown.push(shown);
        given.answered.push(status.as_u16());
        (status, json!({ "sets": {} }).to_string())
    })
}

async fn a_bearer_is_kept_until_shortly_before_its_end(server: Server, transmitter: Transmitter) {
    transmitter
        .wait_for(&server, |given| given.answered.len() >= 3)
        .await;
    let (header, form) = transmitter.with(|given| {
        assert_eq!(given.asked.len(), 1, "it is kept");
        given.asked[0].clone()
    });
    let encoded = header.strip_prefix("Basic ").unwrap();
    let (id, secret) = symbolon_protocol::basic::decode(encoded).unwrap();
    assert_eq!((id.as_str(), &*secret), ("us", OWN_SECRET));
    assert!(
        form.starts_with("grant_type=client_credentials&scope=ssf.read&resource=http"),
        "{form}"
    );

    server.advance_steadily(580);

    transmitter
        .wait_for(&server, |given| {
            let last = given.shown.last();
            last.is_some_and(|shown| shown == "Bearer token-2")
        })
        .await;
    transmitter.with(|given| {
        assert_eq!(given.asked.len(), 2);
        assert!(given.answered.iter().all(|status| *status == 200));
    });
}

async fn a_bearer_that_is_refused_before_its_end_is_replaced_at_once(
    server: Server,
    transmitter: Transmitter,
) {
    transmitter
        .wait_for(&server, |given| !given.answered.is_empty())
        .await;

    transmitter.with(|given| given.good = None);

    transmitter
        .wait_for(&server, |given| {
            given.answered.contains(&401) && given.answered.last() == Some(&200)
        })
        .await;
    transmitter.with(|given| assert_eq!(given.asked.len(), 2));
}

async fn whoever_gives_no_bearer_is_asked_again_and_counted(
    server: Server,
    transmitter: Transmitter,
) {
    transmitter
        .wait_for(&server, |given| given.asked.len() >= 2)
        .await;
    transmitter.with(|given| assert!(given.answered.is_empty(), "nothing is shown"));

    transmitter.with(|given| given.is_closed = false);

    transmitter
        .wait_for(&server, |given| given.answered.contains(&200))
        .await;
    let is_counted = async || {
        let counted = server.admin(Method::GET, "/metrics", None).await.body;
        ["ok", "failed"].iter().all(|outcome| {
            let line = format!("symbolon_signal_polls_total{{outcome=\"{outcome}\"}}");
            counted.contains(&line)
        })
    };
    let until = Instant::now() + PATIENCE;
    while !is_counted().await {
        assert!(Instant::now() < until, "it is not counted");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What a server says to streams, another one takes for longer than a token of the
/// first is good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_asks_another_one_for_longer_than_a_token_is_good() {
    let transmitter = Server::on_sqlite().await;
    let token = receiver(&transmitter).await;
    let id = fetched(&transmitter, &token).await;
    let name = transmitter.name();
    let text = format!(
        "[[signal_source]]\nid = \"asked\"\nissuer = \"{name}\"\njwks_uri = \"{name}/.well-known/jwks.json\"\naudience = \"web\"\npoll_url = \"{name}/ssf/poll/{id}\"\ntoken_endpoint = \"{name}/token\"\nclient_id = \"web\"\nclient_secret = \"{SECRET}\"\nscope = \"ssf.manage\"\nresource = \"{name}\"\n"
    );
    let own = format!("stream:{id}");
    let waiting = async || {
        let all = admin(&transmitter, Method::GET, "outbox", None).await;
        let all = all.json();
        let lines = all["items"].as_array().unwrap();
        let own = lines.iter().find(|line| line["receiver"] == *own);
        own.map_or(0, |line| line["waiting"].as_u64().unwrap())
    };
    let tell = async || {
        Browser::new(&transmitter).tokens("alice", &request()).await;
        let body = Some(json!({ "subject": "alice" }));
        admin(&transmitter, Method::POST, "revoke", body).await;
    };
    tell().await;
    assert_eq!(waiting().await, 1);
    let server = Server::on_sqlite_with(&text).await;
    let taken = async |when: &str| {
        let until = Instant::now() + PATIENCE;
        while waiting().await > 0 {
            assert!(Instant::now() < until, "{when}");
            transmitter.advance(5);
            server.advance(5);
            sleep(Duration::from_millis(100)).await;
        }
    };
    taken("with its first token").await;

    let body = Some(json!({ "client": "web" }));
    admin(&transmitter, Method::POST, "revoke", body).await;
    tell().await;
    taken("after that was taken back").await;
    transmitter.advance(700);
    server.advance(700);
    tell().await;
    taken("after the second one has ended").await;

    let dead = admin(&transmitter, Method::GET, "dead-letters", None).await;
    assert_eq!(dead.json()["items"], json!([]), "nothing was refused");
}
