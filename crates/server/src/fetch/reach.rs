//! Where outbound calls may go: public addresses over https, and what the
//! configuration names besides.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use symbolon_protocol::Issuer;
use url::{Host, Url};

use super::address::{is_nowhere, is_public};

/// How long an address may be, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// What outbound calls may reach.
#[derive(Debug)]
pub(super) struct Reach {
    hosts: HashSet<String>,
    networks: Vec<IpNet>,
    /// Whether this server is itself on this machine only, so that calls to
    /// this machine reach nothing that its operator does not own.
    loopback: bool,
    plain_http: bool,
}

impl Reach {
    /// Reads what the configuration allows. Its entries were checked there.
    pub(super) fn new(issuer: &Issuer, outbound_allow: &[String]) -> Self {
        let (mut hosts, mut networks) = (HashSet::new(), Vec::new());
        for allowed in outbound_allow {
            let network = allowed.parse::<IpNet>().ok();
            match network.or_else(|| allowed.parse::<IpAddr>().ok().map(IpNet::from)) {
                Some(network) => networks.push(network.trunc()),
                None => {
                    hosts.insert(allowed.to_ascii_lowercase());
                }
            }
        }
        let url = Url::parse(issuer.as_str()).ok();
        let loopback = url.as_ref().is_some_and(is_this_machine);
        Self {
            hosts,
            networks,
            loopback,
            plain_http: loopback && issuer.is_plain_http(),
        }
    }

    /// The address that a text is, if it may be called as far as that can be
    /// told without asking for its name.
    pub(super) fn admit_url(&self, text: &str) -> Option<Url> {
        if text.len() > MAX_URL_BYTES {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let bare =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !bare || !self.admits_scheme(&url) {
            return None;
        }
        let admitted = match url.host()? {
            Host::Domain(name) => !name.is_empty(),
            Host::Ipv4(address) => self.admits(&address.to_string(), address.into()),
            Host::Ipv6(address) => self.admits(&address.to_string(), address.into()),
        };
        admitted.then_some(url)
    }

    /// Whether the address of a host may be connected to.
    pub(super) fn admits(&self, host: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if is_nowhere(address) {
            return false;
        }
        is_public(address)
            || self.loopback && address.is_loopback()
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
            || self.names(host)
    }

    /// Plain http stays on this machine, where nobody is in between.
    fn admits_scheme(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" if is_this_machine(url) => self.plain_http || self.names_host_of(url),
            _ => false,
        }
    }

    fn names_host_of(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Domain(name)) => self.names(name),
            Some(Host::Ipv4(address)) => self
                .networks
                .iter()
                .any(|network| network.contains(&IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => self
                .networks
                .iter()
                .any(|network| network.contains(&IpAddr::V6(address))),
            None => false,
        }
    }

    fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.hosts.contains(&host)
    }
}

/// Whether a URL names this machine, by address or as `localhost`.
fn is_this_machine(url: &Url) -> bool {
    symbolon_protocol::uri::is_loopback(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(issuer: &str, allow: &[&str]) -> Reach {
        let allow: Vec<String> = allow.iter().map(|text| (*text).to_owned()).collect();
        Reach::new(&issuer.parse().unwrap(), &allow)
    }

    const PUBLIC: &str = "https://auth.example.com";
    const LOCAL: &str = "http://localhost:8080";

    #[test]
    fn a_public_server_calls_https_at_public_addresses_alone() {
        let reach = reach(PUBLIC, &[]);

        for good in [
            "https://keys.example.net/jwks",
            "https://8.8.8.8:8443/jwks",
            "https://[2606:4700::1]/?a=b",
        ] {
            assert!(reach.admit_url(good).is_some(), "{good}");
        }
        #[rustfmt::skip]
        let bad = [
            "http://keys.example.net/jwks", "ftp://keys.example.net", "file:///etc/passwd", "data:,x", "", "keys",
            "https://user@keys.example.net/", "https://u:p@keys.example.net/", "https://keys.example.net/#a",
            "http://localhost/", "http://127.0.0.1/", "https://127.0.0.1/", "https://127.1/", "https://0x7f000001/",
            "https://2130706433/", "https://017700000001/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fec0::1]/", "https://[::127.0.0.1]/",
            "https://10.0.0.1/", "https://169.254.169.254/latest", "https://0.0.0.0/", "https://１２７.0.0.1/",
        ];
        for bad in bad {
            assert!(reach.admit_url(bad).is_none(), "{bad}");
        }
        assert!(
            reach
                .admit_url(&format!("https://a.example/{}", "a".repeat(2048)))
                .is_none()
        );
    }

    #[test]
    fn a_server_on_this_machine_may_call_this_machine() {
        let reach = reach(LOCAL, &[]);

        for good in [
            "http://localhost:1234/jwks",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "https://127.0.0.1/",
        ] {
            assert!(reach.admit_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://10.0.0.1/",
            "http://keys.example.net/",
            "https://10.0.0.1/",
            "http://0.0.0.0/",
        ] {
            assert!(reach.admit_url(bad).is_none(), "{bad}");
        }
        assert!(reach.admits("anything.test", "127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_the_operator_names_may_be_called() {
        let reach = reach(
            PUBLIC,
            &["Keys.Internal", "10.2.0.0/24", "192.168.7.7", "localhost"],
        );
        let admits = |host: &str, address: &str| reach.admits(host, address.parse().unwrap());

        assert!(admits("keys.internal", "10.9.9.9") && admits("keys.internal.", "fd00::1"));
        assert!(!admits("other.internal", "10.9.9.9") && !admits("evil.keys.internal", "10.9.9.9"));
        assert!(admits("x.test", "10.2.0.9") && !admits("x.test", "10.2.1.9"));
        assert!(admits("x.test", "::ffff:10.2.0.9") && admits("x.test", "192.168.7.7"));
        assert!(!admits("keys.internal", "0.0.0.0") && !admits("keys.internal", "224.0.0.1"));
        assert!(reach.admit_url("http://localhost:9/").is_some());
        assert!(reach.admit_url("http://keys.internal/").is_none());
        assert!(reach.admit_url("http://127.0.0.1:9/").is_none());
    }
}
