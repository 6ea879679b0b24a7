//! Under load, SIGTERM fails no request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::program::{Engine, PATIENCE, Site};

const CONNECTIONS: usize = 8;

/// What became of a request on a connection that was open.
enum Outcome {
    /// It was answered, and the connection stays.
    Kept,
    /// It was answered, and the connection is at its end, as the answer said.
    Closed,
    /// Not one byte of an answer came.
    Unanswered(String),
}

/// One request on a connection; an answer has to be whole and good.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> Outcome {
    if let Err(error) = stream.write_all(request).await {
        return Outcome::Unanswered(error.to_string());
    }
    let mut received = Vec::new();
    let head = loop {
        if let Some(at) = received.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read_buf(&mut received).await {
            Ok(size) if size > 0 => {}
            ended if received.is_empty() => return Outcome::Unanswered(format!("{ended:?}")),
            ended => panic!("the head was cut off: {ended:?}"),
        }
    };
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200 "), "{text}");
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let whole = head + length.expect("a length").parse::<usize>().unwrap();
    while received.len() < whole {
        let size = stream.read_buf(&mut received).await.unwrap();
        assert!(size > 0, "the answer was cut off");
    }
    match text.contains("\r\nconnection: close") {
        true => Outcome::Closed,
        false => Outcome::Kept,
    }
}

/// Asks for tokens until no new connection is taken.
async fn load(address: String, request: Vec<u8>, answered: Arc<AtomicU64>) {
    while let Ok(mut stream) = TcpStream::connect(&address).await {
        stream.set_nodelay(true).unwrap();
        let mut is_new = true;
        loop {
            match ask(&mut stream, &request).await {
                Outcome::Kept => {}
                Outcome::Closed => break,
                // The operating system greets whoever knocks while the
                // listener closes, and hangs up: nobody was let in.
                Outcome::Unanswered(_) if is_new && is_closed(&address).await => return,
                Outcome::Unanswered(why) => panic!("a request was not answered: {why}"),
            }
            is_new = false;
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn is_closed(address: &str) -> bool {
    TcpStream::connect(address).await.is_err()
}

async fn sigterm_under_load_fails_no_request(engine: Engine) {
    let site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    let address = site.issuer.trim_start_matches("http://").to_owned();
    let secret = BASE64_STANDARD.encode(format!("job:{}", site.words.job));
    let body = "grant_type=client_credentials&scope=read:orders";
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {secret}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..3 {
        let program = site.start().await;
        let answered = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                tokio::spawn(load(
                    address.clone(),
                    request.clone().into_bytes(),
                    Arc::clone(&answered),
                ))
            })
            .collect();
        let busy = async {
            while answered.load(Ordering::Relaxed) < 200 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, busy).await.expect("nothing is answered");

        assert!(program.end().await.success());

        for client in clients {
            timeout(PATIENCE, client).await.unwrap().unwrap();
        }
    }
}

on_both_engines! { sigterm_under_load_fails_no_request }
