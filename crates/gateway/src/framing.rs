//! What is wrong with a request as a message, before anybody asks who sent it.
//!
//! Spec: RFC 9112 §3.2, §6.1, §6.3
//! Spec: RFC 9113 §8.2.2, §8.3.1
//! Spec: RFC 9110 §7.4, §7.6.1, §15.5.20
//!
//! hyper reads requests and refuses by itself: blanks around names, folded
//! lines, control characters in values, lengths that are no number or differ,
//! chunks that are none, `Transfer-Encoding` that does not end in `chunked` or
//! stands in HTTP/1.0. Of `Content-Length` beside `Transfer-Encoding` it reads
//! the latter and closes the connection after the answer. Nothing of that could
//! reach an upstream in any case: its request is built anew from what was read,
//! with one length of its own.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Version};
use symbolon_verify::PeerCertificate;

use crate::header;
use crate::problem::Problem;

/// What the connection of a request has shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    /// Whether it is TLS.
    pub(crate) is_tls: bool,
    /// The host that the handshake named.
    pub(crate) server_name: Option<String>,
    /// The certificate that it showed, and whose key is held.
    pub(crate) certificate: Option<PeerCertificate>,
}

/// Refuses what cannot be one request for one host, which is the one that the
/// caller named when the connection began, where one was named.
pub(crate) fn check(parts: &mut Parts, named: Option<&str>) -> Result<Authority, Problem> {
    if parts.headers.contains_key(TRANSFER_ENCODING)
        && (parts.headers.contains_key(CONTENT_LENGTH) || parts.version == Version::HTTP_2)
    {
        return Err(Problem::bad(
            "two-lengths",
            "the request says in two ways where its body ends",
        ));
    }
    let host = host(parts)?;
    end_hop(&mut parts.headers)?;
    if named.is_some_and(|named| !named.eq_ignore_ascii_case(host.host())) {
        return Err(Problem::new(
            421,
            "host-of-another-connection",
            "the request is for another host than the connection",
        ));
    }
    Ok(host)
}

/// The same for a request that another proxy describes: whether that proxy sends
/// what `Connection` names, nobody here knows.
pub(crate) fn check_described(parts: &mut Parts) -> Result<(), Problem> {
    let named = header::named_by_connection(&parts.headers);
    let stands_there =
        |own: &HeaderName| parts.headers.contains_key(own) && !header::is_of_connection(own);
    if named.iter().any(stands_there) {
        return Err(CONNECTION_NAMES);
    }
    // Which host the handshake named is between the proxy and the gateway.
    check(parts, None).map(|_| ())
}

/// The one host that a request names, whether in its target or in a header.
fn host(parts: &Parts) -> Result<Authority, Problem> {
    let mut all = parts.headers.get_all(HOST).iter();
    let header = match (all.next(), all.next()) {
        (Some(_), Some(_)) => return Err(HOST_REPEATED),
        (Some(one), None) => Some(read_host(one.as_bytes())?),
        (None, _) => None,
    };
    let of_target = parts.uri.authority().cloned();
    match (of_target, header) {
        (Some(one), Some(two)) if one != two => Err(HOST_REPEATED),
        (Some(one), _) | (None, Some(one)) if !one.as_str().contains('@') => Ok(one),
        (None, None) => Err(Problem::bad("host-missing", "the request names no host")),
        _ => Err(HOST_BAD),
    }
}

pub(crate) fn read_host(bytes: &[u8]) -> Result<Authority, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| HOST_BAD)?;
    let allowed = |own: u8| {
        own.is_ascii_alphanumeric() || matches!(own, b'-' | b'.' | b'_' | b':' | b'[' | b']')
    };
    if text.is_empty() || !text.bytes().all(allowed) {
        return Err(HOST_BAD);
    }
    text.parse().map_err(|_| HOST_BAD)
}

/// Ends what `Connection` names before anything is judged: what is judged is what
/// is sent.
fn end_hop(headers: &mut HeaderMap) -> Result<(), Problem> {
    for name in header::named_by_connection(headers) {
        if is_for_everybody(&name) {
            return Err(CONNECTION_NAMES);
        }
        if !header::is_of_connection(&name) {
            headers.remove(name);
        }
    }
    Ok(())
}

/// Whether something is decided by a header, so that whoever takes it out on the
/// way makes another request of it.
fn is_for_everybody(name: &HeaderName) -> bool {
    let own = name.as_str();
    DECIDING.contains(&own)
        || DECIDING_BEGINNINGS
            .iter()
            .any(|begin| own.starts_with(begin))
}

