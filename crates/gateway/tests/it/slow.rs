//! Upstreams that are slow, half gone, or go away while they are used: over
//! HTTP/1.1 byte by byte, and over HTTP/2 frame by frame.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use symbolon_gateway::Spoken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::frame::{self, Frame};
use crate::issuer::http;
use crate::raw;
use crate::site::{Site, to};
use crate::upstream::Upstream;

/// A server that does with each connection what a test says; it counts them.
async fn doing<F, R>(act: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            own.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(act(stream));
        }
    });
    (address, count)
}

async fn head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
}

/// How long a gateway waits for an answer that has to come, and for one that never
/// does.
const LONG: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// A gateway that waits so long for an answer, and a second for each piece of it.
async fn before(address: SocketAddr, spoken: Spoken, patience: Duration) -> Site {
    let mut own = to("echo", address);
    own.response_timeout = patience;
    own.idle_timeout = SECOND;
    own.spoken = spoken;
    Site::with(|settings| settings.upstreams = vec![own]).await
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_byte_by_byte_passes_and_nobody_else_waits_for_it() {
    let (address, _) = doing(|mut stream: TcpStream| async move {
        head(&mut stream).await;
        let said = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
        let _ = stream.write_all(said).await;
        for byte in *b"0123456789" {
            sleep(Duration::from_millis(600)).await;
            let _ = stream.write_u8(byte).await;
        }
    })
    .await;
    // Less than the whole takes, and much more than each piece of it.
    let mut own = to("echo", address);
    own.response_timeout = Duration::from_secs(5);
    own.idle_timeout = Duration::from_secs(5);
    let site = Site::with(|settings| settings.upstreams = vec![own]).await;
    let client = http();
    let begin = Instant::now();

    let all = (0..32).map(|_| {
        let request = client.get(site.url("/public/x"));
        tokio::spawn(async move { request.send().await.unwrap().text().await })
    });
    let all: Vec<_> = all.collect();
    for one in all {
        assert_eq!(one.await.unwrap().unwrap(), "0123456789");
    }

    // Each takes six seconds; one after the other they would take three minutes.
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_byte_by_byte_is_waited_for_no_longer_than_was_said() {
    let (address, _) = doing(|mut stream: TcpStream| async move {
        head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: yes\r\n\r\n".iter().cycle() {
            sleep(Duration::from_millis(100)).await;
            if stream.write_u8(*byte).await.is_err() {
                return;
            }
        }
    })
    .await;
    let site = before(address, Spoken::Http1, SECOND).await;
    let begin = Instant::now();

    let answer = raw::get(site.gateway, b"/public/x", "").await;

    assert_eq!(raw::statuses(&answer), [504], "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stops_is_broken_off_and_not_taken_for_whole() {
    for (name, said) in [
        (
            "a length",
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"[..],
        ),
        (
            "chunks",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ),
    ] {
        let (address, _) = doing(move |mut stream: TcpStream| async move {
            head(&mut stream).await;
            let _ = stream.write_all(said).await;
            sleep(Duration::from_secs(60)).await;
        })
        .await;
        let site = before(address, Spoken::Http1, LONG).await;
        let begin = Instant::now();

        let answer = http().get(site.url("/public/x")).send().await.unwrap();

        assert_eq!(answer.status(), 200, "{name}");
        assert!(answer.bytes().await.is_err(), "{name}: it passes for whole");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
    }
}

/// A length that is too small ends the answer there; what follows is nobody's.
///
/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_an_answer_is_not_taken_for_the_next_one() {
    let (address, count) = doing(|mut stream: TcpStream| async move {
        let both = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none\
            HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
        head(&mut stream).await;
        let _ = stream.write_all(both).await;
        head(&mut stream).await;
    })
    .await;
    let site = before(address, Spoken::Http1, LONG).await;

    for _ in 0..4 {
        let answer = http().get(site.url("/public/x")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "one");
        sleep(Duration::from_millis(50)).await;
    }

    assert_eq!(
        count.load(Ordering::SeqCst),
        4,
        "a connection was used again"
    );
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_has_closed_its_half_or_resets_is_a_bad_gateway() {
    for resets in [false, true] {
        let (address, count) = doing(move |mut stream: TcpStream| async move {
            head(&mut stream).await;
            if resets {
                stream.set_zero_linger().unwrap();
                return;
            }
            let _ = stream.shutdown().await;
            sleep(Duration::from_secs(60)).await;
        })
        .await;
        let site = before(address, Spoken::Http1, LONG).await;
        let post = b"POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

        let answer = raw::send(site.gateway, post).await;

        assert_eq!(raw::statuses(&answer), [502], "{answer}");
        assert_eq!(count.load(Ordering::SeqCst), 1, "it was asked again");
    }
}

/// A server of HTTP/2 that takes a request and then does as a test says.
async fn second(then: &'static [Frame<'static>]) -> (SocketAddr, Arc<AtomicUsize>) {
    doing(move |mut stream: TcpStream| async move {
        let mut preface = [0; frame::PREFACE.len()];
        if stream.read_exact(&mut preface).await.is_err() {
            return;
        }
        let _ = stream.write_all(&Frame::settings().bytes()).await;
        while let Some(kind) = frame::skip(&mut stream).await {
            if kind == frame::HEADERS {
                break;
            }
        }
        for own in then {
            let _ = stream.write_all(&own.bytes()).await;
        }
        // Reads on, so that nothing is reset by the operating system.
        while frame::skip(&mut stream).await.is_some() {}
    })
    .await
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_of_http2_that_goes_away_or_resets_is_asked_once() {
    const GOAWAY: &[Frame] = &[Frame {
        kind: frame::GOAWAY,
        flags: 0,
        stream: 0,
        // It has seen stream 1, and something is wrong with it.
        payload: &[0, 0, 0, 1, 0, 0, 0, 2],
    }];
    const RESET: &[Frame] = &[Frame {
        kind: frame::RST_STREAM,
        flags: 0,
        stream: 1,
        payload: &[0, 0, 0, 2],
    }];
    const SILENT: &[Frame] = &[];
    for (name, then, status, patience) in [
        ("goes away", GOAWAY, 504, SECOND),
        ("resets", RESET, 502, LONG),
        ("says nothing", SILENT, 504, SECOND),
    ] {
        let (address, count) = second(then).await;
        let site = before(address, Spoken::Http2, patience).await;
        let post = b"POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        let begin = Instant::now();

        let answer = raw::send(site.gateway, post).await;

        let got = raw::statuses(&answer);
        assert!(
            got == [status] || (name == "goes away" && got == [502]),
            "{name}: {answer}"
        );
        assert_eq!(count.load(Ordering::SeqCst), 1, "{name}: asked again");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
    }
}

/// Moves bytes between two ends until `frozen`, and from then on holds what was
/// connected open and moves nothing, as a network does that lost its way.
async fn lead(caller: TcpStream, to: SocketAddr, mut frozen: watch::Receiver<bool>) {
    let is_late = *frozen.borrow();
    let mut caller = caller;
    let mut service = TcpStream::connect(to).await.unwrap();
    let moving = tokio::io::copy_bidirectional(&mut caller, &mut service);
    tokio::select! {
        _ = moving => return,
        _ = frozen.wait_for(|own| *own && !is_late) => {}
    }
    sleep(Duration::from_secs(60)).await;
}

/// Requests share a connection of HTTP/2, and one that leads nowhere would take
/// them all for as long as TCP goes on trying.
///
/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_connection_that_leads_nowhere_is_not_used_again() {
    let service = Upstream::start().await;
    let (freeze, frozen) = watch::channel(false);
    let to = service.address;
    let (address, connections) = doing(move |stream| lead(stream, to, frozen.clone())).await;
    let site = before(address, Spoken::Http2, 3 * SECOND).await;
    let ask = async || http().get(site.url("/public/x")).send().await.unwrap();
    assert_eq!(ask().await.status(), 200);
    assert_eq!(ask().await.status(), 200);
    assert_eq!(connections.load(Ordering::SeqCst), 1);

    freeze.send_replace(true);
    let lost = ask().await;
    let next = ask().await;

    assert_eq!(lost.status(), 504);
    assert_eq!(next.status(), 200);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// Attack: L330
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_lengths_of_an_answer_the_one_that_counts_is_passed_on() {
    let (address, _) = doing(|mut stream: TcpStream| async move {
        head(&mut stream).await;
        let said = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let _ = stream.write_all(said).await;
        sleep(Duration::from_secs(1)).await;
    })
    .await;
    let site = before(address, Spoken::Http1, LONG).await;

    let answer = http().get(site.url("/public/x")).send().await.unwrap();

    assert!(!answer.headers().contains_key("content-length"));
    assert_eq!(answer.text().await.unwrap(), "hello");
}
