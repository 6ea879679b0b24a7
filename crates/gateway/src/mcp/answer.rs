//! Lists on their way back: only what the caller may use is left in them, in
//! one answer or in a stream of events, whose identifiers `event` ties. What a
//! server lets others keep, who have no say here, is for this caller alone.
//!
//! Spec: MCP 2026-07-28 Caching
//! Spec: MCP 2026-07-28 Tools
//! Spec: MCP 2026-07-28 Prompts
//! Spec: MCP 2026-07-28 Resources
//! Spec: WHATWG HTML §9.2.5, §9.2.6

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use serde_json::{Map, Value};
use symbolon_token::jose::json;
use symbolon_verify::Principal;

use super::event::Identifiers;
use super::message::{SESSION_ID, Version};
use super::rules::Mcp;
use super::session::{SessionKey, whose};
use crate::body::{Body, BoxError, full};
use crate::problem::{BROKEN, Problem};
use crate::routes::Ready;

/// How large what is read whole, or one event of a stream, may be in bytes.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// What may stand before the first line of a stream.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is done with an answer.
pub(crate) struct Answering {
    pub(crate) ready: Arc<Ready>,
    pub(crate) principal: Option<Principal>,
    pub(crate) key: SessionKey,
    pub(crate) version: Version,
    /// Whether something may come in it that has to be changed.
    pub(crate) is_read: bool,
}

/// Whether what answers a method has to be read: a list, an answer that others
/// could keep, and what comes on a stream for whatever was asked before.
pub(super) fn is_read(method: Option<&str>, version: Version) -> bool {
    let is_kept = |own| matches!(own, "resources/read" | "server/discover");
    method.is_none_or(|own| own.ends_with("/list") || version == Version::Alone && is_kept(own))
}

impl Answering {
    /// Brings an answer to what the caller may see of it.
    pub(crate) async fn apply(
        self,
        (status, headers): (StatusCode, &mut HeaderMap),
        body: Body,
    ) -> Result<Body, Problem> {
        self.tie_session(headers)?;
        let kind = kind(headers);
        let is_stream = kind == "text/event-stream";
        let is_looked_into = match is_stream {
            true => self.is_looked_into(),
            false => self.is_read && kind == "application/json",
        };
        if !is_looked_into {
            return match self.is_read && !is_stream && status.is_success() {
                // That a message was taken is told by the status alone.
                true if status == StatusCode::ACCEPTED => {
                    headers.remove(CONTENT_ENCODING);
                    headers.remove(CONTENT_LENGTH);
                    Ok(full(String::new()))
                }
                true => self.nothing(body).await,
                false => Ok(body),
            };
        }
        // Nothing was offered under which it could have been compressed.
        if headers.contains_key(CONTENT_ENCODING) {
            return Err(BROKEN);
        }
        headers.remove(CONTENT_LENGTH);
        if is_stream {
            return Ok(self.stream(body));
        }
        let patience = self.ready.upstream.settings.idle_timeout;
        let whole = whole(body, patience).await?;
        if whole.is_empty() {
            return Ok(full(String::new()));
        }
        let shown = self.shown(&whole).ok_or(BROKEN)?;
        Ok(full(shown))
    }

    /// What was to be read and is neither a message nor a stream of them has to
    /// be nothing: not every reader goes by the type.
    async fn nothing(&self, body: Body) -> Result<Body, Problem> {
        let patience = self.ready.upstream.settings.idle_timeout;
        match whole(body, patience).await?.is_empty() {
            true => Ok(full(String::new())),
            false => Err(BROKEN),
        }
    }

    /// Whether something that may come has to be changed.
    pub(super) fn is_looked_into(&self) -> bool {
        self.is_read || self.version == Version::WithSessions
    }

    fn stream(self, body: Body) -> Body {
        let own = Arc::new(self);
        let tied = match own.version {
            Version::WithSessions => own.tie_events(body),
            // What stands alone resumes nothing.
            Version::Alone => body,
        };
        match own.is_read {
            true => Events::new(tied, own).boxed_unsync(),
            false => tied,
        }
    }

    fn tie_events(self: &Arc<Self>, body: Body) -> Body {
        let (key, whose) = (self.key.of_events(), self.whose());
        let tie = move |id: &str| key.tie(id, &whose);
        let mut identifiers = Identifiers::new(tie);
        let tied = body.map_frame(move |frame| match frame.into_data() {
            Ok(bytes) => Frame::data(identifiers.take(&bytes).into()),
            Err(frame) => frame,
        });
        tied.boxed_unsync()
    }

    /// With whom identifiers are tied.
    pub(super) fn whose(&self) -> Vec<u8> {
        whose(&self.ready.route.upstream, self.principal.as_ref())
    }

