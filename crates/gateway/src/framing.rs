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

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Version};
use symbolon_verify::PeerCertificate;

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

/// Refuses what cannot be one request for one host.
pub(crate) fn check(parts: &Parts, connection: &Connection) -> Result<Authority, Problem> {
    if parts.headers.contains_key(TRANSFER_ENCODING)
        && (parts.headers.contains_key(CONTENT_LENGTH) || parts.version == Version::HTTP_2)
    {
        return Err(Problem::bad(
            "two-lengths",
            "the request says in two ways where its body ends",
        ));
    }
    let host = host(parts)?;
    check_connection_names(&parts.headers)?;
    let named = connection.server_name.as_deref();
    if named.is_some_and(|named| !named.eq_ignore_ascii_case(host.host())) {
        return Err(Problem::new(
            421,
            "host-of-another-connection",
            "the request is for another host than the connection",
        ));
    }
    Ok(host)
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

/// What ends at each hop may not name what says whom or how long.
fn check_connection_names(headers: &HeaderMap) -> Result<(), Problem> {
    let named = headers.get_all(CONNECTION).iter();
    let named = named.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    for name in named {
        let name = name.trim_ascii();
        let is_of_message = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own.as_str().as_bytes()));
        if is_of_message {
            return Err(Problem::bad(
                "connection-names",
                "the Connection header names what the message needs",
            ));
        }
    }
    Ok(())
}

const HOST_REPEATED: Problem = Problem::bad("host-repeated", "the request names two hosts");
const HOST_BAD: Problem = Problem::bad("host-malformed", "the host of the request is none");

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn of(request: http::request::Builder) -> Result<String, &'static str> {
        let parts = request.body(()).unwrap().into_parts().0;
        let outcome = check(&parts, &Connection::default());
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
        let connection = Connection {
            is_tls: true,
            server_name: Some("public.test".into()),
            certificate: None,
        };
        let parts = |host: &str| {
            let request = get().header("host", host).body(());
            request.unwrap().into_parts().0
        };

        let refused = check(&parts("admin.test"), &connection).unwrap_err();

        assert_eq!(refused.status(), 421);
        assert!(check(&parts("Public.test:8443"), &connection).is_ok());
    }
}
