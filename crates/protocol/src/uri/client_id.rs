//! A client identifier that is the address of its own metadata document.
//!
//! Spec: draft-ietf-oauth-client-id-metadata-document-02 §3

use std::fmt;

use url::{Host, Url};

use super::{is_loopback, parse};
use crate::identifier::{ClientId, MAX_IDENTIFIER_BYTES};

/// Where development happens: whether hosts of this machine are taken too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearby {
    /// Only hosts of the public network.
    Refused,
    /// This machine as well, over http and on any port.
    Allowed,
}

/// The address of a client's metadata document, written in the one form in
/// which it is both identifier and address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientIdUrl(Url);

impl ClientIdUrl {
    /// Whether an identifier is meant as an address at all: such a one is never
    /// given out, and never looked up as anything else.
    pub fn is_meant(id: &ClientId) -> bool {
        let text = id.as_str();
        let begins = |with: &str| {
            let own = text.get(..with.len());
            own.is_some_and(|own| own.eq_ignore_ascii_case(with))
        };
        begins("https://") || begins("http://")
    }

    /// Reads one. It is https, of a named host without a port, with a path, and
    /// without user, fragment, query and dot segments; and written as a URL
    /// parser writes it, so that no two texts are one address.
    pub fn read(id: &ClientId, nearby: Nearby) -> Option<Self> {
        let text = id.as_str();
        let url = parse(text)
            .ok()
            .filter(|_| text.len() <= MAX_IDENTIFIER_BYTES)?;
        let is_near = is_loopback(&url);
        if is_near && nearby == Nearby::Refused {
            return None;
        }
        let may_have_port = is_near;
        let is_right = match (url.scheme(), url.host()?) {
            ("https", Host::Domain(name)) => is_near || is_public_name(name),
            ("https" | "http", _) => is_near,
            _ => false,
        };
        let lower = text.to_ascii_lowercase();
        let is_plain = url.as_str() == text
            && url.path().len() > 1
            && !text.contains('?')
            && !lower.contains("%2e")
            && !lower.contains("%2f")
            && !lower.contains("%5c")
            && !url.path().contains("//");
        let own = is_right && is_plain && (may_have_port || url.port().is_none());
        own.then_some(Self(url))
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, which is who vouches for the client.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether it is of this machine.
    pub fn is_near(&self) -> bool {
        is_loopback(&self.0)
    }
}

/// A name of the public network has a dot inside; one that ends in a dot, or
/// has another form, is another text for the same host.
fn is_public_name(name: &str) -> bool {
    let is_special = ["localhost", "local", "internal", "arpa", "onion"]
        .iter()
        .any(|last| name.rsplit('.').next() == Some(last));
    name.contains('.') && !name.ends_with('.') && !is_special
}

impl fmt::Debug for ClientIdUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, nearby: Nearby) -> Option<ClientIdUrl> {
        ClientIdUrl::read(&text.parse().unwrap(), nearby)
    }

    /// Attack: I244
    #[test]
    fn an_address_in_any_other_form_is_no_client() {
        for good in [
            "https://app.example.com/client",
            "https://app.example.com/oauth/client.json",
            "https://xn--fsq.example.com/c",
        ] {
            assert!(read(good, Nearby::Refused).is_some(), "{good}");
        }
        #[rustfmt::skip]
        let bad = [
            "http://app.example.com/client", "https://app.example.com", "https://app.example.com/",
            "https://app.example.com/client#a", "https://app.example.com/client#", "https://u@app.example.com/client",
            "https://u:p@app.example.com/client", "https://@app.example.com/client", "https://app.example.com/a/../client",
            "https://app.example.com/./client", "https://app.example.com/%2e%2e/client", "https://app.example.com/a%2Fb",
            "https://app.example.com:8443/client", "https://app.example.com:443/client", "https://192.0.2.1/client",
            "https://127.0.0.1/client", "https://[::1]/client", "https://localhost/client", "https://2130706433/client",
            "https://0x7f.1/client", "https://intranet/client", "https://app.local/client", "https://app.example.com./client",
            "https://app.example.com/client?a=b", "https://app.example.com/client?", "HTTPS://app.example.com/client",
            "https://APP.example.com/client", "https:/app.example.com/client", "https:app.example.com/client",
            "https://app.example.com//client", "https://app.example.com\\client", "https://app.example.com/a b",
            "ftp://app.example.com/client", "https://", "https:///client", "client",
        ];
        for bad in bad {
            assert!(read(bad, Nearby::Refused).is_none(), "{bad}");
        }
    }

    #[test]
    fn this_machine_is_taken_where_development_happens() {
        for near in [
            "http://127.0.0.1:4000/client",
            "http://localhost:4000/client",
            "https://localhost:4000/client",
            "http://[::1]:4000/client",
        ] {
            assert!(read(near, Nearby::Allowed).is_some(), "{near}");
            assert!(read(near, Nearby::Refused).is_none(), "{near}");
        }
        for bad in [
            "http://10.0.0.1/client",
            "http://app.example.com/client",
            "https://app.example.com:8443/client",
            "http://127.0.0.1:4000/",
        ] {
            assert!(read(bad, Nearby::Allowed).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_begins_like_an_address_is_meant_as_one() {
        for text in ["https://a", "HTTP://a", "http://"] {
            assert!(ClientIdUrl::is_meant(&text.parse().unwrap()), "{text}");
        }
        assert!(!ClientIdUrl::is_meant(&"web".parse().unwrap()));
    }
}
