//! Upstreams with several servers: which is asked, which is left alone, and that
//! nothing is sent twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use symbolon_gateway::{Balance, Check, Ejection, Upstream as To};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::issuer::http;
use crate::raw;
use crate::site::{Site, to};

/// A server that says its number, counts, and is well or not.
struct Server {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    is_well: Arc<AtomicBool>,
}

impl Server {
    async fn start(number: usize, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let is_well = Arc::new(AtomicBool::new(true));
        let (counted, well) = (Arc::clone(&count), Arc::clone(&is_well));
        let health = async move || match well.load(Ordering::SeqCst) {
            true => StatusCode::OK,
            false => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let router = Router::new()
            .route("/healthz", axum::routing::get(health))
            .fallback(async move || {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(pause).await;
                number.to_string()
            });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            count,
            is_well,
        }
    }

    fn seen(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// An address at which nobody is.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn several(addresses: &[SocketAddr]) -> To {
    let mut own = to("echo", addresses[0]);
    own.urls = addresses
        .iter()
        .map(|address| format!("http://{address}").parse().unwrap())
        .collect();
    own.ejection = Some(Ejection {
        failures: 2,
        rest: Duration::from_secs(60),
    });
    own
}

async fn before(upstream: To) -> Site {
    Site::with(|settings| settings.upstreams = vec![upstream]).await
}

async fn answer(site: &Site) -> (u16, String) {
    let answer = http().get(site.url("/public/x")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_asked_in_turn() {
    let (one, two) = (
        Server::start(1, Duration::ZERO).await,
        Server::start(2, Duration::ZERO).await,
    );
    let site = before(several(&[one.address, two.address])).await;

    for _ in 0..6 {
        assert_eq!(answer(&site).await.0, 200);
    }

    assert_eq!((one.seen(), two.seen()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_that_is_at_the_fewest_is_asked() {
    let slow = Server::start(1, Duration::from_millis(1500)).await;
    let quick = Server::start(2, Duration::ZERO).await;
    let mut upstream = several(&[slow.address, quick.address]);
    upstream.balance = Balance::LeastRequests;
    let site = before(upstream).await;
    let waiting = http().get(site.url("/public/x")).send();
    let waiting = tokio::spawn(waiting);
    let begin = Instant::now();
    while slow.seen() == 0 {
        assert!(begin.elapsed() < Duration::from_secs(5), "nobody asked");
        if quick.seen() > 0 {
            // It was the other's turn first.
            let _ = tokio::time::timeout(Duration::from_millis(100), answer(&site)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seen = quick.seen();

    for _ in 0..4 {
        assert_eq!(answer(&site).await.1, "2");
    }

    assert_eq!(quick.seen(), seen + 4);
    let _ = waiting.await;
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_goes_to_another_server_only_where_nothing_was_written() {
    let well = Server::start(1, Duration::ZERO).await;
    let site = before(several(&[nobody().await, well.address])).await;

    for sent in 0..4 {
        let post = http().post(site.url("/public/x")).body("hello");
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{sent}");
    }
    assert_eq!(well.seen(), 4);

    // One that reads and then says nothing has seen it: nobody else gets it.
    let reads = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reads.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        while let Ok((mut stream, _)) = reads.accept().await {
            let mut some = [0; 16];
            let _ = stream.read(&mut some).await;
        }
    });
    let spare = Server::start(2, Duration::ZERO).await;
    let site = before(several(&[address, spare.address])).await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let post = http().post(site.url("/public/x")).body("hello");
        statuses.push(post.send().await.unwrap().status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
    assert_eq!(spare.seen(), 1);
}

/// Whatever is wrong with requests: a few of them shut nobody else out.
///
/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_on_which_servers_break_off_leave_one_that_is_asked() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut addresses = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut some = [0; 1024];
                let size = stream.read(&mut some).await.unwrap_or(0);
                let is_bad = some[..size].starts_with(b"GET /public/bad");
                let good = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                if !is_bad {
                    let _ = stream.write_all(good).await;
                }
            }
        });
    }
    let site = before(several(&addresses)).await;

    for _ in 0..12 {
        let answer = raw::get(site.gateway, b"/public/bad", "").await;
        assert_eq!(raw::code(&answer), "upstream-broken", "{answer}");
    }

    assert_eq!(answer(&site).await.0, 200);
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_server_is_left_the_answer_comes_at_once() {
    let site = before(several(&[nobody().await, nobody().await])).await;
    for _ in 0..2 {
        let answer = raw::get(site.gateway, b"/public/x", "").await;
        assert_eq!(raw::code(&answer), "upstream-unreachable", "{answer}");
    }

    let begin = Instant::now();
    let answer = raw::get(site.gateway, b"/public/x", "").await;

    assert_eq!(raw::statuses(&answer), [503], "{answer}");
    assert_eq!(raw::code(&answer), "upstream-down");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(1));
    let ready = http().get(format!("http://{}/readyz", site.admin));
    let ready = ready.send().await.unwrap().text().await.unwrap();
    assert!(ready.contains("upstream echo: 0 of 2 up"), "{ready}");
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_it_is_unwell_is_not_asked_until_it_is_well() {
    let (one, two) = (
        Server::start(1, Duration::ZERO).await,
        Server::start(2, Duration::ZERO).await,
    );
    let mut upstream = several(&[one.address, two.address]);
    upstream.check = Some(Check {
        target: "/healthz".parse().unwrap(),
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        healthy: 2,
        unhealthy: 2,
    });
    let site = before(upstream).await;
    let standing = async |line: &str| {
        let begin = Instant::now();
        while site.running.gateway.standing() != [format!("upstream echo: {line}")] {
            assert!(begin.elapsed() < Duration::from_secs(10), "never {line}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    standing("2 of 2 up").await;

    two.is_well.store(false, Ordering::SeqCst);
    standing("1 of 2 up").await;
    let seen = two.seen();
    for _ in 0..4 {
        assert_eq!(answer(&site).await, (200, "1".into()));
    }
    assert_eq!(two.seen(), seen);

    two.is_well.store(true, Ordering::SeqCst);
    standing("2 of 2 up").await;
    for _ in 0..4 {
        assert_eq!(answer(&site).await.0, 200);
    }
    assert_eq!(two.seen(), seen + 2);
}
