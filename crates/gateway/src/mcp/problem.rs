//! What an MCP client is answered where a message goes no further: an error of
//! JSON-RPC, under the status that the protocol gives it.
//!
//! Spec: MCP 2026-07-28 Streamable HTTP
//! Spec: JSON-RPC 2.0 §5.1

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::message::VERSIONS;
use crate::body::{Body, full};
use crate::problem::{Problem, REQUEST_ID};

pub(crate) const INVALID: i32 = -32600;
pub(crate) const NO_METHOD: i32 = -32601;
pub(crate) const PARAMETERS: i32 = -32602;
pub(crate) const HEADER_MISMATCH: i32 = -32020;
pub(crate) const UNSUPPORTED_VERSION: i32 = -32022;

/// A message that goes no further.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bad {
    pub(crate) code: i32,
    pub(crate) why: &'static str,
    id: Value,
    status: u16,
}

impl Bad {
    /// One that is no message, or not one that can be judged.
    pub(crate) const fn new(code: i32, why: &'static str) -> Self {
        Self {
            code,
            why,
            id: Value::Null,
            status: 400,
        }
    }

    /// The same as the answer to a request.
    pub(crate) fn of(mut self, id: &Value) -> Self {
        self.id = id.clone();
        self
    }

    /// The same under another status.
    pub(crate) const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    #[cfg(test)]
    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// What the log calls it.
    pub(crate) const fn problem(&self) -> Problem {
        let code = match self.code {
            HEADER_MISMATCH => "mcp-header-mismatch",
            UNSUPPORTED_VERSION => "mcp-version",
            NO_METHOD => "mcp-method",
            PARAMETERS => "mcp-not-allowed",
            _ => "mcp-message",
        };
        Problem::new(self.status, code, self.why)
    }

    /// The answer.
    pub(crate) fn answer(&self, request_id: &str) -> Response<Body> {
        let mut error = json!({ "code": self.code, "message": self.why });
        if self.code == UNSUPPORTED_VERSION {
            error["data"] = json!({ "supported": VERSIONS });
        }
        let mut body = json!({ "jsonrpc": "2.0", "error": error });
        if !self.id.is_null() {
            body["id"] = self.id.clone();
        }
        let mut response = Response::new(full(body.to_string()));
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
}
