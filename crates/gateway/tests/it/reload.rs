//! New settings, and an end, while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use symbolon_gateway::Demand;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::issuer::{API, http};
use crate::site::{Site, needs, route};
use crate::stream::PROMPT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_settings_hold_at_once_and_no_connection_is_dropped() {
    let site = Arc::new(Site::start().await);
    let token = site.issuer.token(API, "read").await;
    let (is_done, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let calling = {
        let (site, token) = (Arc::clone(&site), token.clone());
        let (is_done, count) = (Arc::clone(&is_done), Arc::clone(&count));
        tokio::spawn(async move {
            let client = http();
            while !is_done.load(Ordering::SeqCst) {
                let request = client.get(site.url("/orders/7")).bearer_auth(&token);
                assert_eq!(request.send().await.unwrap().status(), 200);
                count.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    for _ in 0..5 {
        site.running.gateway.reload(site.settings()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut settings = site.settings();
    settings
        .routes
        .push(route("/new", needs(&site.issuer.url, API, "read")));
    assert_eq!(site.get("/new", &token).await.status(), 404);

    site.running.gateway.reload(settings).await.unwrap();

    assert_eq!(site.get("/new", &token).await.status(), 200);
    is_done.store(true, Ordering::SeqCst);
    calling.await.unwrap();
    assert!(count.load(Ordering::SeqCst) > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_settings_wait_for_no_issuer_longer_than_for_one() {
    let site = Site::start().await;
    // It lets everybody in and answers nobody.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", silent.local_addr().unwrap());
    let mut settings = site.settings();
    for audience in [
        "https://one.example",
        "https://two.example",
        "https://three.example",
    ] {
        let path = format!("/{}", &audience[8..]);
        let demand = needs(&issuer, audience, "read");
        settings.routes.push(route(&path, demand));
    }
    let begin = tokio::time::Instant::now();

    site.running.gateway.reload(settings).await.unwrap();

    assert!(
        begin.elapsed() < Duration::from_secs(9),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_lead_nowhere_change_nothing() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let mut settings = site.settings();
    settings.upstreams.clear();

    let refused = site.running.gateway.reload(settings).await;

    assert_eq!(refused.unwrap_err().code(), "gateway.upstream");
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_ends_when_new_settings_would_refuse_it() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let mut answer = site.get("/events", &token).await;
    assert!(answer.chunk().await.unwrap().is_some());
    let mut settings = site.settings();
    settings
        .routes
        .retain(|own| own.path.to_string() != "/events");
    settings
        .routes
        .push(route("/events", needs(&site.issuer.url, API, "write")));

    site.running.gateway.reload(settings).await.unwrap();

    let rest = async { while let Ok(Some(_)) = answer.chunk().await {} };
    assert!(timeout(PROMPT, rest).await.is_ok());
    assert_eq!(site.get("/events", &token).await.status(), 403);
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_of_a_public_route_ends_when_its_route_asks_for_a_token() {
    let site = Site::with(|settings| {
        settings
            .routes
            .retain(|own| own.path.to_string() != "/events");
        settings.routes.push(route("/events", Demand::Public));
    })
    .await;
    let answer = http().get(site.url("/events")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut answer = answer;
    assert!(answer.chunk().await.unwrap().is_some());
    let before = tokio::spawn(async move { while let Ok(Some(_)) = answer.chunk().await {} });
    let mut settings = site.settings();
    for own in &mut settings.routes {
        if own.path.to_string() == "/events" {
            own.demand = Demand::Public;
        }
    }
    site.running.gateway.reload(settings).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!before.is_finished(), "the route is still public");

    site.running.gateway.reload(site.settings()).await.unwrap();

    let ended = timeout(PROMPT, before).await;
    assert!(ended.is_ok(), "it stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_begun_is_answered_to_the_end() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "write").await;
    let url = format!("{}", site.gateway);
    let head = format!(
        "POST /orders/7 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut stream = TcpStream::connect(&url).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // It has begun where the body is asked for.
    let mut first = [0; 25];
    let asked = timeout(Duration::from_secs(10), stream.read_exact(&mut first));
    asked.await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();

    let stopping = tokio::spawn(site.running.stop());

    let refused = async {
        while TcpStream::connect(&url).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), refused).await.unwrap();
    stream.write_all(b"world").await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    timeout(Duration::from_secs(10), reading)
        .await
        .unwrap()
        .unwrap();
    assert!(answer.contains("helloworld"), "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("connection: close"),
        "{answer}"
    );
    timeout(Duration::from_secs(10), stopping)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(&url).await.is_err());
}
