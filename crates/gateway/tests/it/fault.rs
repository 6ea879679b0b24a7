//! Upstreams that fail, and callers that must not see each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_gateway::Upstream as To;
use symbolon_testkit::Row;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::issuer::{API, http};
use crate::raw;
use crate::site::{Got, Nobody, Site, to};

/// An upstream that reads a head, says these bytes and ends; it counts.
async fn saying(said: &'static [u8], pause: Duration) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(say(stream, said, pause, Arc::clone(&own)));
        }
    });
    (address, count)
}

async fn say(mut stream: TcpStream, said: &[u8], pause: Duration, count: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|own| own == b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    count.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(pause).await;
    let _ = stream.write_all(said).await;
}

async fn before(upstream: SocketAddr) -> Site {
    with(to("echo", upstream)).await
}

async fn with(upstream: To) -> Site {
    Site::with(|settings| settings.upstreams = vec![upstream]).await
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_fails_is_told_once_and_asked_once() {
    for (said, pause, status, code) in [
        (&b""[..], 0, 502, "upstream-broken"),
        (b"HTTP/1.1 200 OK\r\nContent-", 0, 502, "upstream-broken"),
        (b"nonsense\r\n\r\n", 0, 502, "upstream-broken"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            0,
            502,
            "upstream-broken",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            0,
            502,
            "upstream-broken",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n", 60, 504, "upstream-slow"),
    ] {
        let (address, count) = saying(said, Duration::from_secs(pause)).await;
        let mut own = to("echo", address);
        if status == 504 {
            own.response_timeout = Duration::from_secs(3);
        }
        let site = with(own).await;
        let post = b"POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

        let answer = raw::send(site.gateway, post).await;

        assert_eq!(raw::statuses(&answer), [status], "{answer}");
        assert_eq!(raw::code(&answer), code, "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
        assert_eq!(count.load(Ordering::SeqCst), 1, "it was asked again");
    }
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_not_there_is_a_bad_gateway() {
    let nobody = Nobody::new();
    let site = before(nobody.address).await;

    let answer = raw::get(site.gateway, b"/public/x", "").await;

    assert_eq!(raw::statuses(&answer), [502], "{answer}");
    assert_eq!(raw::code(&answer), "upstream-unreachable");
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    for said in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let (address, _) = saying(said, Duration::ZERO).await;
        let site = before(address).await;

        let answer = http().get(site.url("/public/x")).send().await.unwrap();

        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.is_err(), "it passes for whole");
    }
}

/// The `jti` of a token.
fn id_of(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

/// Fault: R44
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_answered_with_what_is_anothers() {
    let site = Arc::new(Site::start().await);
    #[expect(clippy::disallowed_methods, reason = "calls on loopback")]
    let second = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge();
    let (first, second) = (http(), second.build().unwrap());
    let mut callers = Vec::new();
    for caller in 0..64 {
        let client = if caller % 2 == 0 {
            first.clone()
        } else {
            second.clone()
        };
        let token = site.issuer.token(API, "read").await;
        let own = id_of(&token);
        let site = Arc::clone(&site);
        callers.push(tokio::spawn(async move {
            for number in 0..Row::R44.size(16, 1_600) {
                let canary = format!("canary-{caller}-{number}");
                let url = site.url(&format!("/told/{canary}"));
                let sent = client.post(url).bearer_auth(&token).body(canary.clone());
                let sent = sent.header("x-canary", &canary).send();
                if number % 5 == 4 {
                    // Gone before the answer comes.
                    let _ = tokio::time::timeout(Duration::from_millis(2), sent).await;
                    continue;
                }
                let got = Got::of(sent.await.unwrap()).await;
                assert_eq!(got.text("target"), format!("/told/{canary}"));
                assert_eq!(got.text("body"), canary);
                assert_eq!(got.all("x-canary"), [&*canary]);
                assert_eq!(got.all("x-token"), [&*own]);
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
}
