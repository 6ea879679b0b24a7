//! What the configuration settles for every request: the issuer for the whole
//! life of a process, the rest until the configuration is read again.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use symbolon_protocol::uri::is_loopback;
use symbolon_protocol::{Issuer, Lifetime};
use symbolon_token::Digest;
use url::Url;

use crate::config::{
    Config, ForwardedHeader, KeysConfig, Lifetimes, RegistrationConfig, SignalSource,
};
use crate::pages::Site;

/// The settled part of the configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Who we are.
    pub(crate) issuer: Issuer,
    /// The hosts that requests may name.
    pub(crate) hosts: Vec<String>,
    /// Whose word about the caller's address is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// In which header they give it.
    pub(crate) forwarded_header: ForwardedHeader,
    /// How far clocks may differ.
    pub(crate) clock_skew: Duration,
    /// How long things live.
    pub(crate) lifetimes: Lifetimes,
    /// How keys change.
    pub(crate) keys: KeySettings,
    /// How long audit records are kept; zero keeps all for ever.
    pub(crate) audit_retention: Duration,
    /// Where the listener is that asks for certificates.
    pub(crate) mutual_tls: Option<MutualTls>,
    /// Whether certificates of clients count at all, from a connection or from
    /// a trusted proxy.
    pub(crate) takes_certificates: bool,
    /// Whether tokens of native clients have to be bound to a key.
    pub(crate) bind_native_clients: bool,
    /// Claims that no mapping tells.
    pub(crate) sensitive_claims: Vec<String>,
    /// Who may describe itself as a client.
    pub(crate) registration: Arc<RegistrationConfig>,
    /// Whose events are believed.
    pub(crate) signal_sources: Vec<Arc<SignalSource>>,
    /// Whether browsers may be told to use https alone: never on this machine,
    /// where a host is shared with whatever else is tried out.
    pub(crate) https_alone: bool,
    /// Where pages find their parts.
    pub(crate) site: Site,
    /// Begins the name of every cookie.
    pub(crate) cookie_prefix: String,
    /// The longest lifetime that held since the start: what was made under it
    /// may live on, and what is taken back is remembered for as long.
    pub(crate) longest: Lifetime,
    /// User names, small, whose password hash the configuration enforces.
    pub(crate) pinned: HashSet<String>,
}

impl Settings {
    /// Settles what follows from the issuer.
    #[expect(
        clippy::expect_used,
        reason = "an issuer parsed as a URL when it was made"
    )]
    pub(crate) fn new(issuer: Issuer, rest: Rest) -> Self {
        let url = Url::parse(issuer.as_str()).expect("an issuer is a URL");
        let port = url.port_or_known_default().unwrap_or(0);
        let mut cookie_prefix = if issuer.is_plain_http() {
            format!("sym-dev-{port}-")
        } else {
            "__Host-sym-".to_owned()
        };
        // `__Host-` cookies belong to the whole host, so issuers that differ in
        // their path alone would take each other's.
        if !issuer.path().is_empty() {
            let digest = Digest::of(issuer.path().as_bytes());
            let short = digest.as_bytes()[..4].iter();
            cookie_prefix.extend(short.map(|byte| format!("{byte:02x}")));
            cookie_prefix.push('-');
        }
        let authority = issuer.authority().to_owned();
        let default_port = if issuer.is_plain_http() {
            ":80"
        } else {
            ":443"
        };
        let mut hosts = with_default_port(authority, default_port);
        if let Some(own) = &rest.mutual_tls {
            hosts.extend(own.hosts.iter().cloned());
        }
        Self {
            site: Site::new(&url),
            https_alone: !issuer.is_plain_http() && !is_loopback(&url),
            hosts,
            cookie_prefix,
            issuer,
            trusted_proxies: rest.trusted_proxies,
            forwarded_header: rest.forwarded_header,
            clock_skew: rest.clock_skew.duration(),
            longest: longest(&rest.lifetimes),
            lifetimes: rest.lifetimes,
            pinned: rest.pinned,
            keys: rest.keys,
            audit_retention: rest.audit_retention,
            mutual_tls: rest.mutual_tls,
            takes_certificates: rest.takes_certificates,
            bind_native_clients: rest.bind_native_clients,
            sensitive_claims: rest.sensitive_claims,
            signal_sources: rest.signal_sources,
            registration: rest.registration,
        }
    }

    /// The same issuer with everything else as it is configured now.
    pub(crate) fn renewed(&self, rest: Rest) -> Self {
        // Listeners and authorities stay those of the start.
        let rest = Rest {
            mutual_tls: self.mutual_tls.clone(),
            takes_certificates: self.takes_certificates,
            ..rest
        };
        let mut renewed = Self::new(self.issuer.clone(), rest);
        renewed.longest = renewed.longest.max(self.longest);
        // Keys that were announced keep the time that they were announced for.
        renewed.keys = self.keys;
        renewed
    }

    /// Whether an address is a proxy's, whose word is believed.
    pub(crate) fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The origin that the outside knows, under one of our own names.
    pub(crate) fn origin_under(&self, host: Option<&str>) -> &str {
        match (&self.mutual_tls, host) {
            (Some(own), Some(host)) if own.is_named(host) => &own.origin,
            _ => self.issuer.origin(),
        }
    }
}

/// The listener that asks for certificates, as the outside knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MutualTls {
    /// `https://`, host, and port where it is not the usual one.
    pub(crate) origin: String,
    /// The hosts that requests to it may name.
    hosts: Vec<String>,
}

