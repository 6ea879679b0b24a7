//! A decision point elsewhere: what it says is done, and without its clear yes
//! nobody passes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use symbolon_gateway::policy::{DecisionPoint, PolicySettings};
use tokio::time::{Instant, timeout};

use crate::issuer::{API, http};
use crate::site::{Nobody, Site};
use crate::stream::PROMPT;

/// What it does when it is asked.
#[derive(Clone, Copy)]
enum Does {
    Say(bool),
    Hang,
    Fail,
    Babble,
}

struct Point {
    address: SocketAddr,
    does: Mutex<Does>,
    count: AtomicUsize,
    asked: Mutex<Option<(HeaderMap, Value)>>,
}

impl Point {
    async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            does: Mutex::new(Does::Say(true)),
            count: AtomicUsize::new(0),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .route("/access/v1/evaluation", post(answer))
            .with_state(Arc::clone(&own));
        tokio::spawn(async move { axum::serve(listener, router).await });
        own
    }

    fn settings(&self) -> Option<PolicySettings> {
        self.within(Duration::from_secs(10))
    }

    /// The same with another patience.
    fn within(&self, timeout: Duration) -> Option<PolicySettings> {
        let url = format!("http://{}/access/v1/evaluation", self.address);
        Some(PolicySettings {
            decision_point: Some(DecisionPoint {
                url: url.parse().unwrap(),
                token: Some("what it wants to be shown".into()),
                timeout,
            }),
            ..PolicySettings::default()
        })
    }

    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }
}

async fn answer(
    State(own): State<Arc<Point>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    own.count.fetch_add(1, Ordering::SeqCst);
    *own.asked.lock().unwrap() = Some((headers, body));
    let does = *own.does.lock().unwrap();
    match does {
        Does::Say(decision) => Json(json!({ "decision": decision })).into_response(),
        Does::Hang => {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Json(json!({ "decision": true })).into_response()
        }
        Does::Fail => (StatusCode::BAD_GATEWAY, "{\"decision\":true}").into_response(),
        Does::Babble => "{\"decision\":\"true\"}".into_response(),
    }
}

async fn site(point: &Point) -> Site {
    Site::with(|settings| settings.policy = point.settings()).await
}

async fn reload(site: &Site, policy: Option<PolicySettings>) {
    let mut settings = site.settings();
    settings.policy = policy;
    site.running.gateway.reload(settings).await.unwrap();
}

/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_clear_yes_nobody_passes() {
    let point = Point::start().await;
    let site = site(&point).await;
    let token = site.issuer.token(API, "read").await;
    assert_eq!(site.get("/orders/7?secret=1", &token).await.status(), 200);
    {
        let asked = point.asked.lock().unwrap();
        let (headers, body) = asked.as_ref().unwrap();
        assert_eq!(headers["authorization"], "Bearer what it wants to be shown");
        assert!(headers.contains_key("x-request-id"));
        assert_eq!(body["subject"]["type"], "client");
        assert_eq!(body["subject"]["id"], "shop");
        assert_eq!(body["action"]["name"], "GET");
        assert_eq!(body["resource"]["id"], "/orders/{id}");
        assert_eq!(body["resource"]["properties"]["parameters"]["id"], "7");
        assert_eq!(body["context"]["address"], "127.0.0.1");
        let text = body.to_string();
        assert!(
            !text.contains(&token) && !text.contains("secret=1"),
            "{text}"
        );
    }
    for (does, status) in [
        (Does::Say(false), 403),
        (Does::Fail, 503),
        (Does::Babble, 503),
        (Does::Hang, 503),
        (Does::Say(true), 200),
    ] {
        let policy = match does {
            Does::Hang => point.within(Duration::from_millis(600)),
            _ => point.settings(),
        };
        reload(&site, policy).await;
        point.now(does);
        let begin = Instant::now();
        let answer = site.get("/orders/7", &token).await;
        assert_eq!(answer.status().as_u16(), status);
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    let mut nobody = point.settings();
    let elsewhere = Nobody::new();
    let url = format!("http://{}/", elsewhere.address);
    if let Some(own) = nobody.as_mut().and_then(|own| own.decision_point.as_mut()) {
        own.url = url.parse().unwrap();
    }
    reload(&site, nobody).await;
    assert_eq!(site.get("/orders/7", &token).await.status(), 503);
    // Its token is not good: nobody else is asked. A public route is open.
    let before = point.count.load(Ordering::SeqCst);
    assert_eq!(site.get("/orders/7", "nonsense").await.status(), 401);
    let public = http().get(site.url("/public/x")).send().await.unwrap();
    assert_eq!(public.status(), 200);
    assert_eq!(point.count.load(Ordering::SeqCst), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_ends_when_the_point_would_refuse_it() {
    let point = Point::start().await;
    let site = site(&point).await;
    let token = site.issuer.token(API, "read").await;
    let begin = Instant::now();
    let mut answer = site.get("/events", &token).await;
    assert_eq!(answer.status(), 200);
    answer.chunk().await.unwrap().unwrap();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = answer.chunk().await {} });
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!reading.is_finished(), "it ended though it is allowed");
    let asked = || point.count.load(Ordering::SeqCst);
    while asked() < 2 {
        assert!(begin.elapsed() < PROMPT, "it is not asked again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (asked, most) = (asked(), begin.elapsed().as_secs_f64() * 4.0);
    assert!(asked as f64 <= most, "asked {asked} times, {most} at most");

    point.now(Does::Say(false));

    timeout(PROMPT, reading).await.expect("it goes on").unwrap();
}