#[rustfmt::skip]
const DECIDING: [&str; 13] = [
    "host", "transfer-encoding", "expect", "authorization", "dpop", "cookie", "origin", "referer",
    "forwarded", "client-cert", "client-cert-chain", "last-event-id", "x-request-id",
];
const DECIDING_BEGINNINGS: [&str; 7] = [
    "content-",
    "sec-",
    "mcp-",
    "access-control-",
    "x-forwarded-",
    "x-original-",
    "x-envoy-",
];

const CONNECTION_NAMES: Problem = Problem::bad(
    "connection-names",
    "the Connection header names what is for everybody on the way",
);
const HOST_REPEATED: Problem = Problem::bad("host-repeated", "the request names two hosts");
const HOST_BAD: Problem = Problem::bad("host-malformed", "the host of the request is none");

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn of(request: http::request::Builder) -> Result<String, &'static str> {
        let mut parts = request.body(()).unwrap().into_parts().0;
        let outcome = check(&mut parts, None);
        outcome
            .map(|host| host.to_string())
            .map_err(|problem| problem.code())
    }

    fn get() -> http::request::Builder {
        Request::get("/orders")
    }

    #[test]
    fn a_request_names_one_host() {
        let good = get().header("host", "api.example:8081");
        assert_eq!(of(good).as_deref(), Ok("api.example:8081"));
        assert_eq!(of(get()), Err("host-missing"));
        for bad in ["", "a b", "a@b", "a/b", "a,b", "a#b", "a%62", "[::1"] {
            let request = get().header("host", bad);
            assert_eq!(of(request), Err("host-malformed"), "{bad}");
        }
        let twice = get().header("host", "a").header("host", "a");
        assert_eq!(of(twice), Err("host-repeated"));
        let other = Request::get("https://a.example/x").header("host", "b.example");
        assert_eq!(of(other), Err("host-repeated"));
        let same = Request::get("https://a.example/x").header("host", "a.example");
        assert_eq!(of(same).as_deref(), Ok("a.example"));
    }

    /// Attack: L330
    #[test]
    fn a_body_ends_in_one_way_only() {
        let request = || get().header("host", "a");
        let both = request()
            .header("content-length", "5")
            .header("transfer-encoding", "chunked");
        assert_eq!(of(both), Err("two-lengths"));
        let hidden = request().header("connection", "close, Content-Length");
        assert_eq!(of(hidden), Err("connection-names"));
        assert!(of(request().header("transfer-encoding", "chunked")).is_ok());
    }

    /// Attack: L333
    #[test]
    fn a_connection_for_one_host_carries_no_request_for_another() {
        let named = Some("public.test");
        let parts = |host: &str| {
            let request = get().header("host", host).body(());
            request.unwrap().into_parts().0
        };

        let refused = check(&mut parts("admin.test"), named).unwrap_err();

        assert_eq!(refused.status(), 421);
        assert!(check(&mut parts("Public.test:8443"), named).is_ok());
    }

    /// Attack: L322
    #[test]
    fn what_connection_names_has_ended_before_anything_is_judged() {
        let request = || get().header("host", "a").header("x-hop", "1");
        for named in ["X-Hop", "close, x-hop", "keep-alive ,\tX-HOP, TE"] {
            let request = request()
                .header("connection", named)
                .header("te", "trailers");
            let mut parts = request.body(()).unwrap().into_parts().0;
            let mut described = parts.clone();

            check(&mut parts, None).unwrap();

            assert!(!parts.headers.contains_key("x-hop"), "{named}");
            assert!(parts.headers.contains_key("te"), "{named}");
            let refused = check_described(&mut described).unwrap_err();
            assert_eq!(refused.code(), "connection-names", "{named}");
        }
        for named in [
            "Authorization",
            "Cookie",
            "content-type",
            "Mcp-Session-Id",
            "mcp-param-region",
            "Origin",
            "Sec-Fetch-Site",
            "Sec-WebSocket-Key",
            "X-Forwarded-For",
            "Forwarded",
            "Client-Cert",
        ] {
            let request = request().header("connection", format!("close, {named}"));
            assert_eq!(of(request), Err("connection-names"), "{named}");
        }
        let usual = request().header("connection", "Upgrade, HTTP2-Settings, keep-alive");
        let mut described = usual.body(()).unwrap().into_parts().0;
        assert_eq!(check_described(&mut described), Ok(()));
    }
}