    fn tie_session(&self, headers: &mut HeaderMap) -> Result<(), Problem> {
        let Some(session) = headers.remove(SESSION_ID) else {
            return Ok(());
        };
        // What stands alone has no session.
        if self.version == Version::Alone {
            return Ok(());
        }
        let tied = session.to_str().ok();
        let tied = tied.and_then(|own| self.key.tie(own, &self.whose()));
        let value = tied.and_then(|own| HeaderValue::from_str(&own).ok());
        headers.insert(SESSION_ID, value.ok_or(BROKEN)?);
        Ok(())
    }

    /// A message with what the caller may see; nothing where it cannot be read.
    fn shown(&self, bytes: &[u8]) -> Option<String> {
        let mcp = self.ready.route.mcp.as_ref()?;
        let mut message = json::object(bytes).ok()?;
        filter(mcp, self.principal.as_ref(), &mut message);
        Some(Value::Object(message).to_string())
    }
}

/// The media type of an answer, without its parameters; none where it has
/// several.
fn kind(headers: &HeaderMap) -> String {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (all.next(), all.next()) else {
        return String::new();
    };
    let kind = kind.to_str().unwrap_or_default().split(';').next();
    kind.unwrap_or_default().trim().to_ascii_lowercase()
}

async fn whole(mut body: Body, patience: Duration) -> Result<Bytes, Problem> {
    let read = async {
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BROKEN)?.into_data() else {
                continue;
            };
            if whole.len() + data.len() > MAX_LIST_BYTES {
                return Err(BROKEN);
            }
            whole.extend_from_slice(&data);
        }
        Ok(Bytes::from(whole))
    };
    tokio::time::timeout(patience, read)
        .await
        .unwrap_or(Err(BROKEN))
}

/// Whether a caller may use what has this name.
type Shows<'s> = &'s dyn Fn(&str) -> bool;

