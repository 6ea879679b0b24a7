//! Pages of other origins that call an MCP server: what their browser is told.
//! Only origins that the route names are told anything, and none may send what
//! the browser keeps by itself.
//!
//! Spec: WHATWG Fetch §3.3
//! Spec: MCP 2025-11-25 Transports

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::body::{Body, full};
use crate::plan::Plan;

/// What a page may send besides what every page may.
const TAKEN: [&str; 9] = [
    "accept",
    "authorization",
    "content-type",
    "dpop",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];
/// The same for arguments that stand in headers, by how their names begin.
const ARGUMENTS: &str = "mcp-param-";
/// What a page may read of an answer besides its body.
const SHOWN: HeaderValue = HeaderValue::from_static(
    "DPoP-Nonce, Mcp-Session-Id, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// How many bytes of header names are answered.
const MAX_ASKED_BYTES: usize = 1024;

/// A page that its route names, where one calls.
pub(crate) struct Page(Option<HeaderValue>);

impl Page {
    /// The page that calls a path. Of a preflight, the method that is meant
    /// counts.
    pub(crate) fn of(plan: &Plan, parts: &Parts, path: &str) -> Self {
        let mut all = parts.headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (all.next(), all.next()) else {
            return Self(None);
        };
        let meant = meant(parts).unwrap_or_else(|| parts.method.clone());
        let found = plan.routes.find(&meant, path).ok();
        let mcp = found.and_then(|own| own.route.mcp.as_ref());
        let named = mcp.is_some_and(|own| own.origins.iter().any(|own| own.as_bytes() == origin));
        Self(named.then(|| origin.clone()))
    }

    /// Answers the question that a browser asks first. No token comes with it.
    pub(crate) fn preflight(&self, parts: &Parts) -> Option<Response<Body>> {
        self.0.as_ref().and(meant(parts))?;
        let mut response = Response::new(full(String::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, taken(parts));
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(self.named(response))
    }

    /// An answer that the page may read, whatever the server says of that.
    pub(crate) fn shown(&self, mut response: Response<Body>) -> Response<Body> {
        if self.0.is_some() {
            let headers = response.headers_mut();
            let of_service = headers.keys().filter(|own| is_about_pages(own));
            for name in of_service.cloned().collect::<Vec<_>>() {
                headers.remove(name);
            }
        }
        self.named(response)
    }

    fn named(&self, mut response: Response<Body>) -> Response<Body> {
        if let Some(origin) = &self.0 {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        response
    }
}

/// Whether a header tells a browser what pages of other origins may do; that the
/// browser may send what it keeps by itself is among that.
fn is_about_pages(name: &HeaderName) -> bool {
    name.as_str().starts_with("access-control-")
}

/// The method that a preflight is about; nothing where it is none.
fn meant(parts: &Parts) -> Option<Method> {
    let asked = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let is_asked = parts.method == Method::OPTIONS;
    is_asked.then(|| Method::from_bytes(asked.as_bytes()).ok())?
}

/// Those of the headers that are asked for which a page may send.
fn taken(parts: &Parts) -> HeaderValue {
    let asked = parts.headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let asked = asked.filter_map(|own| own.to_str().ok());
    let asked = asked.filter(|own| own.len() <= MAX_ASKED_BYTES);
    let names = asked.flat_map(|own| own.split(',')).map(str::trim);
    let known = names.filter(|own| TAKEN.contains(own) || is_argument(own));
    let known: Vec<&str> = known.collect();
    HeaderValue::from_str(&known.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

fn is_argument(name: &str) -> bool {
    let plain = |own: u8| own.is_ascii_alphanumeric() || b"-_".contains(&own);
    name.starts_with(ARGUMENTS) && name.bytes().all(plain)
}
