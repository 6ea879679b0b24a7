//! What the gateway depends on is down, slow or wrong: nobody gets in who was
//! not let in in writing.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use symbolon_gateway::{Demand, Launch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::binding::Maker;
use crate::issuer::{API, OPAQUE, http};
use crate::site::{edge, needs, route, settings};
use crate::upstream::Upstream;

/// How long a refusal may take: what asking an issuer may take, and a little.
const PROMPT: Duration = Duration::from_secs(15);

/// An issuer that answers every request with these bytes, or with nothing.
async fn answering(bytes: Option<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                match bytes {
                    Some(bytes) => drop(stream.write_all(bytes.as_bytes()).await),
                    None => tokio::time::sleep(Duration::from_secs(60)).await,
                }
            });
        }
    });
    address
}

fn whole(status: &str, kind: &str, body: &str) -> Option<String> {
    Some(format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_the_issuer_a_protected_route_lets_nobody_in() {
    let upstream = Upstream::start().await;
    let maker = Maker::start().await;
    let gone = answering(None).await;
    let foreign = json!({ "issuer": "http://127.0.0.1:1", "jwks_uri": "http://127.0.0.1:1/jwks" });
    let active = json!({ "active": true, "client_id": "x", "scope": "read", "exp": i64::MAX });
    let cases = [
        ("it says nothing", gone),
        ("it is not there", "127.0.0.1:1".parse().unwrap()),
        (
            "it fails",
            answering(whole("500 No", "text/plain", "no")).await,
        ),
        (
            "it is a page",
            answering(whole("200 OK", "text/html", "<p>hello")).await,
        ),
        (
            "it is empty",
            answering(whole("200 OK", "application/json", "{}")).await,
        ),
        (
            "it is another",
            answering(whole("200 OK", "application/json", &foreign.to_string())).await,
        ),
        (
            "all is well, it says",
            answering(whole("200 OK", "application/json", &active.to_string())).await,
        ),
        (
            "it breaks off",
            answering(Some("HTTP/1.1 200 OK\r\nContent-Le".into())).await,
        ),
    ];
    for (name, issuer) in cases {
        let url = format!("http://{issuer}");
        let mut settings = settings(&url, upstream.address);
        settings.routes = vec![
            route("/orders/{id}", needs(&url, API, "read")),
            route("/opaque/{id}", needs(&url, OPAQUE, "read")),
            route("/public/{*rest}", Demand::Public),
        ];
        let launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None);
        let launch = launch.await.unwrap();
        let gateway = launch.public.local_addr().unwrap();
        let _running = launch.start(settings, edge()).unwrap();
        let own = maker.named(&url);
        for path in ["/orders/7", "/opaque/7"] {
            let token = own.token(json!({}));
            let begin = Instant::now();
            let request = http().get(format!("http://{gateway}{path}"));
            let answer = request.bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), 503, "{name}, {path}");
            assert!(answer.headers().contains_key("retry-after"), "{name}");
            assert!(begin.elapsed() < PROMPT, "{name}: {:?}", begin.elapsed());
        }
        let public = http().get(format!("http://{gateway}/public/x"));
        assert_eq!(public.send().await.unwrap().status(), 200, "{name}");
    }
    assert_eq!(upstream.seen(), 8);
}
