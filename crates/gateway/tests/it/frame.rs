//! HTTP/2 frame by frame, as no client or server would send it.
//!
//! Spec: RFC 9113 §4.1, §6
//! Spec: RFC 7541 §6.2.2

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'p> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: &'p [u8],
}

impl Frame<'_> {
    pub(crate) const fn settings() -> Self {
        Frame {
            kind: SETTINGS,
            flags: 0,
            stream: 0,
            payload: &[],
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(self.payload);
        bytes
    }
}

/// Reads a frame and says of which kind it was; `None` at the end.
pub(crate) async fn skip(stream: &mut TcpStream) -> Option<u8> {
    next(stream).await.map(|(kind, _)| kind)
}

/// The same, and how long it was in bytes.
pub(crate) async fn next(stream: &mut TcpStream) -> Option<(u8, usize)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], payload.len()))
}

/// The head of a request, without an index.
pub(crate) fn request(method: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "gateway.test"),
    ] {
        literal(&mut block, name, value);
    }
    block
}

/// One line of a head: names and values of at most 126 bytes.
pub(crate) fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(u8::try_from(text.len()).unwrap());
        block.extend(text.as_bytes());
    }
}

/// A connection on which both sides have said hello.
pub(crate) async fn connect(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let hello = Frame::settings().bytes();
    stream.write_all(&hello).await.unwrap();
    stream
}
