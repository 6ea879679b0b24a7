//! A message of the protocol as it was sent: read strictly, and written anew,
//! so that what is judged is what the server gets.
//!
//! Spec: MCP 2026-07-28 Streamable HTTP
//! Spec: MCP 2025-06-18 Transports
//! Spec: JSON-RPC 2.0 §4, §5

mod argument;
pub(crate) mod member;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use symbolon_token::jose::json;

use super::problem::{Bad, HEADER_MISMATCH, INVALID, UNSUPPORTED_VERSION};

pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const VERSION_IN_BODY: &str = "io.modelcontextprotocol/protocolVersion";

/// The versions that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2025-06-18 and 2025-11-25: with a handshake and, maybe, sessions.
    WithSessions,
    /// 2026-07-28: each request stands alone.
    Alone,
}

/// Those that a refusal names.
pub(crate) const VERSIONS: [&str; 3] = ["2026-07-28", "2025-11-25", "2025-06-18"];

impl Version {
    fn named(text: &str) -> Option<Self> {
        match text {
            "2026-07-28" => Some(Self::Alone),
            "2025-11-25" | "2025-06-18" => Some(Self::WithSessions),
            _ => None,
        }
    }
}

/// A message.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    /// Its parts.
    pub(crate) whole: Map<String, Value>,
    /// Under which version it was sent.
    pub(crate) version: Version,
}

impl Message {
    /// Reads the body of a POST together with the headers that say the same.
    pub(crate) fn read(body: &[u8], headers: &HeaderMap) -> Result<Self, Bad> {
        let whole = json::object(body).map_err(|_| {
            Bad::new(
                INVALID,
                "the body is one JSON object without repeated members",
            )
        })?;
        let id = whole.get("id").cloned().unwrap_or(Value::Null);
        let own = Self {
            version: version_of(&whole, headers).map_err(|bad| bad.of(&id))?,
            whole,
        };
        own.check_members().map_err(|bad| bad.of(&id))?;
        own.check_form().map_err(|bad| bad.of(&id))?;
        own.check_headers(headers).map_err(|bad| bad.of(&id))?;
        Ok(own)
    }

    /// What is asked for; nothing in an answer to the server.
    pub(crate) fn method(&self) -> Option<&str> {
        self.whole.get("method").and_then(Value::as_str)
    }

    /// The identifier, `null` where there is none.
    pub(crate) fn id(&self) -> Value {
        self.whole.get("id").cloned().unwrap_or(Value::Null)
    }

    /// A member of the parameters.
    pub(crate) fn parameter(&self, name: &str) -> Option<&Value> {
        self.whole.get("params")?.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.parameter(name)?.as_str()
    }

    /// The name that headers repeat: of a tool or a prompt, or a URI.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.method()? {
            "tools/call" | "prompts/get" => self.text("name"),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => self.text("uri"),
            _ => None,
        }
    }

    /// What is judged has one name to every reader.
    fn check_members(&self) -> Result<(), Bad> {
        match member::are_plain(&self.whole, VERSION_IN_BODY) {
            true => Ok(()),
            false => Err(Bad::new(
                INVALID,
                "a member has nearly the name of another, which some take for it",
            )),
        }
    }

    fn check_form(&self) -> Result<(), Bad> {
        let has = |name: &str| self.whole.contains_key(name);
        let is_call = has("method") && !has("result") && !has("error");
        let is_answer = has("result") != has("error") && !has("method") && has("id");
        let is_named = self.whole.get("method").is_none_or(Value::is_string);
        let is_id = self
            .whole
            .get("id")
            .is_none_or(|id| id.is_string() || id.is_i64() || id.is_u64());
        let is_params = self.whole.get("params").is_none_or(Value::is_object);
        let may_answer = self.version == Version::WithSessions;
        let is_form = is_call || is_answer && may_answer;
        let is_2 = self.whole.get("jsonrpc").is_some_and(|own| own == "2.0");
        match is_form && is_named && is_id && is_params && is_2 {
            true => Ok(()),
            false => Err(Bad::new(INVALID, "the body is no message of JSON-RPC 2.0")),
        }
    }

    /// Headers that repeat what is in the body say the same, whatever reads them.
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Bad> {
        let wanted = self.version == Version::Alone && self.whole.contains_key("id");
        let names = matches!(
            self.method(),
            Some("tools/call" | "resources/read" | "prompts/get")
        );
        let method = one(headers, &METHOD)?;
        let name = one(headers, &NAME)?.map(decoded).transpose()?;
        let mismatch = |what| Err(Bad::new(HEADER_MISMATCH, what));
        match (method, self.method()) {
            (None, _) if wanted => return mismatch("the header Mcp-Method is missing"),
            (Some(said), own) if own != Some(said) => {
                return mismatch("the header Mcp-Method differs from the body");
            }
            _ => {}
        }
        match (name, self.name()) {
            (None, Some(_)) if wanted && names => mismatch("the header Mcp-Name is missing"),
            (Some(said), own) if own != Some(&*said) => {
                mismatch("the header Mcp-Name differs from the body")
            }
            _ => argument::check(headers, self.parameter("arguments")),
        }
    }
}

/// The one value of a header; two could be read as either.
pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Bad> {
    let mut all = headers.get_all(name).iter();
    let first = all.next().map(|own| own.to_str());
    match (first.transpose(), all.next()) {
        (Ok(first), None) => Ok(first),
        _ => Err(Bad::new(
            HEADER_MISMATCH,
            "a header of MCP is repeated or no text",
        )),
    }
}

/// A name or an argument as a header carries it.
fn decoded(text: &str) -> Result<String, Bad> {
    let inside = text
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    let Some(inside) = inside else {
        return Ok(text.to_owned());
    };
    let bytes = BASE64_STANDARD.decode(inside).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Bad::new(HEADER_MISMATCH, "a header of MCP is not well encoded"))
}

/// The version of a request: the header's, which the body repeats since
/// 2026-07-28. Only the handshake comes without one.
fn version_of(whole: &Map<String, Value>, headers: &HeaderMap) -> Result<Version, Bad> {
    let said = one(headers, &PROTOCOL_VERSION)?;
    let inside = whole
        .get("params")
        .and_then(|params| params.get("_meta")?.get(VERSION_IN_BODY));
    let method = whole.get("method").and_then(Value::as_str);
    let unsupported = || {
        Bad::new(
            UNSUPPORTED_VERSION,
            "the protocol version is not spoken here",
        )
    };
    let Some(said) = said else {
        return match (method, inside) {
            (Some("initialize"), None) => Ok(Version::WithSessions),
            _ => Err(Bad::new(
                HEADER_MISMATCH,
                "the header MCP-Protocol-Version is missing",
            )),
        };
    };
    let version = Version::named(said).ok_or_else(unsupported)?;
    let is_same = inside.is_some_and(|inside| inside == said);
    let has_to = version == Version::Alone && whole.contains_key("id");
    if !is_same && (has_to || inside.is_some()) {
        return Err(Bad::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version differs from the body",
        ));
    }
    Ok(version)
}

/// The version of a request without a body: a stream or the end of a session,
/// which only versions with sessions have.
pub(crate) fn version_alone(headers: &HeaderMap) -> Result<Version, Bad> {
    let said = one(headers, &PROTOCOL_VERSION)?;
    let version = said.map(Version::named);
    match version {
        Some(Some(version)) => Ok(version),
        Some(None) => Err(Bad::new(
            UNSUPPORTED_VERSION,
            "the protocol version is not spoken here",
        )),
        None => Err(Bad::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version is missing",
        )),
    }
}

#[cfg(test)]
mod tests;
