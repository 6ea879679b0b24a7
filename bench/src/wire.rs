//! Requests as bytes, and one request at a time for what is not measured.
//!
//! Spec: RFC 9112 §3

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A request without its host.
#[derive(Clone)]
pub(crate) struct Request {
    line: String,
    headers: String,
    body: String,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            line: format!("GET {path}"),
            headers: String::new(),
            body: String::new(),
        }
    }

    pub(crate) fn form<N: AsRef<str>, V: AsRef<str>>(path: &str, form: &[(N, V)]) -> Self {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(form);
        let body = encoded.finish();
        let request = Self {
            line: format!("POST {path}"),
            headers: String::new(),
            body,
        };
        let length = request.body.len().to_string();
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-length", &length)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        // Writing into a string never fails.
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    /// A client's credentials. Both must be made of letters, digits and hyphens.
    pub(crate) fn basic(self, client: &str, secret: &str) -> Self {
        let pair = BASE64_STANDARD.encode(format!("{client}:{secret}"));
        self.header("authorization", &format!("Basic {pair}"))
    }

    /// The bytes that are sent to a host.
    pub(crate) fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let Self {
            line,
            headers,
            body,
        } = self;
        format!("{line} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n{body}").into_bytes()
    }

    /// Sends it over a connection of its own.
    pub(crate) fn send(&self, host: SocketAddr) -> Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&host, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = self.clone().header("connection", "close");
        stream.write_all(&request.bytes(host))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").context("half an answer")?;
        let status = head.get(9..12).context("no status")?.parse()?;
        Ok(Answer {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    /// Sends it; the answer must be 200.
    pub(crate) fn ask(&self, host: SocketAddr) -> Result<Answer> {
        let answer = self.send(host)?;
        ensure!(
            answer.status == 200,
            "{} was answered with {}: {}",
            self.line,
            answer.status,
            answer.body
        );
        Ok(answer)
    }
}

impl Answer {
    pub(crate) fn headers(&self, wanted: &str) -> impl Iterator<Item = &str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    }

    /// A member of a JSON answer.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        let json: Value = serde_json::from_str(&self.body)?;
        let text = json[name].as_str();
        Ok(text
            .with_context(|| format!("no `{name}` in the answer"))?
            .to_owned())
    }
}
