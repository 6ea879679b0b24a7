//! nginx and Caddy, as Debian ships them, before a service that they ask the
//! gateway about.

use std::net::SocketAddr;

use symbolon_server::testing::http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::examples::Example;
use crate::program::PATIENCE;

/// Sends a head as it stands, and gives status and the whole answer.
async fn raw(address: SocketAddr, head: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let whole = format!("{head}\r\nHost: shop.test\r\nConnection: close\r\n\r\n");
    stream.write_all(whole.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// What both proxies have to do alike.
async fn guards(proxy: &Example) {
    let (address, token) = (proxy.address(8), proxy.token());
    let bearer = format!("Authorization: Bearer {token}");
    let url = format!("http://{address}/orders/7?x=1");

    let good = http().get(&url).bearer_auth(token).send().await.unwrap();
    assert_eq!(good.status(), 200);
    let heard = good.text().await.unwrap();
    assert!(heard.contains("uri=/orders/7?x=1"), "{heard}");
    assert!(heard.contains("assertion=ey"), "{heard}");
    assert!(!heard.contains(token), "{heard}");

    let narrow = http().post(&url).bearer_auth(token).send().await.unwrap();
    assert_eq!(narrow.status(), 403);
    let challenge = narrow.headers().get_all("www-authenticate").iter();
    let challenge: Vec<_> = challenge.collect();
    assert_eq!(challenge.len(), 1, "{challenge:?}");
    let challenge = challenge[0].to_str().unwrap();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    let nothing = http().get(&url).send().await.unwrap();
    assert_eq!(nothing.status(), 401);
    // nginx passes one of the schemes on, Caddy all of them.
    assert!(nothing.headers().contains_key("www-authenticate"));

    // What callers write about themselves, or about another request.
    for header in [
        "X-Original-URI: /health",
        "X-Original-Url: http://shop.test/health",
        "X-Forwarded-Uri: /health",
        "X-Forwarded-Uri: /health\r\nX-Forwarded-Method: GET",
        "X-Original-Method: GET\r\nX-Original-URI: /health",
        "X_Original_URI: /health",
        "User-Agent: kube-probe/1.30",
        "Content-Type: application/grpc",
    ] {
        let (status, answer) = raw(address, &format!("GET /orders/7 HTTP/1.1\r\n{header}")).await;
        assert_eq!(status, 401, "{header}: {answer}");
    }
    // Paths that nginx, Caddy and the service behind could read differently.
    for target in [
        "/health/..%2forders/7",
        "/health/%2e%2e/orders/7",
        "//health",
        "/health;x",
        "/he%61lth",
        "/health%00",
    ] {
        let (status, answer) = raw(address, &format!("GET {target} HTTP/1.1")).await;
        assert!((400..500).contains(&status), "{target}: {answer}");
    }
    // A forged assertion does not reach the service, on an open path either.
    let forged = format!("GET /orders/7 HTTP/1.1\r\n{bearer}\r\nSymbolon-Assertion: forged");
    let (_, answer) = raw(address, &forged).await;
    assert!(!answer.contains("forged"), "{answer}");
    let (_, answer) = raw(
        address,
        "GET /health HTTP/1.1\r\nSymbolon-Assertion: forged",
    )
    .await;
    assert!(!answer.contains("assertion=forged"), "{answer}");
    says_nothing_of_itself(address, &bearer).await;
    // Whoever asks the gateway in person gets no further than through the proxy.
    let open = raw(address, "GET /health HTTP/1.1").await;
    assert_eq!(open.0, 200, "{}", open.1);
}

/// What a caller says of itself, or of what is meant, does not reach the service;
/// the rest does.
async fn says_nothing_of_itself(address: SocketAddr, bearer: &str) {
    let own = [
        "Remote-User",
        "X-Forwarded-User",
        "X-User-Id",
        "X-Auth-Request-Email",
        "X_User",
        "X-Original-URL",
        "X-HTTP-Method-Override",
        "X-Real-IP",
        "Forwarded",
        "DPoP",
    ];
    let own: Vec<String> = own.iter().map(|name| format!("{name}: forged")).collect();
    let own = own.join("\r\n");
    let head = format!("GET /orders/7 HTTP/1.1\r\n{bearer}\r\nX-Shop-Color: red\r\n{own}");
    let (status, answer) = raw(address, &head).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
    assert!(answer.contains("kept=red"), "{answer}");
}

/// Attack: L321
/// Attack: L324
/// Attack: L325
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_lets_through_what_the_gateway_would_and_nothing_else() {
    let proxy = Example::start("nginx", &[]).await;

    proxy.check().await;
    guards(&proxy).await;

    proxy.end().await;
}

/// Attack: L321
/// Attack: L324
/// Attack: L325
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_lets_through_what_the_gateway_would_and_nothing_else() {
    let proxy = Example::start("caddy", &[]).await;

    proxy.check().await;
    guards(&proxy).await;

    proxy.end().await;
}
