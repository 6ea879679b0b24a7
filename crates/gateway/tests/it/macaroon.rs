//! What stays open that began with a macaroon: it ends with what its discharges
//! rest on, and where nobody can know.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use symbolon_gateway::{Demand, Launch, Running};
use symbolon_server::clock::SystemClock;
use symbolon_token::Clock;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::issuer::{Issuer, SECRET, http};
use crate::site::{edge, needs, route, settings};
use crate::stream::{PROMPT, rest_of};
use crate::upstream::Upstream;

/// An API whose macaroons the issuer alone can check.
const SEALED: &str = "https://sealed.example";
/// An API that checks its macaroons itself.
const SHARED: &str = "https://shared.example";

/// A macaroon that only its issuer knows.
const STRANGE: &str =
    "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";

/// How old the knowledge of a route may be.
const STALE: Duration = Duration::from_secs(3);

fn apis() -> String {
    let mut text = format!(
        "[[client]]\nid = \"scribe\"\nkind = \"service\"\nsecret = \"{SECRET}\"\ngrants = [\"client_credentials\"]\nscopes = [\"read\"]\nresources = [\"{SEALED}\", \"{SHARED}\"]\n"
    );
    for (identifier, keys) in [(SEALED, "server"), (SHARED, "shared")] {
        text += &format!(
            "[[resource]]\nidentifier = \"{identifier}\"\nscopes = [\"read\"]\nintrospection_client = \"guard\"\ntoken_format = \"macaroon\"\nmacaroon_keys = \"{keys}\"\n"
        );
    }
    text
}

/// A gateway with one route, to events that never end.
async fn gateway(issuer: &str, audience: &str) -> (SocketAddr, Running) {
    let upstream = Upstream::start().await;
    let mut settings = settings(issuer, upstream.address);
    let mut demand = needs(issuer, audience, "read");
    if let Demand::Token(own) = &mut demand {
        own.max_staleness = Some(STALE);
    }
    settings.routes = vec![route("/events", demand)];
    let launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None);
    let launch = launch.await.unwrap();
    let address = launch.public.local_addr().unwrap();
    (address, launch.start(settings, edge()).unwrap())
}

/// Opens events, and waits for the first.
async fn opened(gateway: SocketAddr, token: &str) -> reqwest::Response {
    let request = http().get(format!("http://{gateway}/events"));
    let mut answer = request.bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.chunk().await.unwrap().is_some());
    answer
}

/// Passes connections on, until the way is cut.
async fn pass(listener: TcpListener, to: SocketAddr, is_open: watch::Receiver<bool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut is_open = is_open.clone();
        tokio::spawn(async move {
            if !*is_open.borrow() {
                return;
            }
            let mut far = TcpStream::connect(to).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = is_open.changed() => {}
            }
        });
    }
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_macaroon_end_where_nobody_can_know_whether_it_is_taken_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outside = listener.local_addr().unwrap();
    let issuer = Issuer::with(Some(outside), &apis()).await;
    let (is_open, passing) = watch::channel(true);
    tokio::spawn(pass(listener, issuer.address, passing));
    let mut all = Vec::new();
    for audience in [SEALED, SHARED] {
        let token = issuer.token_of("scribe", audience, "read").await;
        let (address, running) = gateway(&issuer.url, audience).await;
        running.gateway.warm().await;
        let reading = tokio::spawn(rest_of(opened(address, &token).await));
        all.push((audience, reading, running));
    }
    sleep(STALE + Duration::from_millis(1_200)).await;
    for (audience, reading, _) in &all {
        assert!(!reading.is_finished(), "{audience} ended by itself");
    }

    is_open.send(false).unwrap();

    let begin = Instant::now();
    for (audience, reading, _running) in all {
        reading.await.unwrap();
        let took = begin.elapsed();
        assert!(took < STALE + PROMPT, "{audience}: {took:?}");
    }
}

/// What an issuer of this module says of every token, and what it was asked last.
struct Stub {
    says: Mutex<Value>,
    asked: Mutex<String>,
}

async fn introspect(State(stub): State<Arc<Stub>>, form: String) -> Json<Value> {
    *stub.asked.lock().unwrap() = form;
    Json(stub.says.lock().unwrap().clone())
}

/// An issuer that offers no feed.
async fn stub() -> (String, Arc<Stub>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let now = SystemClock::start().now().seconds();
    let stub = Arc::new(Stub {
        says: Mutex::new(json!({
            "active": true, "iss": url, "sub": "usr_1", "aud": SEALED, "client_id": "web",
            "scope": "read", "exp": now + 3600, "iat": now, "jti": "t1",
        })),
        asked: Mutex::default(),
    });
    let metadata = json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"),
        "introspection_endpoint": format!("{url}/introspect"),
    });
    let router = Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(async move || Json(metadata)),
        )
        .route("/introspect", post(introspect))
        .with_state(Arc::clone(&stub));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, stub)
}

/// Whoever approved is disabled, say: the feed has nothing to tell a resource of
/// that, and the issuer alone knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_end_when_what_a_discharge_rests_on_is_taken_back() {
    let (issuer, stub) = stub().await;
    let (address, _running) = gateway(&issuer, SEALED).await;
    let reading = tokio::spawn(rest_of(opened(address, STRANGE).await));
    sleep(Duration::from_millis(1_200)).await;
    assert!(!reading.is_finished(), "it ended by itself");
    let begin = Instant::now();
    let asked = loop {
        let asked = stub.asked.lock().unwrap().clone();
        if asked.ends_with("&count=no") {
            break asked;
        }
        assert!(begin.elapsed() < PROMPT, "it is counted: {asked}");
        sleep(Duration::from_millis(20)).await;
    };
    assert!(asked.contains("&method=GET&uri=%2Fevents&"), "{asked}");

    *stub.says.lock().unwrap() = json!({ "active": false });

    let begin = Instant::now();
    reading.await.unwrap();
    assert!(begin.elapsed() < PROMPT * 2, "{:?}", begin.elapsed());
}