/// Takes out of a message what the caller may not use.
fn filter(mcp: &Mcp, principal: Option<&Principal>, message: &mut Map<String, Value>) {
    let Some(Value::Object(result)) = message.get_mut("result") else {
        return;
    };
    let shows: [(&str, &str, Shows<'_>); 4] = [
        ("tools", "name", &|own| {
            mcp.shows(&mcp.tools, own, principal)
        }),
        ("prompts", "name", &|own| {
            mcp.shows(&mcp.prompts, own, principal)
        }),
        ("resources", "uri", &|own| {
            mcp.shows_resource(own, principal)
        }),
        // What a template begins with is where all of its resources are.
        ("resourceTemplates", "uriTemplate", &|own| {
            mcp.shows_resource(own.split('{').next().unwrap_or_default(), principal)
        }),
    ];
    for (list, name, shows) in shows {
        if let Some(Value::Array(items)) = result.get_mut(list) {
            items.retain(|item| item.get(name).and_then(Value::as_str).is_some_and(shows));
        }
    }
    // The server checks nobody, so to it everything is everybody's.
    let is_kept = result.contains_key(KEPT_BY) || result.contains_key(KEPT_FOR);
    if principal.is_some() && is_kept {
        result.insert(KEPT_BY.into(), "private".into());
    }
}

/// Who may keep a result, and for how long.
const KEPT_BY: &str = "cacheScope";
const KEPT_FOR: &str = "ttlMs";

/// A stream of events, each of which is read before it goes on.
struct Events {
    inner: Body,
    answering: Arc<Answering>,
    parser: Parser,
    is_over: bool,
}

impl Events {
    fn new(inner: Body, answering: Arc<Answering>) -> Self {
        Self {
            inner,
            answering,
            parser: Parser::default(),
            is_over: false,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the stream of events cannot be read")]
struct Unreadable;

impl HttpBody for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if self.is_over {
                return Poll::Ready(None);
            }
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => frame,
                // What has not ended when the stream does is no event.
                Poll::Ready(None) => {
                    self.is_over = true;
                    continue;
                }
            };
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            let answering = Arc::clone(&self.answering);
            let shown = self.parser.take(&bytes, |data| answering.shown(data));
            match shown {
                None => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(Unreadable.into())));
                }
                Some(shown) if shown.is_empty() => {}
                Some(shown) => return Poll::Ready(Some(Ok(Frame::data(shown.into())))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Reads lines however they end, and writes events anew.
#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    /// Fields of the event so far, data apart.
    fields: Vec<u8>,
    data: Option<Vec<u8>>,
    after_return: bool,
    /// Whether a line has ended.
    has_begun: bool,
}

impl Parser {
    /// Takes bytes, and gives the events that are whole by now; `None` where one
    /// cannot be read.
    fn take(&mut self, bytes: &[u8], show: impl Fn(&[u8]) -> Option<String>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for byte in bytes {
            let was_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if was_return => {}
                b'\n' | b'\r' => self.end_line(&mut out, &show)?,
                byte => self.line.push(*byte),
            }
            let held = self.line.len() + self.fields.len();
            if held + self.data.as_ref().map_or(0, Vec::len) > MAX_LIST_BYTES {
                return None;
            }
        }
        Some(out)
    }

    fn end_line(
        &mut self,
        out: &mut Vec<u8>,
        show: impl Fn(&[u8]) -> Option<String>,
    ) -> Option<()> {
        let mut line = std::mem::take(&mut self.line);
        // Readers drop this mark, and then find the field behind it.
        if !std::mem::replace(&mut self.has_begun, true) && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            return self.end_event(out, show);
        }
        let is_between = self.fields.is_empty() && self.data.is_none();
        if is_between && line.starts_with(b":") {
            // A sign of life, which nobody may wait for.
            out.extend_from_slice(&line);
            out.push(b'\n');
            return Some(());
        }
        match line.strip_prefix(b"data") {
            Some(rest) if rest.is_empty() || rest[0] == b':' => {
                let value = rest.strip_prefix(b":").unwrap_or(rest);
                let value = value.strip_prefix(b" ").unwrap_or(value);
                match &mut self.data {
                    None => self.data = Some(value.to_vec()),
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                }
            }
            _ => {
                self.fields.extend_from_slice(&line);
                self.fields.push(b'\n');
            }
        }
        Some(())
    }

    fn end_event(
        &mut self,
        out: &mut Vec<u8>,
        show: impl Fn(&[u8]) -> Option<String>,
    ) -> Option<()> {
        out.append(&mut self.fields);
        if let Some(data) = self.data.take() {
            let is_empty = data.iter().all(u8::is_ascii_whitespace);
            let shown = match is_empty {
                true => String::new(),
                false => show(&data)?,
            };
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(shown.as_bytes());
            out.push(b'\n');
        }
        out.push(b'\n');
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rules::Rule;
    use super::*;

    fn small(data: &[u8]) -> Option<String> {
        json::object(data)
            .ok()
            .map(|own| Value::Object(own).to_string())
    }

    #[test]
    fn events_come_out_whole_however_they_were_cut_and_ended() {
        let wanted = "event: message\nid: 7\ndata: {\"a\":1}\n\n: still here\n\n";
        for text in [
            "event: message\nid: 7\ndata: {\"a\":1}\n\n: still here\n\n",
            "event: message\r\nid: 7\r\ndata:{\"a\":1}\r\n\r\n: still here\r\n\r\n",
            "event: message\rid: 7\rdata: {\"a\":\rdata: 1}\r\r: still here\r\r",
            "\u{feff}event: message\nid: 7\ndata: {\"a\":1}\n\n: still here\n\n",
        ] {
            for size in 1..8 {
                let mut parser = Parser::default();
                let mut out = Vec::new();
                for chunk in text.as_bytes().chunks(size) {
                    out.extend(parser.take(chunk, small).unwrap());
                }
                assert_eq!(String::from_utf8(out).unwrap(), wanted, "{size} {text:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_stream_and_what_is_not_whole_stays_here() {
        for bad in [
            "data: {\n\n",
            "data: [1]\n\n",
            "data: {\"a\":1,\"a\":2}\n\n",
            "\u{feff}data: [1]\n\n",
        ] {
            assert_eq!(Parser::default().take(bad.as_bytes(), small), None, "{bad}");
        }
        let mut parser = Parser::default();
        assert_eq!(parser.take(b"data: {\"a\":1}\n", small).unwrap(), b"");
        let rest = parser.take(b"id: 1\n\n", small).unwrap();
        assert_eq!(rest, b"id: 1\ndata: {\"a\":1}\n\n");
    }

    #[test]
    fn only_what_may_be_used_stays_in_a_list() {
        let rule = |name: &str| Rule {
            name: name.into(),
            scopes: Vec::new(),
            arguments: Default::default(),
            cost: 1,
        };
        let hidden = Rule {
            scopes: vec!["admin".into()],
            ..rule("drop")
        };
        let mcp = Mcp {
            tools: vec![rule("read"), hidden],
            resources: vec![rule("file:///public/*")],
            ..Mcp::default()
        };
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": {
            "tools": [{"name": "read"}, {"name": "drop"}, {"name": "other"}, {"title": "read"}, "read"],
            "resourceTemplates": [{"uriTemplate": "file:///public/{name}"}, {"uriTemplate": "file:///{+path}"}],
            "nextCursor": "2",
        }});
        let mut message = message.as_object().unwrap().clone();

        filter(&mcp, None, &mut message);

        let result = json!({
            "tools": [{"name": "read"}], "nextCursor": "2",
            "resourceTemplates": [{"uriTemplate": "file:///public/{name}"}],
        });
        assert_eq!(message["result"], result);
    }
}
