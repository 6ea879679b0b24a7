//! Sides that take nothing of what is handed to them: they hold what they hold
//! no longer than a body may be silent, and get nothing late.
//!
//! Spec: RFC 9113 §5.2, §10.5

use std::time::Duration;

use symbolon_gateway::{Demand, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::frame::{
    self, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, RST_STREAM, WINDOW_UPDATE,
};
use crate::site::{Site, route, to};

/// How long it may take: the second that is said below, the pause between two
/// looks, and what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(15);
/// How large a window is opened late, in bytes.
const WINDOW: u32 = 1 << 30;
/// How much may be under way between two programs, in bytes.
const UNDER_WAY: usize = 4 * 1024 * 1024;

/// An answer without end for everybody, and a second of patience.
fn open(settings: &mut Settings) {
    let others = |own: &symbolon_gateway::Route| own.path.to_string() != "/flood";
    settings.routes.retain(others);
    settings.routes.push(route("/flood", Demand::Public));
    settings.upstreams[0].idle_timeout = Duration::from_secs(1);
}

/// Asks for what has no end, and takes a window of it.
async fn ask_and_stall(site: &Site) -> TcpStream {
    let mut stream = frame::connect(site.gateway).await;
    get(&mut stream, 1, "/flood").await;
    let mut taken = 0;
    // What a window holds unless it is opened further.
    while taken < 65_535 {
        let (kind, size) = frame::next(&mut stream).await.expect("it ended");
        assert_ne!(kind, RST_STREAM);
        taken += if kind == DATA { size } else { 0 };
    }
    stream
}

async fn get(stream: &mut TcpStream, number: u32, path: &str) {
    let block = frame::request("GET", path);
    let head = Frame {
        kind: HEADERS,
        flags: END_HEADERS | END_STREAM,
        stream: number,
        payload: &block,
    };
    stream.write_all(&head.bytes()).await.unwrap();
}

async fn until(stream: &mut TcpStream, wanted: u8) {
    let found = async { while frame::skip(stream).await.expect("it ended") != wanted {} };
    timeout(PATIENCE, found).await.expect("it never came");
}

/// CVE-2019-9511, CVE-2019-9517.
///
/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_which_nothing_is_taken_ends_and_its_connection_goes_on() {
    let site = Site::with(open).await;
    let mut stream = ask_and_stall(&site).await;

    until(&mut stream, RST_STREAM).await;

    get(&mut stream, 3, "/public/x").await;
    until(&mut stream, HEADERS).await;
}

/// Attack: L340
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_is_taken_ends() {
    let site = Site::with(open).await;
    let mut stream = TcpStream::connect(site.gateway).await.unwrap();
    let head = b"GET /flood HTTP/1.1\r\nHost: gateway.test\r\n\r\n";
    stream.write_all(head).await.unwrap();
    sleep(Duration::from_secs(7)).await;

    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;

    assert!(ended.is_ok(), "it goes on");
}

/// The smallest change that makes it an answer that goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_a_little_every_so_often_is_waited_for() {
    // Less than all of it takes.
    let site = Site::with(|settings| {
        open(settings);
        settings.upstreams[0].idle_timeout = Duration::from_secs(3);
    })
    .await;
    let mut stream = ask_and_stall(&site).await;
    for _ in 0..8 {
        sleep(Duration::from_millis(500)).await;
        for number in [0, 1] {
            let more = Frame {
                kind: WINDOW_UPDATE,
                flags: 0,
                stream: number,
                payload: &65_535_u32.to_be_bytes(),
            };
            stream.write_all(&more.bytes()).await.unwrap();
        }
        let mut taken = 0;
        while taken < 65_535 {
            let (kind, size) = frame::next(&mut stream).await.expect("it ended");
            assert_ne!(kind, RST_STREAM);
            taken += if kind == DATA { size } else { 0 };
        }
    }
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_nothing_until_it_is_over_gets_nothing_more() {
    let patient = |settings: &mut Settings| {
        open(settings);
        settings.upstreams[0].idle_timeout = Duration::from_secs(60);
    };
    let site = Site::with(patient).await;
    let mut stream = ask_and_stall(&site).await;
    let mut settings = site.settings();
    settings.upstreams[0].idle_timeout = Duration::from_secs(60);
    // The route asks for a token from now on.
    site.running.gateway.reload(settings).await.unwrap();
    sleep(Duration::from_millis(1_500)).await;

    for number in [0, 1] {
        let more = Frame {
            kind: WINDOW_UPDATE,
            flags: 0,
            stream: number,
            payload: &WINDOW.to_be_bytes(),
        };
        stream.write_all(&more.bytes()).await.unwrap();
    }

    let mut late = 0;
    let rest = async {
        while let Some((kind, size)) = frame::next(&mut stream).await {
            match kind {
                RST_STREAM => return,
                DATA => late += size,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, rest).await.expect("it goes on");
    assert!(late < UNDER_WAY, "{late} bytes came late");
}

/// Fault: R42
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_takes_nothing_of_a_body_is_too_slow() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Whoever connects is let in by the operating system, and read by nobody.
    let _held = listener;
    let mut own = to("echo", address);
    own.idle_timeout = Duration::from_secs(1);
    let site = Site::with(|settings| {
        settings.upstreams = vec![own];
        for route in &mut settings.routes {
            route.max_body_bytes = 1 << 30;
        }
    })
    .await;
    let (mut from, mut to) = TcpStream::connect(site.gateway).await.unwrap().into_split();
    let head = b"POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 268435456\r\n\r\n";
    to.write_all(head).await.unwrap();
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; 1024 * 1024];
        while to.write_all(&piece).await.is_ok() {}
    });

    let mut answer = [0; 12];
    let answered = timeout(PATIENCE, from.read_exact(&mut answer)).await;

    answered.expect("it waits").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 504");
    sending.abort();
}
