//! Where a request comes from: believed of trusted proxies alone, and said anew
//! to the upstream.
//!
//! Spec: RFC 7239 §4, §5, §6
//!
//! Of the hops that stand in the header, the last one that is no trusted proxy
//! is the caller: what stands before it is the caller's own word.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use symbolon_verify::ClientAddress;

use crate::settings::ForwardedHeader;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How many hops are looked at.
const MAX_HOPS: usize = 32;

/// The last hop that is believed, among the extensions of a request: what
/// services are told. Whether it is the caller is another question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastHop(pub(crate) IpAddr);

/// Whom the gateway believes.
#[derive(Debug)]
pub(crate) struct Believed {
    pub(crate) proxies: Vec<IpNet>,
    pub(crate) header: ForwardedHeader,
    /// Whether their word about their caller's certificate counts.
    pub(crate) takes_certificates: bool,
}

impl Believed {
    /// Writes down where a request comes from. Conditions on the caller's
    /// address have nothing to go by where nobody knows it: the proxy's own
    /// would be that of a friend.
    pub(crate) fn note(&self, peer: IpAddr, parts: &mut Parts) {
        let hop = self.caller(peer, &parts.headers);
        parts.extensions.insert(LastHop(hop));
        if self.is_known(peer, &parts.headers) {
            parts.extensions.insert(ClientAddress(hop));
        }
    }

    /// Whether a proxy says anything of where its caller is, where it is believed.
    pub(crate) fn is_told(&self, headers: &HeaderMap) -> bool {
        let (standard, common) = (headers.contains_key(FORWARDED), headers.contains_key(FOR));
        match self.header {
            ForwardedHeader::Forwarded => standard,
            ForwardedHeader::XForwardedFor => common,
            ForwardedHeader::Either => standard || common,
        }
    }

    /// The caller's address.
    fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.is_proxy(peer) {
            return peer;
        }
        let mut caller = peer;
        for hop in self.hops(headers).into_iter().rev().take(MAX_HOPS) {
            // What is no address ends the chain: the last believed hop stands.
            let Some(address) = hop else { return caller };
            caller = address;
            if !self.is_proxy(address) {
                return caller;
            }
        }
        caller
    }

    /// Whether that is more than the word of a proxy that did not say: where a
    /// believed proxy wrote nothing, or what is no address, or said it in two
    /// ways, nobody knows where the caller is. Some proxies leave out what their
    /// caller names in `Connection` (CVE-2022-31813).
    fn is_known(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        if !self.is_proxy(peer.to_canonical()) {
            return true;
        }
        if !self.is_told(headers) {
            return false;
        }
        if self.header == ForwardedHeader::Either
            && headers.contains_key(FORWARDED)
            && headers.contains_key(FOR)
        {
            return false;
        }
        let hops = self.hops(headers).into_iter().rev().take(MAX_HOPS);
        for hop in hops {
            match hop {
                None => return false,
                Some(address) if !self.is_proxy(address) => return true,
                Some(_) => {}
            }
        }
        true
    }

    /// Whether an address is that of a trusted proxy.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|own| own.contains(&address))
    }

    /// The hops in order, the nearest last.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let list = |name: &HeaderName| {
            let values = headers.get_all(name).iter();
            let texts = values.map(|value| value.to_str().unwrap_or_default());
            let texts = texts.flat_map(|text| text.split(','));
            texts.map(|text| text.trim().to_owned()).collect::<Vec<_>>()
        };
        let (standard, common) = (list(&FORWARDED), list(&FOR));
        let use_common = match self.header {
            ForwardedHeader::Forwarded => false,
            ForwardedHeader::XForwardedFor => true,
            ForwardedHeader::Either if standard.is_empty() => true,
            ForwardedHeader::Either if common.is_empty() => false,
            ForwardedHeader::Either => return Vec::new(),
        };
        match use_common {
            true => common.iter().map(|own| address(own)).collect(),
            false => standard.iter().map(|own| address(node(own)?)).collect(),
        }
    }
}

/// The node of `for=` in one element.
fn node(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim().trim_matches('"'))
    })
}

/// An address with or without port, in or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next());
    let found = match bare {
        Some(bare) => bare.parse().ok(),
        None => text.parse().ok().or_else(|| {
            let with_port: SocketAddr = text.parse().ok()?;
            Some(with_port.ip())
        }),
    };
    found.map(|own: IpAddr| own.to_canonical())
}

