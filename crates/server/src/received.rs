//! A request as endpoints see it: limits kept, body read, caller known.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt;
use symbolon_protocol::parameters::InvalidParameters;
use symbolon_protocol::{ErrorCode, Parameters};

use crate::app::App;
use crate::client_certificate::ClientCertificate;
use crate::config::ForwardedHeader;
use crate::failure::Refusal;

/// How large a body may be, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a body may take to arrive.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read before the connection ends.
const MAX_DISCARDED_BYTES: usize = 4 * 1024 * 1024;

/// A request whose body was read within its limit.
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The certificate whose key the caller holds.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

impl Received {
    /// Reads the body. Compressed bodies are not taken, so nothing inflates.
    pub(crate) async fn read<B>(request: Request<B>) -> Result<Self, Refusal>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin,
    {
        let (parts, body) = request.into_parts();
        let is_encoded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
        if parts
            .headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .any(is_encoded)
        {
            return Err(
                Refusal::invalid_request("compressed bodies are not taken").with_status(415)
            );
        }
        let read = tokio::time::timeout(BODY_TIMEOUT, read_body(body)).await;
        let late = || Refusal::invalid_request("the body took too long").with_status(408);
        let body = read.map_err(|_| late())??;
        Ok(Self {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
            certificate: None,
        })
    }

    /// The host that the request names.
    pub(crate) fn host(&self) -> Option<&str> {
        match self.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => self.header(&HOST),
        }
    }

    /// The parameters of the query.
    pub(crate) fn query(&self) -> Result<Parameters, Refusal> {
        Parameters::parse(self.uri.query().unwrap_or_default().as_bytes()).map_err(unreadable)
    }

    /// The parameters of a form body.
    pub(crate) fn form(&self) -> Result<Parameters, Refusal> {
        self.check_form()?;
        Parameters::parse(&self.body).map_err(unreadable)
    }

    /// Refuses what is no form body, and a query beside one: that must not
    /// carry a secret (OAuth 2.1 §2.4.1), so it must not carry anything.
    pub(crate) fn check_form(&self) -> Result<(), Refusal> {
        if self.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(Refusal::invalid_request(
                "parameters belong in the body, not in the address",
            ));
        }
        // What has no content needs no type of it (RFC 9110 §8.3).
        let is_empty = self.body.is_empty() && !self.headers.contains_key(CONTENT_TYPE);
        if !self.is_form() && !is_empty {
            return Err(Refusal::invalid_request(
                "the body must be application/x-www-form-urlencoded",
            )
            .with_status(415));
        }
        Ok(())
    }

    /// Whether the body says that it is a form.
    pub(crate) fn is_form(&self) -> bool {
        let kind = self.header(&CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// The one value of a header; `None` where there is none or several.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(first)
    }

    /// The credentials of a scheme in `Authorization`, and whether that header
    /// stands there at all.
    pub(crate) fn authorization(&self, scheme: &str) -> Authorization<'_> {
        if !self.headers.contains_key(AUTHORIZATION) {
            return Authorization::Absent;
        }
        let value = self.header(&AUTHORIZATION).map(str::trim_end);
        let (own, rest) = match value {
            Some(value) => value.split_once(' ').unwrap_or((value, "")),
            None => return Authorization::Other,
        };
        match own.eq_ignore_ascii_case(scheme) {
            // One blank or more (RFC 9110 §11.4).
            true => Authorization::Given(rest.trim_start_matches(' ')),
            false => Authorization::Other,
        }
    }

    /// The value of a cookie. Where a name stands twice, neither counts: a
    /// sibling host may have added one (RFC 6265 §8.6).
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self
            .headers
            .get_all(http::header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let pairs = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs
            .filter(|(own, _)| *own == name)
            .map(|(_, value)| value);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

/// Reads a body within its limit. What is over it is thrown away for a while,
/// so that the caller, still sending, gets to see the answer.
async fn read_body<B>(mut body: B) -> Result<Bytes, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let unreadable = || Refusal::invalid_request("the body could not be read");
    let (mut kept, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| unreadable())?.into_data() else {
            continue;
        };
        seen += data.len();
        // Most bodies come in one piece, which need not be copied.
        if body.is_end_stream() && kept.is_empty() && seen <= MAX_BODY_BYTES {
            return Ok(data);
        }
        if seen <= MAX_BODY_BYTES {
            kept.extend_from_slice(&data);
        } else if seen > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if seen > MAX_BODY_BYTES {
        return Err(Refusal::invalid_request("the body is too large").with_status(413));
    }
    Ok(Bytes::from(kept))
}

/// What `Authorization` holds.
pub(crate) enum Authorization<'a> {
    /// Nothing.
    Absent,
    /// Credentials of the scheme that was asked for.
    Given(&'a str),
    /// Something else.
    Other,
}

fn unreadable(invalid: InvalidParameters) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        match invalid {
            InvalidParameters::Repeated(_) => "a parameter is repeated",
            InvalidParameters::TooMany => "too many parameters",
            _ => "a parameter is not valid text",
        },
    )
}

