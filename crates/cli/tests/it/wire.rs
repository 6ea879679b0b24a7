//! Requests on connections that a test holds itself, so that it knows for how
//! long its server has heard nothing on each: whoever is late on one that was
//! kept may find it closed (RFC 9112 §9.5), and asks again on a new one.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::RequestBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// For how long a connection is kept that nobody uses.
const KEPT: Duration = Duration::from_millis(200);
/// How soon after the request before it another one has to be answered: a server
/// that ends closes what has been idle for half a second.
const OWED: Duration = Duration::from_millis(400);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the connection stays open, as far as the answer says.
    lasts: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection was made.
    Refused(String),
    /// Not one byte of an answer came on a new connection.
    Ignored(String),
    /// The answer was cut off, or did not come though it was owed.
    Broken(String),
}

impl Failure {
    pub(crate) fn why(self) -> String {
        match self {
            Self::Refused(why) => format!("refused: {why}"),
            Self::Ignored(why) => format!("nothing came on a new connection: {why}"),
            Self::Broken(why) => why,
        }
    }
}

/// A connection that nobody uses just now.
struct Idle {
    stream: TcpStream,
    /// When the last request on it was begun: its server has waited since then
    /// at most.
    asked: Instant,
    /// When that was answered.
    answered: Instant,
}

/// Connections to one address.
pub(crate) struct Pool {
    address: SocketAddr,
    keeps: bool,
    idle: Mutex<Vec<Idle>>,
}

impl Pool {
    /// One that keeps connections as long as they are good.
    pub(crate) fn keeping(address: SocketAddr) -> Self {
        Self {
            address,
            keeps: true,
            idle: Mutex::default(),
        }
    }

    /// One that makes a connection for each request.
    pub(crate) fn fresh(address: SocketAddr) -> Self {
        Self {
            keeps: false,
            ..Self::keeping(address)
        }
    }

    /// Where it goes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request, once; a second time only where it came too late on a
    /// connection that was kept.
    pub(crate) async fn ask(&self, request: &[u8]) -> Result<Answered, Failure> {
        if let Some(mut idle) = self.take() {
            let asked = Instant::now();
            let sent = idle.stream.write_all(request).await;
            let waited = idle.asked.elapsed();
            let outcome = answer(&mut idle.stream, sent).await;
            match outcome {
                Err(Failure::Ignored(_)) if waited > OWED => {}
                Err(Failure::Ignored(why)) => {
                    let told = format!("nothing came {waited:?} after the request before: {why}");
                    return Err(Failure::Broken(told));
                }
                outcome => return outcome.inspect(|own| self.keep(idle.stream, asked, own.lasts)),
            }
        }
        let connected = TcpStream::connect(self.address).await;
        let mut stream = connected.map_err(|error| Failure::Refused(error.to_string()))?;
        stream.set_nodelay(true).unwrap();
        let asked = Instant::now();
        let sent = stream.write_all(request).await;
        let answered = answer(&mut stream, sent).await?;
        self.keep(stream, asked, answered.lasts);
        Ok(answered)
    }

    fn take(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|own| own.answered.elapsed() < KEPT);
        idle.pop()
    }

    fn keep(&self, stream: TcpStream, asked: Instant, lasts: bool) {
        if self.keeps && lasts {
            let answered = Instant::now();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Idle {
                stream,
                asked,
                answered,
            });
        }
    }
}

/// Reads an answer, which has to be whole.
async fn answer(stream: &mut TcpStream, sent: std::io::Result<()>) -> Result<Answered, Failure> {
    sent.map_err(|error| Failure::Ignored(error.to_string()))?;
    let mut received = Vec::new();
    let end = loop {
        if let Some(at) = received.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read_buf(&mut received).await {
            Ok(size) if size > 0 => {}
            ended if received.is_empty() => return Err(Failure::Ignored(format!("{ended:?}"))),
            ended => return Err(Failure::Broken(format!("the head was cut off: {ended:?}"))),
        }
    };
    let mut body = received.split_off(end);
    let head = String::from_utf8_lossy(&received).to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ").and_then(|own| own.get(..3));
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let length: Option<usize> = field("content-length: ").map(|own| own.parse().unwrap());
    let is_chunked = field("transfer-encoding: ") == Some("chunked");
    let is_whole = |body: &[u8]| match length {
        Some(length) => body.len() >= length,
        None => is_chunked && body.ends_with(b"0\r\n\r\n"),
    };
    while !is_whole(&body) {
        match stream.read_buf(&mut body).await {
            Ok(size) if size > 0 => {}
            ended => return Err(Failure::Broken(format!("it was cut off: {ended:?} {head}"))),
        }
    }
    Ok(Answered {
        status: status.expect("a status").parse().unwrap(),
        body: String::from_utf8_lossy(&body).into_owned(),
        lasts: field("connection: ") != Some("close"),
    })
}

/// A request as it goes over the wire.
pub(crate) fn text(request: RequestBuilder) -> Vec<u8> {
    let request = request.build().unwrap();
    let url = request.url();
    let body = request.body().map(|body| body.as_bytes().expect("bytes"));
    let body = body.unwrap_or_default();
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut head = format!("{} {target} HTTP/1.1\r\n", request.method());
    if !request.headers().contains_key("host") {
        head += &format!("host: {}\r\n", url.authority());
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    [head.as_bytes(), b"\r\n", body].concat()
}