/// Says to the upstream where a request comes from, and to which host and how
/// it came.
pub(crate) fn write(headers: &mut HeaderMap, caller: IpAddr, host: &Authority, is_tls: bool) {
    let proto = if is_tls { "https" } else { "http" };
    let node = match caller {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let said = [
        (
            FORWARDED,
            format!("for={node};host=\"{host}\";proto={proto}"),
        ),
        (FOR, caller.to_string()),
        (HOST, host.to_string()),
        (PROTO, proto.to_owned()),
    ];
    for (name, value) in said {
        // A host that was read holds nothing that a value may not.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, header: ForwardedHeader, sent: &[(HeaderName, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, value.parse().unwrap());
        }
        let believed = Believed {
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            header,
            takes_certificates: false,
        };
        believed.caller(peer.parse().unwrap(), &headers).to_string()
    }

    /// Attack: L328
    #[test]
    fn a_stranger_says_nothing_about_where_it_comes_from() {
        let either = ForwardedHeader::Either;
        for sent in ["a", "127.0.0.1", "10.0.0.1", "", "203.0.113.7, 10.0.0.1"] {
            assert_eq!(caller("192.0.2.1", either, &[(FOR, sent)]), "192.0.2.1");
        }
        assert_eq!(caller("::ffff:192.0.2.1", either, &[]), "192.0.2.1");
    }

    /// Attack: L328
    #[test]
    fn a_proxy_is_believed_up_to_the_first_hop_that_is_none() {
        let either = ForwardedHeader::Either;
        let of = |sent| caller("10.0.0.1", either, &[(FOR, sent)]);
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("203.0.113.7:4711"), "203.0.113.7");
        assert_eq!(of("127.0.0.1, 203.0.113.7, 10.0.0.9"), "203.0.113.7");
        assert_eq!(of("203.0.113.7, a"), "10.0.0.1");
        assert_eq!(of("a"), "10.0.0.1");
        assert_eq!(of(""), "10.0.0.1");
        let standard = [(FORWARDED, "for=\"[2001:db8::1]:99\";proto=http")];
        assert_eq!(caller("10.0.0.1", either, &standard), "2001:db8::1");
    }

    /// Whoever is far away passes for nobody's neighbour by making the proxy's
    /// word unreadable.
    ///
    /// Attack: L328
    #[test]
    fn a_proxy_whose_word_cannot_be_read_lends_its_address_to_nobody() {
        let believed = Believed {
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            header: ForwardedHeader::Either,
            takes_certificates: false,
        };
        let noted = |sent: &[(HeaderName, &str)]| {
            let mut parts = http::Request::new(()).into_parts().0;
            for (name, value) in sent {
                parts.headers.append(name, value.parse().unwrap());
            }
            believed.note("10.0.0.1".parse().unwrap(), &mut parts);
            let hop = parts.extensions.get::<LastHop>().unwrap().0.to_string();
            let caller = parts.extensions.get::<ClientAddress>();
            (hop, caller.map(|own| own.0.to_string()))
        };
        for unreadable in [
            &[][..],
            &[(FOR, "a")],
            &[(FOR, "")],
            &[(FOR, "203.0.113.7, a")],
            &[(FORWARDED, "for=unknown")],
            &[(FORWARDED, "proto=http")],
            &[(FORWARDED, "for=203.0.113.7"), (FOR, "203.0.113.7")],
        ] {
            assert_eq!(
                noted(unreadable),
                ("10.0.0.1".into(), None),
                "{unreadable:?}"
            );
        }
        let good = ("203.0.113.7".to_owned(), Some("203.0.113.7".to_owned()));
        assert_eq!(noted(&[(FOR, "203.0.113.7")]), good);
        let said = HeaderMap::from_iter([(FOR, HeaderValue::from_static("203.0.113.7"))]);
        assert!(believed.is_told(&said) && !believed.is_told(&HeaderMap::new()));
        let header = ForwardedHeader::Forwarded;
        let other = Believed { header, ..believed };
        assert!(!other.is_told(&said));
    }

    #[test]
    fn of_two_headers_only_the_one_that_proxies_write_counts() {
        let both = [(FORWARDED, "for=203.0.113.1"), (FOR, "203.0.113.2")];
        assert_eq!(
            caller("10.0.0.1", ForwardedHeader::Either, &both),
            "10.0.0.1"
        );
        let (standard, common) = (ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor);
        assert_eq!(caller("10.0.0.1", standard, &both), "203.0.113.1");
        assert_eq!(caller("10.0.0.1", common, &both), "203.0.113.2");
    }
}
