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
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::issuer::http;
use crate::raw;
use crate::site::{Nobody, Site, to};

/// A server that says its number, counts, and is well or not.
struct Server {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    is_well: Arc<AtomicBool>,
}

impl Server {
    async fn start(number: usize) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        gate.close();
        Self::behind(gate, number).await
    }

    /// One that keeps everybody waiting until its semaphore is closed.
    async fn behind(gate: Arc<Semaphore>, number: usize) -> Self {
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
                let _ = gate.acquire().await;
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
    let (one, two) = (Server::start(1).await, Server::start(2).await);
    let site = before(several(&[one.address, two.address])).await;

    for _ in 0..6 {
        assert_eq!(answer(&site).await.0, 200);
    }

    assert_eq!((one.seen(), two.seen()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_that_is_at_the_fewest_is_asked() {
    const EACH: usize = 4;
    let (held, released) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = Server::behind(Arc::clone(&held), 1).await;
    let quick = Server::behind(Arc::clone(&released), 2).await;
    let mut upstream = several(&[slow.address, quick.address]);
    upstream.balance = Balance::LeastRequests;
    let site = before(upstream).await;
    let mut waiting = JoinSet::new();
    let begin = Instant::now();
    for sent in 1..=2 * EACH {
        let sending = http().get(site.url("/public/x")).send();
        waiting.spawn(async { sending.await.unwrap().text().await.unwrap() });
        while slow.seen() + quick.seen() < sent {
            assert!(begin.elapsed() < Duration::from_secs(15), "nobody asked");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!((slow.seen(), quick.seen()), (EACH, EACH));
    released.close();
    for _ in 0..EACH {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), "2");
    }

    for _ in 0..4 {
        assert_eq!(answer(&site).await.1, "2");
    }

    assert_eq!((slow.seen(), quick.seen()), (EACH, EACH + 4));
    held.close();
    while let Some(said) = waiting.join_next().await {
        assert_eq!(said.unwrap(), "1");
    }
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_goes_to_another_server_only_where_nothing_was_written() {
    let well = Server::start(1).await;
    let nobody = Nobody::new();
    let site = before(several(&[nobody.address, well.address])).await;

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
    let spare = Server::start(2).await;
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
    let (one, two) = (Nobody::new(), Nobody::new());
    let site = before(several(&[one.address, two.address])).await;
    for _ in 0..2 {
        let answer = raw::get(site.gateway, b"/public/x", "").await;
        assert_eq!(raw::code(&answer), "upstream-unreachable", "{answer}");
    }

    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        let answer = raw::get(site.gateway, b"/public/x", "").await;
        best = best.min(begin.elapsed());

        assert_eq!(raw::statuses(&answer), [503], "{answer}");
        assert_eq!(raw::code(&answer), "upstream-down");
        assert!(answer.contains("retry-after: "), "{answer}");
    }
    assert!(best < Duration::from_secs(1), "{best:?}");
    let ready = http().get(format!("http://{}/readyz", site.admin));
    let ready = ready.send().await.unwrap().text().await.unwrap();
    assert!(ready.contains("upstream echo: 0 of 2 up"), "{ready}");
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_it_is_unwell_is_not_asked_until_it_is_well() {
    let (one, two) = (Server::start(1).await, Server::start(2).await);
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
