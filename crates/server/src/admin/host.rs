//! Which host a request to the administration listener may name.
//!
//! A page of a stranger can have its own name resolve to this machine, and read
//! what is answered to it. So a name is taken only where it is ours. An address
//! needs no list: whoever sends one went to that address.
//!
//! Spec: RFC 9110 §7.2, §15.5.20

use std::net::IpAddr;

use http::Request;
use http::header::HOST;
use http::uri::Authority;

/// The names that are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    /// The names that a configuration lists, besides addresses and `localhost`.
    pub(super) fn new(listed: &[String]) -> Self {
        Self(listed.to_vec())
    }

    /// Whether a request was meant for this listener.
    pub(super) fn is_ours<B>(&self, request: &Request<B>) -> bool {
        let mut lines = request.headers().get_all(HOST).iter();
        let (first, second) = (lines.next(), lines.next());
        let named = match request.uri().authority() {
            Some(authority) => Some(authority.clone()),
            None => first.and_then(|host| host.to_str().ok()?.parse().ok()),
        };
        second.is_none() && named.is_some_and(|named| self.is_taken(&named))
    }

    fn is_taken(&self, named: &Authority) -> bool {
        let host = named.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(hosts: &[&str]) -> bool {
        let listed = Hosts::new(&["symbolon.internal".to_owned()]);
        let mut request = Request::builder().uri("/metrics");
        for host in hosts {
            request = request.header(HOST, *host);
        }
        listed.is_ours(&request.body(()).unwrap())
    }

    /// Attack: K293
    #[test]
    fn a_name_that_is_not_ours_is_not_answered() {
        for host in [
            "127.0.0.1:8090",
            "[::1]:8090",
            "10.1.2.3",
            "localhost:8090",
            "LOCALHOST",
        ] {
            assert!(is_ours(&[host]), "{host}");
        }
        assert!(is_ours(&["symbolon.internal:8090"]));
        for host in [
            "evil.test:8090",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "",
        ] {
            assert!(!is_ours(&[host]), "{host}");
        }
        assert!(!is_ours(&[]));
        assert!(!is_ours(&["localhost", "evil.test"]));
    }
}
