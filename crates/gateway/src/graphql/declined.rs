//! Why a request is not sent on, and the answer that says so.
//!
//! Spec: GraphQL September 2025 §7.1
//! Spec: draft-graphql-over-http §6.4
//!
//! What is wrong with a request as GraphQL is told as GraphQL does, in `errors`.
//! *Differs from GraphQL over HTTP, appendix A*: a refusal for want of scopes, or
//! for a limit, has a status of 4xx for callers of `application/json` too, so
//! that whatever stands between sees that nothing was answered.

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::body::{Body, full};
use crate::problem::REQUEST_ID;

/// The media types of an answer.
const RESPONSE_JSON: &str = "application/graphql-response+json";
const PLAIN_JSON: &str = "application/json";
/// How many mistakes of one document are told.
const MAX_TOLD: usize = 5;

/// Why a request is not sent on.
#[derive(Debug, Clone)]
pub(crate) struct Declined {
    /// A stable word for logs.
    pub(crate) code: &'static str,
    /// The same as clients of GraphQL know it.
    told: &'static str,
    status: u16,
    /// Whether callers of `application/json` get 200 with it.
    is_of_graphql: bool,
    messages: Vec<(String, Vec<(usize, usize)>)>,
    /// Scopes with which it would have passed.
    pub(crate) wanted: Vec<String>,
}

impl Declined {
    fn new(
        code: &'static str,
        told: &'static str,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            told,
            status,
            is_of_graphql: false,
            messages: vec![(message.into(), Vec::new())],
            wanted: Vec::new(),
        }
    }

    fn of_graphql(code: &'static str, told: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_of_graphql: true,
            ..Self::new(code, told, 400, message)
        }
    }

    /// The request is no request of GraphQL.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new("graphql-request", "BAD_REQUEST", 400, message)
    }

    /// The document cannot be read.
    pub(crate) fn syntax(messages: Vec<(String, Vec<(usize, usize)>)>) -> Self {
        let own = Self::of_graphql("graphql-syntax", "GRAPHQL_PARSE_FAILED", "");
        own.saying(messages)
    }

    /// The document does not fit the schema.
    pub(crate) fn invalid(messages: Vec<(String, Vec<(usize, usize)>)>) -> Self {
        let own = Self::of_graphql("graphql-invalid", "GRAPHQL_VALIDATION_FAILED", "");
        own.saying(messages)
    }

    fn saying(self, mut messages: Vec<(String, Vec<(usize, usize)>)>) -> Self {
        messages.truncate(MAX_TOLD);
        Self { messages, ..self }
    }

    /// Which operation is meant cannot be told.
    pub(crate) fn operation(message: &str) -> Self {
        let told = "OPERATION_RESOLUTION_FAILURE";
        Self::of_graphql("graphql-operation", told, message)
    }

    /// The variables do not fit the operation.
    pub(crate) fn variables(message: impl Into<String>) -> Self {
        Self::of_graphql("graphql-variables", "BAD_USER_INPUT", message)
    }

    /// It is not among the operations that are known.
    pub(crate) fn persisted(told: &'static str, message: &str) -> Self {
        Self::of_graphql("graphql-persisted", told, message)
    }

    /// There is more of something than there may be.
    pub(crate) fn limit(name: &str, limit: impl std::fmt::Display) -> Self {
        let message = format!("more than `{name}` allows, which is {limit}");
        Self::new("graphql-limit", "LIMIT_EXCEEDED", 400, message)
    }

    /// It costs more than it may.
    pub(crate) fn cost(cost: u64, max: u64) -> Self {
        let message = format!("the operation costs {cost}, and {max} at most is allowed");
        Self::new("graphql-cost", "COST_EXCEEDED", 400, message)
    }

    /// This kind of operation does not pass here, or not in this way.
    pub(crate) fn kind(status: u16, message: &str) -> Self {
        Self::new("graphql-kind", "OPERATION_NOT_ALLOWED", status, message)
    }

    /// Its caller may not see all that it asks for.
    pub(crate) fn denied(is_nobody: bool, messages: Vec<String>, wanted: Vec<String>) -> Self {
        let (told, status) = match is_nobody {
            true => ("UNAUTHENTICATED", 401),
            false => (UNAUTHORIZED, 403),
        };
        let messages = messages.into_iter().map(|own| (own, Vec::new())).collect();
        let own = Self::new("graphql-denied", told, status, "").saying(messages);
        Self { wanted, ..own }
    }

    /// The status of the answer to whoever accepts these media types.
    pub(crate) fn status(&self, headers: &HeaderMap) -> u16 {
        match self.is_of_graphql && media(headers) == PLAIN_JSON {
            true => 200,
            false => self.status,
        }
    }

    /// What is wrong, for the operator.
    pub(crate) fn cause(&self) -> String {
        let all: Vec<&str> = self.messages.iter().map(|(own, _)| &**own).collect();
        all.join("; ")
    }

    /// Whether more scopes would repair it.
    pub(crate) fn is_denial(&self) -> bool {
        self.code == "graphql-denied"
    }

    /// The answer.
    pub(crate) fn answer(&self, headers: &HeaderMap, request_id: &str) -> Response<Body> {
        let error = |(message, places): &(String, Vec<(usize, usize)>)| {
            let mut error = json!({
                "message": message,
                "extensions": { "code": self.told, "request_id": request_id },
            });
            if !places.is_empty() {
                let place =
                    |(line, column): &(usize, usize)| json!({ "line": line, "column": column });
                error["locations"] = places.iter().map(place).collect::<Value>();
            }
            error
        };
        let errors: Value = self.messages.iter().map(error).collect();
        let mut response = Response::new(full(json!({ "errors": errors }).to_string()));
        let status = StatusCode::from_u16(self.status(headers));
        *response.status_mut() = status.unwrap_or(StatusCode::BAD_REQUEST);
        let own = response.headers_mut();
        let media = match media(headers) {
            PLAIN_JSON => "application/json; charset=utf-8",
            _ => "application/graphql-response+json; charset=utf-8",
        };
        own.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        own.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            own.insert(REQUEST_ID, id);
        }
        response
    }
}

/// The code of an error about a field that its caller may not see.
pub(crate) const UNAUTHORIZED: &str = "UNAUTHORIZED_FIELD_OR_TYPE";

/// The media type of an answer: the newer one, unless only the older is asked for.
fn media(headers: &HeaderMap) -> &'static str {
    let accepts = |name: &str| {
        let values = headers.get_all(ACCEPT).iter();
        let ranges = values.flat_map(|value| value.as_bytes().split(|own| *own == b','));
        ranges
            .map(|range| range.split(|own| *own == b';').next().unwrap_or_default())
            .any(|range| range.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    };
    match accepts(PLAIN_JSON) && !accepts(RESPONSE_JSON) {
        true => PLAIN_JSON,
        false => RESPONSE_JSON,
    }
}
