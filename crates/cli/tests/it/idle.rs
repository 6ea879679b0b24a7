//! R36: strangers hold connections open, send a head byte by byte, or close
//! their half. Their number and time are bounded, and good requests hardly
//! notice.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use symbolon_testkit::Row;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::program::{Engine, PATIENCE, Plan, Program, Site};
use crate::spans::percentile;

/// How many addresses the strangers come from: no one has more than a share.
const SOURCES: usize = 8;
/// How long an idle connection, or the head of a request, may last at most:
/// two looks, and what a busy machine adds.
const LONGEST: Duration = Duration::from_secs(45);

/// A connection from one of several addresses of this machine.
async fn stranger(site: &Site, number: usize) -> TcpStream {
    let last = u8::try_from(2 + number % SOURCES).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(own).unwrap();
    socket.connect(site.listen).await.unwrap()
}

/// Sends a head one byte after the other, until it is hung up on.
async fn drip(mut stream: TcpStream) -> Duration {
    let began = Instant::now();
    let head = b"POST /token HTTP/1.1\r\nHost: example.com\r\nX-Slow: ";
    if stream.write_all(head).await.is_err() {
        return began.elapsed();
    }
    let (mut from, mut to) = stream.split();
    let dripping = async {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let mut bytes = Vec::new();
    tokio::select! {
        () = dripping => {}
        _ = from.read_to_end(&mut bytes) => {}
    }
    began.elapsed()
}

/// How long good requests take on each of two servers, asked in turn, so that a
/// busy machine is busy for both.
async fn spans(sites: [&Site; 2], times: usize) -> [Vec<Duration>; 2] {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let mut spans = [Vec::new(), Vec::new()];
    for _ in 0..times {
        for (site, spans) in sites.into_iter().zip(&mut spans) {
            let began = Instant::now();
            let token = site.form("/token", "job", &form).await;
            assert_eq!(token.status, 200, "{}", token.body);
            assert_eq!(site.get("/.well-known/jwks.json").await.status, 200);
            spans.push(began.elapsed());
        }
    }
    spans
}

async fn start() -> (Site, Program) {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let program = site.start().await;
    (site, program)
}

/// Row R36 of the reliability catalogue, without what a TCP stack repairs:
/// loss, other orders and doubles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_requests_hardly_notice_idle_and_slow_connections() {
    let (site, program) = start().await;
    let (other, beside) = start().await;
    let (idle, slow) = Row::R36.size((800, 100), (8_000, 1_000));
    spans([&site, &other], 100).await;
    let [before, _] = spans([&site, &other], 300).await;
    let memory = program.memory();

    let mut held = Vec::new();
    for number in 0..idle {
        held.push(stranger(&site, number).await);
    }
    let mut dripping = JoinSet::new();
    for number in 0..slow {
        dripping.spawn(drip(stranger(&site, number).await));
    }
    let [among, untouched] = spans([&site, &other], 300).await;

    // The short form runs beside other tests: what they do at the same time, they
    // do to the server that no stranger knows as well.
    let (percent, usual) = Row::R36.size((90, &untouched), (99, &before));
    let (usual, among) = (percentile(usual, percent), percentile(&among, percent));
    eprintln!(
        "R36: p{percent} {usual:?}, and {among:?} among {idle} idle and {slow} slow connections"
    );
    // Twice as long, and what a busy machine does to one in a hundred.
    assert!(
        among <= usual * 2 + Duration::from_millis(40),
        "{among:?} after {usual:?}"
    );
    let grown = program.memory().saturating_sub(memory);
    assert!(grown < 32 * 1024 + 16 * (idle + slow) as u64, "{grown} KiB");
    if Row::R36.is_long() {
        while let Some(lasted) = dripping.join_next().await {
            assert!(lasted.unwrap() < LONGEST);
        }
        for stream in &mut held {
            let ended = timeout(PATIENCE, stream.read(&mut [0]))
                .await
                .expect("it is held");
            assert!(!matches!(ended, Ok(1..)), "nobody asked");
        }
    }
    drop((held, dripping));
    assert!(program.end().await.success());
    assert!(beside.end().await.success());
}

/// Whether nobody has hung up, as far as this machine has told.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// One address cannot take the places of others: beyond its share it is let go
/// of at once, and whoever comes from elsewhere is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_a_share_of_the_connections() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let program = crate::program::command();
    let mut command = Command::new("sh");
    for (name, _) in program.as_std().get_envs() {
        command.env_remove(name);
    }
    // A share of what so few files leave is less than 200.
    command
        .args(["-c", r#"ulimit -n 1024 && exec "$0" serve --config "$1""#])
        .arg(program.as_std().get_program())
        .arg(site.configuration())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    std::fs::write(site.output(), "").unwrap();
    let program = site.started(command, 200).await;

    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = stranger(&site, 0).await;
        let mut byte = [0];
        if timeout(Duration::from_millis(20), stream.read(&mut byte))
            .await
            .is_err()
        {
            held.push(stream);
        }
    }
    // A busy machine tells later than that. Idle ones are let go of as well, but
    // not before they have been for twenty seconds.
    let began = Instant::now();
    while held.len() >= 150 && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        held.retain(is_open);
    }

    assert!((100..150).contains(&held.len()), "{} of 200", held.len());
    assert_eq!(site.get("/.well-known/jwks.json").await.status, 200);
    drop(held);
    assert!(program.end().await.success());
}

/// Who closes their half after asking looks like somebody who has gone: they
/// get the whole answer or nothing, and their place is free at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_closes_their_half_gets_a_whole_answer_or_none() {
    let (site, program) = start().await;
    for _ in 0..Row::R36.size(20, 2_000) {
        let mut stream = TcpStream::connect(site.listen).await.unwrap();
        let asked = format!(
            "GET /.well-known/jwks.json HTTP/1.1\r\nHost: {}\r\n\r\n",
            site.listen
        );
        stream.write_all(asked.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();

        let mut answer = String::new();
        let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;

        read.expect("it is held open").unwrap();
        let is_whole = answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with('}');
        assert!(answer.is_empty() || is_whole, "{answer}");
    }
    assert!(program.end().await.success());
}
