//! Requests byte by byte, as no client would send them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends bytes and reads until the other side ends or says nothing more for a
/// while.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Whoever refuses may close before all of it is read.
    let _ = stream.write_all(bytes).await;
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read)).await;
    String::from_utf8_lossy(&read).into_owned()
}

/// A GET of a target as it stands, with headers as they stand.
pub(crate) async fn get(address: SocketAddr, target: &[u8], headers: &str) -> String {
    let mut bytes = b"GET ".to_vec();
    bytes.extend_from_slice(target);
    bytes.extend_from_slice(b" HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n");
    bytes.extend_from_slice(headers.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    send(address, &bytes).await
}

/// The statuses of the answers, in order.
pub(crate) fn statuses(answer: &str) -> Vec<u16> {
    let lines = answer.split("HTTP/1.1 ").skip(1);
    lines.map(|rest| rest[..3].parse().unwrap()).collect()
}

/// The code at the end of a problem's type.
pub(crate) fn code(answer: &str) -> &str {
    let rest = answer.split("/problems/").nth(1).unwrap_or_default();
    rest.split('"').next().unwrap_or_default()
}
