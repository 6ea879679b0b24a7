//! The load generator: 64 keep-alive connections in one thread, each with one
//! request in flight, used on server and floor alike.
//!
//! Spec: RFC 9112 §4, §6.3

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock;
use crate::histogram::Histogram;

/// How many connections ask at once.
pub(crate) const CONNECTIONS: usize = 64;
/// How large an answer may be, head and body.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long a run may take beyond its plan.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one connection says, again and again.
pub(crate) trait Caller: Send + 'static {
    /// The bytes of the next request.
    fn request(&self) -> &[u8];

    /// Takes the body of an answer, whose status was 200.
    fn answered(&mut self, body: &[u8]) -> Result<()>;
}

/// Asks the same each time.
pub(crate) struct Repeated(pub(crate) Vec<u8>);

impl Caller for Repeated {
    fn request(&self) -> &[u8] {
        &self.0
    }

    fn answered(&mut self, _body: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// How long to ask whom.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) measured: Duration,
}

/// What came of one run.
pub(crate) struct Run {
    /// Answers a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// When answers count.
#[derive(Clone, Copy)]
struct Window {
    begins: Instant,
    ends: Instant,
}

impl Load {
    /// Lets each caller ask until the time is over. Callers come back as they
    /// are after their last answer.
    pub(crate) fn run<C: Caller>(&self, callers: Vec<C>) -> Result<(Run, Vec<C>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let warm_up = self.measured / 5;
            let whole = warm_up + self.measured + PATIENCE;
            let run = tokio::time::timeout(whole, self.converse(callers, warm_up));
            run.await.context("the answers did not end")?
        })
    }

    async fn converse<C: Caller>(
        &self,
        callers: Vec<C>,
        warm_up: Duration,
    ) -> Result<(Run, Vec<C>)> {
        let mut streams = Vec::with_capacity(callers.len());
        for _ in &callers {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let begins = clock::now() + warm_up;
        let ends = begins + self.measured;
        let window = Window { begins, ends };
        let pairs = streams.into_iter().zip(callers);
        let tasks: Vec<_> = pairs
            .map(|(stream, caller)| tokio::spawn(converse(stream, caller, window)))
            .collect();
        let mut latencies = Histogram::default();
        let mut back = Vec::with_capacity(tasks.len());
        for task in tasks {
            let (caller, own) = task.await??;
            latencies.add(&own);
            back.push(caller);
        }
        let run = Run {
            rate: latencies.total() as f64 / self.measured.as_secs_f64(),
            p50: latencies.quantile(0.50),
            p99: latencies.quantile(0.99),
        };
        Ok((run, back))
    }
}

/// Asks until the window ends. What is in flight then is still awaited, so that
/// a caller never loses an answer that changed something.
async fn converse<C: Caller>(
    mut stream: TcpStream,
    mut caller: C,
    window: Window,
) -> Result<(C, Histogram)> {
    let mut buffer = vec![0; MAX_ANSWER_BYTES];
    let mut latencies = Histogram::default();
    loop {
        let sent = clock::now();
        if sent >= window.ends {
            return Ok((caller, latencies));
        }
        stream.write_all(caller.request()).await?;
        let body = read_answer(&mut stream, &mut buffer).await?;
        let done = clock::now();
        if done >= window.begins && done < window.ends {
            latencies.record(done - sent);
        }
        caller.answered(&buffer[body])?;
    }
}

/// Reads one answer and gives the place of its body.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Range<usize>> {
    let mut filled = 0;
    let mut body: Option<Range<usize>> = None;
    loop {
        ensure!(filled < buffer.len(), "an answer is too large");
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the connection was closed");
        filled += read;
        if body.is_none() {
            body = head(&buffer[..filled])?;
        }
        if let Some(whole) = body.clone().filter(|body| body.end <= filled) {
            ensure!(whole.end == filled, "more than one answer to one request");
            return Ok(whole);
        }
    }
}

/// The place of the body, once the head is there. Anything but 200 is an error.
fn head(bytes: &[u8]) -> Result<Option<Range<usize>>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    if bytes.get(9..12) != Some(b"200") {
        bail!("answered: {}", String::from_utf8_lossy(bytes));
    }
    let length = bytes[..end].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        name.eq_ignore_ascii_case(b"content-length:")
            .then_some(value)
    });
    let length = length.context("an answer without a length")?;
    let length: usize = std::str::from_utf8(length)?.trim().parse()?;
    let begin = end + 4;
    Ok(Some(begin..begin + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_begins_after_the_head_and_is_as_long_as_the_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\na: b\r\n\r\n{}";

        let body = head(answer).unwrap();

        assert_eq!(body.map(|body| &answer[body]), Some(&b"{}"[..]));
    }

    #[test]
    fn half_a_head_is_no_answer_yet() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
    }

    #[test]
    fn an_answer_that_is_not_200_ends_the_run() {
        assert!(head(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
