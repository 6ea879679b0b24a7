//! What stays open: bodies, events, WebSockets, and how they end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::issuer::{API, SHORT, http};
use crate::raw;
use crate::site::{Got, Site, needs, route, to};

/// How long what a token opened may go on after its end: five times the second
/// that is promised, for a busy machine.
pub(crate) const PROMPT: Duration = Duration::from_secs(5);

/// Asks until the answer is 401, as it has to be soon after a token was taken back;
/// until then it is 200.
pub(crate) async fn until_refused(ask: impl AsyncFn() -> u16) {
    let begin = Instant::now();
    loop {
        let asked = begin.elapsed();
        let status = ask().await;
        if status == 401 {
            return;
        }
        assert_eq!(status, 200);
        assert!(asked < PROMPT, "it is not taken back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads a body until it ends or breaks off, and says how long that took.
pub(crate) async fn rest_of(mut answer: reqwest::Response) -> Duration {
    let begin = Instant::now();
    let reading = async { while let Ok(Some(_)) = answer.chunk().await {} };
    timeout(Duration::from_secs(30), reading)
        .await
        .expect("it went on");
    begin.elapsed()
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_end_when_the_token_is_taken_back() {
    let site = Site::start().await;
    for path in ["/events", "/flood"] {
        let token = site.issuer.token(API, "read").await;
        let mut answer = site.get(path, &token).await;
        assert_eq!(answer.status(), 200);
        let first = answer.chunk().await.unwrap().unwrap();
        assert!(!first.is_empty());
        let reading = tokio::spawn(rest_of(answer));
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert!(!reading.is_finished(), "{path} ended by itself");

        site.issuer.revoke(&token).await;

        let begin = Instant::now();
        reading.await.unwrap();
        assert!(begin.elapsed() < PROMPT, "{path}: {:?}", begin.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_end_with_their_token_unless_their_route_lets_them_run() {
    let site = Site::with(|settings| {
        let issuer = match &settings.routes[0].demand {
            symbolon_gateway::Demand::Token(demand) => demand.issuer.clone(),
            symbolon_gateway::Demand::Public => panic!("the first route is protected"),
        };
        settings.routes = vec![route("/events", needs(&issuer, SHORT, "read"))];
    });
    let site = site.await;
    // Its three seconds begin in between, and are whole ones.
    let begin = Instant::now();
    let token = site.issuer.token(SHORT, "read").await;
    let answer = site.get("/events", &token).await;
    let took = rest_of(answer).await;
    assert!(begin.elapsed() >= Duration::from_secs(2));
    assert!(took < Duration::from_secs(3) + PROMPT, "{took:?}");

    let mut settings = site.settings();
    let mut events = route("/events", needs(&site.issuer.url, SHORT, "read"));
    events.on_expiry = symbolon_gateway::OnExpiry::LetRun;
    settings.routes = vec![events];
    site.running.gateway.reload(settings).await.unwrap();
    let token = site.issuer.token(SHORT, "read").await;
    let reading = tokio::spawn(rest_of(site.get("/events", &token).await));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!reading.is_finished(), "it was to run on");
    reading.abort();
}

/// Opens a WebSocket with a token; answers the stream and what was answered.
pub(crate) async fn open(site: &Site, token: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(site.gateway).await.unwrap();
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        match timeout(PROMPT, stream.read_u8()).await.unwrap() {
            Ok(byte) => answer.push(byte),
            Err(_) => break,
        }
    }
    (stream, String::from_utf8_lossy(&answer).into_owned())
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_carries_bytes_both_ways_and_ends_with_its_token() {
    let site = Site::start().await;
    let (_, refused) = open(&site, "nonsense").await;
    assert_eq!(raw::statuses(&refused), [401]);
    let token = site.issuer.token(API, "read").await;
    let (mut stream, answer) = open(&site, &token).await;
    assert_eq!(raw::statuses(&answer), [101], "{answer}");
    let mut echoed = [0; 5];
    for _ in 0..3 {
        stream.write_all(b"hello").await.unwrap();
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"hello");
    }

    site.issuer.revoke(&token).await;

    let mut left = Vec::new();
    let ended = timeout(PROMPT, stream.read_to_end(&mut left)).await;
    assert!(ended.is_ok(), "it stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_upgrade_is_left_out() {
    let site = Site::start().await;
    let asks = "Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let head = format!("GET /public/x HTTP/1.1\r\nHost: a\r\n{asks}\r\n");

    let answer = raw::send(site.gateway, head.as_bytes()).await;

    assert_eq!(raw::statuses(&answer), [200], "{answer}");
    assert!(!answer.contains("[\"upgrade\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_at_the_end_of_a_body_arrives() {
    let site = Site::start().await;

    let answer = raw::get(site.gateway, b"/public/trailers", "TE: trailers\r\n").await;

    assert_eq!(raw::statuses(&answer), [200], "{answer}");
    let late = answer.split("\r\n0\r\n").nth(1).unwrap_or_default();
    assert!(late.contains("x-sum: 5"), "{answer}");
}

/// Attack: L330
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_asked_for_only_once_its_sender_was_let_in() {
    let site = Site::start().await;
    let post = |token: &str| {
        format!(
            "POST /orders/7 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
    };
    let refused = raw::send(site.gateway, post("nonsense").as_bytes()).await;
    assert_eq!(raw::statuses(&refused), [401], "{refused}");

    let token = site.issuer.token(API, "write").await;
    let mut stream = TcpStream::connect(site.gateway).await.unwrap();
    stream.write_all(post(&token).as_bytes()).await.unwrap();
    let mut first = [0; 12];
    timeout(PROMPT, stream.read_exact(&mut first))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 100");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(raw::statuses(&answer), [200], "{answer}");
    assert!(answer.contains("\"body\":\"hello\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_larger_than_its_route_allows_is_refused_either_way() {
    let site = Site::with(|settings| {
        for route in &mut settings.routes {
            route.max_body_bytes = 1_000;
        }
    });
    let site = site.await;
    let post = async |size: usize| {
        let request = http().post(site.url("/public/x")).body("x".repeat(size));
        request.send().await.unwrap()
    };
    assert_eq!(post(1_000).await.status(), 200);
    assert_eq!(post(1_001).await.status(), 413);
    let chunked = format!(
        "POST /public/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        "x".repeat(1_001)
    );
    let answer = raw::send(site.gateway, chunked.as_bytes()).await;
    assert_eq!(raw::statuses(&answer), [413], "{answer}");
    assert_eq!(raw::code(&answer), "body-large");
    assert_eq!(site.upstream.seen(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_are_spoken_on_both_sides() {
    let site = Site::with(|settings| {
        let mut second = to("second", "127.0.0.1:1".parse().unwrap());
        second.urls = settings.upstreams[0].urls.clone();
        second.spoken = symbolon_gateway::Spoken::Http2;
        settings.upstreams.push(second);
        let mut own = route("/second/{*rest}", symbolon_gateway::Demand::Public);
        own.upstream = "second".into();
        settings.routes.push(own);
    });
    let site = site.await;
    #[expect(clippy::disallowed_methods, reason = "calls on loopback")]
    let second = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge();
    let second = second.build().unwrap();
    for client in [&second, &http()] {
        for path in ["/public/x", "/second/x"] {
            let request = client.post(site.url(path)).body("hello");
            let got = Got::of(request.send().await.unwrap()).await;
            assert!(got.text("target").ends_with(path), "{}", got.0);
            assert_eq!(got.text("body"), "hello");
        }
    }
    let token = site.issuer.token(API, "read").await;
    let refused = second.get(site.url("/orders/7")).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let good = second.get(site.url("/orders/7")).bearer_auth(&token);
    assert_eq!(good.send().await.unwrap().status(), 200);
}
