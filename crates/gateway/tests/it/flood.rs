//! Callers of HTTP/2 who send what costs the other side more than them. A
//! connection that does so ends, or waits; what it takes stays within a bound, and
//! whoever behaves is answered meanwhile.
//!
//! Spec: RFC 9113 §10.5

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::frame::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PING, RST_STREAM, SETTINGS,
};
use crate::issuer::http;
use crate::site::Site;

/// How much a flood may get rid of before it is stopped, in bytes: what sockets
/// hold, and a little.
const MOST: usize = 24 * 1024 * 1024;
/// How long a flood may go on.
const LONGEST: Duration = Duration::from_secs(60);
/// How long whoever behaves may wait on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a flood ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The gateway closed the connection.
    Closed,
    /// It read no more, so nothing more could be sent.
    Waits,
    /// It took everything.
    Took,
}

/// Sends pieces until the gateway ends the connection or reads no more for so long;
/// `reads` says whether what it answers is read.
async fn flood(
    address: SocketAddr,
    reads: bool,
    patience: Duration,
    mut piece: impl FnMut(u32) -> Vec<u8>,
) -> (End, usize) {
    let stream = frame::connect(address).await;
    let (mut from, mut to) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut some = vec![0; 64 * 1024];
        while reads && from.read(&mut some).await.is_ok_and(|size| size > 0) {}
        from
    });
    let begin = Instant::now();
    let (mut sent, mut number) = (0, 0);
    let end = loop {
        if sent > MOST || begin.elapsed() > LONGEST {
            break End::Took;
        }
        // Several at once, as whoever means it would.
        let bytes: Vec<u8> = (0..64).flat_map(|at| piece(number + at)).collect();
        number += 64;
        match timeout(patience, to.write_all(&bytes)).await {
            Ok(Ok(())) => sent += bytes.len(),
            Ok(Err(_)) => break End::Closed,
            Err(_) => break End::Waits,
        }
        if reading.is_finished() && reads {
            break End::Closed;
        }
    };
    reading.abort();
    (end, sent)
}

/// Whoever behaves is answered.
async fn is_served(site: &Site) {
    let begin = Instant::now();
    let answer = timeout(PATIENCE, http().get(site.url("/public/x")).send()).await;
    assert_eq!(answer.expect("it waits").unwrap().status(), 200);
    assert!(begin.elapsed() < PATIENCE);
}

/// How much memory this process holds, in KiB.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

/// Floods from several connections while others are served.
async fn withstands(reads: bool, piece: fn(u32) -> Vec<u8>, ends: &[End]) -> Site {
    let site = Site::start().await;
    is_served(&site).await;
    let before = memory();
    let patience = match ends.contains(&End::Waits) {
        true => Duration::from_secs(2),
        false => PATIENCE,
    };
    let floods: Vec<_> = (0..4)
        .map(|_| tokio::spawn(flood(site.gateway, reads, patience, piece)))
        .collect();
    for _ in 0..10 {
        is_served(&site).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for flood in floods {
        let (end, sent) = flood.await.unwrap();
        assert!(ends.contains(&end), "{end:?} after {sent} bytes");
    }
    is_served(&site).await;
    // Other tests run in this process at the same time, and give theirs back.
    let begin = Instant::now();
    while memory().saturating_sub(before) > 256 * 1024 {
        assert!(begin.elapsed() < PATIENCE, "it grew by more than 256 MiB");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    site
}

/// CVE-2023-44487.
///
/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reset_at_once_end_their_connection_and_few_reach_the_upstream() {
    let site = withstands(
        true,
        |number| {
            let stream = number * 2 + 1;
            let block = frame::request("GET", "/public/reset");
            let head = Frame {
                kind: HEADERS,
                flags: END_HEADERS | END_STREAM,
                stream,
                payload: &block,
            };
            let reset = Frame {
                kind: RST_STREAM,
                flags: 0,
                stream,
                payload: &[0, 0, 0, 8],
            };
            [head.bytes(), reset.bytes()].concat()
        },
        &[End::Closed],
    )
    .await;

    let seen = site.upstream.seen();
    assert!(seen < 4_000, "{seen} reached the upstream");
}

/// RUSTSEC-2024-0332.
///
/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_never_ends_ends_its_connection() {
    withstands(
        true,
        |number| match number {
            0 => {
                let block = frame::request("GET", "/public/x");
                let head = Frame {
                    kind: HEADERS,
                    flags: END_STREAM,
                    stream: 1,
                    payload: &block,
                };
                head.bytes()
            }
            _ => {
                let mut block = Vec::new();
                frame::literal(&mut block, "x-more", &"a".repeat(100));
                let more = Frame {
                    kind: CONTINUATION,
                    flags: 0,
                    stream: 1,
                    payload: &block,
                };
                more.bytes()
            }
        },
        &[End::Closed],
    )
    .await;
}

/// The same without a byte in any frame.
///
/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_in_empty_frames_ends_its_connection() {
    withstands(
        true,
        |number| {
            let block = frame::request("GET", "/public/x");
            let own = Frame {
                kind: if number == 0 { HEADERS } else { CONTINUATION },
                flags: if number == 0 { END_STREAM } else { 0 },
                stream: 1,
                payload: if number == 0 { &block } else { &[] },
            };
            own.bytes()
        },
        &[End::Closed],
    )
    .await;
}

/// RUSTSEC-2026-0258.
///
/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_empty_frames_ends_its_connection_or_waits() {
    withstands(
        true,
        |number| {
            let block = frame::request("POST", "/public/x");
            let own = Frame {
                kind: if number == 0 { HEADERS } else { DATA },
                flags: if number == 0 { END_HEADERS } else { 0 },
                stream: 1,
                payload: if number == 0 { &block } else { &[] },
            };
            own.bytes()
        },
        &[End::Closed, End::Waits],
    )
    .await;
}

/// Whoever reads no answers is not read from either.
///
/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_and_pings_without_end_end_their_connection_or_wait() {
    for kind in [SETTINGS, PING] {
        let piece: fn(u32) -> Vec<u8> = match kind {
            SETTINGS => |_| Frame::settings().bytes(),
            _ => |number| {
                let payload = u64::from(number).to_be_bytes();
                let ping = Frame {
                    kind: PING,
                    flags: 0,
                    stream: 0,
                    payload: &payload,
                };
                ping.bytes()
            },
        };
        withstands(false, piece, &[End::Closed, End::Waits]).await;
    }
}

/// The smallest change that makes it a request.
///
/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_in_frames_of_its_own_is_answered() {
    let site = Site::start().await;
    let mut stream: TcpStream = frame::connect(site.gateway).await;
    let block = frame::request("GET", "/public/x");
    let (one, two) = block.split_at(10);
    for (kind, flags, payload) in [(HEADERS, END_STREAM, one), (CONTINUATION, END_HEADERS, two)] {
        let own = Frame {
            kind,
            flags,
            stream: 1,
            payload,
        };
        stream.write_all(&own.bytes()).await.unwrap();
    }

    let mut kinds = Vec::new();
    while !kinds.contains(&DATA) {
        let kind = timeout(PATIENCE, frame::skip(&mut stream)).await.unwrap();
        kinds.push(kind.expect("it ended"));
    }

    assert!(kinds.contains(&HEADERS), "{kinds:?}");
    assert_eq!(site.upstream.seen(), 1);
}
