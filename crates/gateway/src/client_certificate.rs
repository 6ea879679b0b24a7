//! The certificate of whoever calls: from the connection itself, or from a
//! trusted proxy's word.
//!
//! Spec: RFC 8705 §3
//! Spec: RFC 9440 §2.1, §2.2, §2.4
//! Spec: RFC 9651 §3.3.5
//!
//! What the connection shows when a proxy made it is the proxy's own and counts
//! nothing; what anybody else says in the header counts nothing either.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName};
use symbolon_verify::PeerCertificate;

use crate::exchange::Caller;
use crate::header::forwarded::Believed;
use crate::problem::Problem;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// The certificate whose key the caller of a request holds.
pub(crate) fn of_request(
    believed: &Believed,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Option<PeerCertificate>, Problem> {
    if !believed.is_proxy(caller.peer.ip().to_canonical()) {
        return Ok(caller.connection.certificate);
    }
    if !believed.takes_certificates {
        return Ok(None);
    }
    let mut all = headers.get_all(CLIENT_CERT).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => byte_sequence(one.as_bytes()).map(Some).ok_or(BAD),
        (Some(_), Some(_)) => Err(BAD),
    }
}

/// A byte sequence without parameters: base64 between colons.
fn byte_sequence(value: &[u8]) -> Option<PeerCertificate> {
    let inner = value.strip_prefix(b":")?.strip_suffix(b":")?;
    let der = BASE64_STANDARD.decode(inner).ok()?;
    (!der.is_empty()).then(|| PeerCertificate::from_der(&der))
}

const BAD: Problem = Problem::bad(
    "client-cert-malformed",
    "the Client-Cert header is not one certificate",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Connection;
    use crate::settings::ForwardedHeader;

    const OF_CONNECTION: &[u8] = b"of the connection";

    fn of(peer: &str, takes: bool, sent: &[&str]) -> Result<Option<PeerCertificate>, &'static str> {
        let believed = Believed {
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            header: ForwardedHeader::Either,
            takes_certificates: takes,
        };
        let caller = Caller {
            peer: format!("{peer}:1").parse().unwrap(),
            connection: Connection {
                certificate: Some(PeerCertificate::from_der(OF_CONNECTION)),
                ..Connection::default()
            },
        };
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(CLIENT_CERT, value.parse().unwrap());
        }
        of_request(&believed, &caller, &headers).map_err(Problem::code)
    }

    #[test]
    fn a_trusted_proxy_says_whose_certificate_it_saw_and_its_own_counts_nothing() {
        let shown = Some(PeerCertificate::from_der(&[1, 2]));
        assert_eq!(of("10.0.0.1", true, &[":AQI=:"]), Ok(shown));
        assert_eq!(of("10.0.0.1", true, &[]), Ok(None));
        assert_eq!(of("10.0.0.1", false, &[":AQI=:"]), Ok(None));
    }

    #[test]
    fn nobody_else_says_anything_of_certificates() {
        let own = Some(PeerCertificate::from_der(OF_CONNECTION));
        assert_eq!(of("192.0.2.1", true, &[":AQI=:"]), Ok(own));
        assert_eq!(of("192.0.2.1", true, &["nonsense", "twice"]), Ok(own));
    }

    #[test]
    fn what_is_not_one_byte_sequence_is_no_certificate() {
        for bad in ["", "AQI=", ":AQI=", ":AQI:", "::", ":AQI=:;a", ":!:"] {
            let outcome = of("10.0.0.1", true, &[bad]);
            assert_eq!(outcome, Err("client-cert-malformed"), "{bad}");
        }
        let twice = of("10.0.0.1", true, &[":AQI=:", ":AQI=:"]);
        assert_eq!(twice, Err("client-cert-malformed"));
    }
}