/// Refuses a request that was meant for another host: links and redirects are
/// made from the configured issuer alone, never from what a caller says.
pub(crate) fn check_host<B>(app: &Arc<App>, request: &Request<B>) -> Result<(), Refusal> {
    let named = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok()),
    };
    let known = named.is_some_and(|host| {
        app.settings()
            .hosts
            .iter()
            .any(|own| own.eq_ignore_ascii_case(host))
    });
    let count = request.headers().get_all(HOST).iter().count();
    if count > 1 || named.is_none() {
        // RFC 9112 §3.2.
        let why = "a request names one host";
        return Err(Refusal::invalid_request(why));
    }
    if known {
        return Ok(());
    }
    Err(Refusal::invalid_request("this server does not answer for that host").with_status(421))
}

/// The address that a request came from: the peer's, or what trusted proxies
/// in between say, read from the nearest backwards.
///
/// Spec: RFC 7239 §5.2
pub(crate) fn source(
    settings: &crate::settings::Settings,
    peer: std::net::IpAddr,
    headers: &HeaderMap,
) -> std::net::IpAddr {
    let trusted = |address| settings.is_trusted_proxy(address);
    let mut source = peer.to_canonical();
    if !trusted(source) {
        if headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded") {
            crate::metric::forwarded_ignored();
        }
        return source;
    }
    let hops = hops(settings.forwarded_header, headers);
    for address in hops.into_iter().rev().take(MAX_HOPS) {
        let Some(address) = address else { break };
        source = address.to_canonical();
        if !trusted(source) {
            break;
        }
    }
    source
}

/// How many hops are looked at.
const MAX_HOPS: usize = 16;

/// The addresses that proxies noted, farthest first. `None` is a hop that is no
/// address.
///
/// A proxy adds to the header that it knows and lets another one through as the
/// caller wrote it. So only the configured one counts; where none is configured
/// and both stand there, one of them is the caller's, and neither counts.
fn hops(written: ForwardedHeader, headers: &HeaderMap) -> Vec<Option<std::net::IpAddr>> {
    let elements = |name: &str| -> Vec<String> {
        let lines = headers
            .get_all(name)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let parts = lines.flat_map(|line| line.split(','));
        parts.map(|part| part.trim().to_owned()).collect()
    };
    let (forwarded, for_each) = (elements("forwarded"), elements("x-forwarded-for"));
    let by_name = match written {
        ForwardedHeader::Forwarded => false,
        ForwardedHeader::XForwardedFor => true,
        ForwardedHeader::Either if forwarded.is_empty() => true,
        ForwardedHeader::Either if for_each.is_empty() => false,
        ForwardedHeader::Either => return Vec::new(),
    };
    if by_name {
        return for_each.iter().map(|hop| node(hop)).collect();
    }
    let of_element = |element: &String| {
        let mut pairs = element
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='));
        let found = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"));
        found.and_then(|(_, value)| node(value))
    };
    forwarded.iter().map(of_element).collect()
}

/// An address, as a proxy writes it: with quotes, brackets or a port or without.
fn node(text: &str) -> Option<std::net::IpAddr> {
    let text = text.trim_matches('"');
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let with_port = text.parse::<std::net::SocketAddr>().map(|own| own.ip());
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    with_port.ok().or_else(|| bracketed?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &'static str, value: &'static str) -> Vec<Option<std::net::IpAddr>> {
        let mut headers = HeaderMap::new();
        headers.append(name, http::HeaderValue::from_static(value));
        hops(ForwardedHeader::Either, &headers)
    }

    #[test]
    fn what_the_proxy_does_not_write_is_the_callers_and_does_not_count() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "192.0.2.43".parse().unwrap());
        headers.append("forwarded", "for=198.51.100.7".parse().unwrap());
        let honest = Some("192.0.2.43".parse().unwrap());
        let forged = Some("198.51.100.7".parse().unwrap());

        assert_eq!(hops(ForwardedHeader::XForwardedFor, &headers), [honest]);
        assert_eq!(hops(ForwardedHeader::Forwarded, &headers), [forged]);
        assert_eq!(hops(ForwardedHeader::Either, &headers), []);
    }

    #[test]
    fn hops_are_read_in_every_spelling() {
        let one = Some("192.0.2.43".parse().unwrap());
        let six = Some("2001:db8::1".parse().unwrap());
        assert_eq!(
            found("x-forwarded-for", "192.0.2.43, 2001:db8::1"),
            [one, six]
        );
        assert_eq!(
            found("x-forwarded-for", "192.0.2.43:4711, [2001:db8::1]:1"),
            [one, six]
        );
        assert_eq!(
            found(
                "forwarded",
                "for=192.0.2.43;proto=https, For=\"[2001:db8::1]\""
            ),
            [one, six]
        );
        assert_eq!(
            found("forwarded", "for=unknown, by=192.0.2.43"),
            [None, None]
        );
    }
}