impl MutualTls {
    /// The listener behind an address of scheme https without a path.
    pub(crate) fn at(url: &Url) -> Self {
        let origin = url.origin().ascii_serialization();
        let authority = origin.trim_start_matches("https://").to_owned();
        Self {
            hosts: with_default_port(authority, ":443"),
            origin,
        }
    }

    fn is_named(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// An authority as a host header may write it.
fn with_default_port(authority: String, port: &str) -> Vec<String> {
    // An address of version 6 stands in brackets.
    let rest = authority.rsplit(']').next().unwrap_or_default();
    let has_port = rest.contains(':');
    match has_port {
        true => vec![authority],
        false => vec![format!("{authority}{port}"), authority],
    }
}

fn longest(lifetimes: &Lifetimes) -> Lifetime {
    lifetimes
        .refresh_token_absolute
        .max(lifetimes.session_absolute)
        .max(lifetimes.access_token)
        .max(lifetimes.id_token)
}

/// What [`Settings::new`] takes besides the issuer.
pub(crate) struct Rest {
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) forwarded_header: ForwardedHeader,
    pub(crate) clock_skew: Lifetime,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) keys: KeySettings,
    pub(crate) audit_retention: Duration,
    pub(crate) pinned: HashSet<String>,
    pub(crate) mutual_tls: Option<MutualTls>,
    pub(crate) takes_certificates: bool,
    pub(crate) bind_native_clients: bool,
    pub(crate) sensitive_claims: Vec<String>,
    pub(crate) signal_sources: Vec<Arc<SignalSource>>,
    pub(crate) registration: Arc<RegistrationConfig>,
}

impl Rest {
    /// What a configuration says of it.
    pub(crate) fn of(config: &Config) -> Self {
        let people = config.people.iter();
        let enforced = people.filter(|block| block.enforce && block.password_hash.is_some());
        Self {
            pinned: enforced
                .map(|block| block.username.to_lowercase())
                .collect(),
            trusted_proxies: config.trusted_proxies.clone(),
            forwarded_header: config.forwarded_header,
            clock_skew: config.clock_skew,
            lifetimes: config.lifetimes.clone(),
            keys: KeySettings::from(&config.keys),
            audit_retention: config.audit.retention.duration(),
            mutual_tls: config.mutual_tls(),
            takes_certificates: config.takes_certificates(),
            bind_native_clients: config.bind_native_clients,
            sensitive_claims: config.sensitive_claims.clone(),
            signal_sources: config.signal_sources.clone(),
            registration: Arc::clone(&config.registration),
        }
    }
}

/// How keys change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySettings {
    /// How long a key is active; zero changes keys by command alone.
    pub(crate) rotation: Duration,
    /// How long a verifier may keep the key set.
    pub(crate) key_set_cache: Duration,
    /// Whether there are keys for ML-DSA, in a set of their own.
    pub(crate) experimental_ml_dsa: bool,
    /// Whether there are keys to which partners encrypt assertions.
    pub(crate) saml_decryption: bool,
}

impl From<&KeysConfig> for KeySettings {
    fn from(config: &KeysConfig) -> Self {
        Self {
            rotation: config.rotation.duration(),
            key_set_cache: config.key_set_cache.duration(),
            experimental_ml_dsa: config.experimental_ml_dsa,
            saml_decryption: config.saml_decryption,
        }
    }
}

impl Default for KeySettings {
    fn default() -> Self {
        Self::from(&KeysConfig::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(absolute: u32) -> Rest {
        Rest {
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::Either,
            clock_skew: Lifetime::seconds(10),
            pinned: HashSet::new(),
            keys: KeySettings::default(),
            audit_retention: Duration::ZERO,
            mutual_tls: None,
            takes_certificates: false,
            bind_native_clients: false,
            sensitive_claims: Vec::new(),
            signal_sources: Vec::new(),
            registration: Arc::default(),
            lifetimes: Lifetimes {
                refresh_token_absolute: Lifetime::seconds(absolute),
                ..Lifetimes::default()
            },
        }
    }

    #[test]
    fn a_shorter_lifetime_does_not_shorten_what_must_be_remembered() {
        const MONTH: u32 = 30 * 24 * 60 * 60;
        let issuer: Issuer = "https://login.example.com".parse().unwrap();
        let before = Settings::new(issuer, rest(MONTH));

        let after = before.renewed(rest(MONTH / 2));

        let absolute = after.lifetimes.refresh_token_absolute;
        assert_eq!(absolute, Lifetime::seconds(MONTH / 2));
        assert_eq!(after.longest, Lifetime::seconds(MONTH));
        assert_eq!(
            after.renewed(rest(2 * MONTH)).longest,
            Lifetime::seconds(2 * MONTH)
        );
    }

    fn cookie_prefix(issuer: &str) -> String {
        Settings::new(issuer.parse().unwrap(), rest(90)).cookie_prefix
    }

    #[test]
    fn issuers_on_one_host_have_cookies_of_their_own() {
        let one = cookie_prefix("https://login.example.com/one");
        let two = cookie_prefix("https://login.example.com/two");

        assert_ne!(one, two);
        assert!(one.starts_with("__Host-sym-") && two.starts_with("__Host-sym-"));
        assert_eq!(cookie_prefix("https://login.example.com"), "__Host-sym-");
        assert_eq!(cookie_prefix("http://127.0.0.1:8080"), "sym-dev-8080-");
    }
}
