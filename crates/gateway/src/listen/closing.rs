//! A listener that closes so that nobody it greeted is cut off.
//!
//! The operating system completes handshakes by itself. One that is under way
//! when a listener closes is reset, and the caller, who was greeted, loses the
//! request it has sent by then. So newcomers are no longer greeted first, and
//! who was greeted already has a moment to come in. A newcomer's operating
//! system knocks again after a second, and finds the listener closed, or the
//! next process there.
//!
//! Spec: RFC 9293 §3.5, §3.8.1

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;

/// How long the last step of a handshake takes at most, a few round trips within
/// a region.
const GREETED: Duration = Duration::from_millis(50);

/// Greets nobody any more, and waits until who was greeted has come in. Where
/// the operating system cannot do that, nothing is waited for.
pub(super) async fn settle(listener: &TcpListener) {
    if ignore_newcomers(listener).is_ok() {
        tokio::time::sleep(GREETED).await;
    }
}

/// Has the operating system drop the first segment of each handshake, and no
/// other.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ignore_newcomers(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    /// Where the flags stand in a TCP header.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;

    SockRef::from(listener).attach_filter(&[
        // The byte of the flags; these two of it; whether it is the first alone.
        SockFilter::new(0x30, 0, 0, FLAGS),
        SockFilter::new(0x54, 0, 0, SYN | ACK),
        SockFilter::new(0x15, 0, 1, SYN),
        // Nothing of the segment is kept, or all.
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ])
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ignore_newcomers(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
