//! What the configuration settles for the whole life of a process.

use std::time::Duration;

use ipnet::IpNet;
use symbolon_protocol::{Issuer, Lifetime};
use url::Url;

use crate::config::Lifetimes;
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
    /// How far clocks may differ.
    pub(crate) clock_skew: Duration,
    /// How long things live.
    pub(crate) lifetimes: Lifetimes,
    /// Where pages find their parts.
    pub(crate) site: Site,
    /// Begins the name of every cookie.
    pub(crate) cookie_prefix: String,
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
        let cookie_prefix = if issuer.is_plain_http() {
            format!("sym-dev-{port}-")
        } else {
            "__Host-sym-".to_owned()
        };
        let authority = issuer.authority().to_owned();
        let default_port = if issuer.is_plain_http() {
            ":80"
        } else {
            ":443"
        };
        let hosts = match authority.contains(':') {
            true => vec![authority],
            false => vec![format!("{authority}{default_port}"), authority],
        };
        Self {
            site: Site::new(&url),
            hosts,
            cookie_prefix,
            issuer,
            trusted_proxies: rest.trusted_proxies,
            clock_skew: rest.clock_skew.duration(),
            lifetimes: rest.lifetimes,
        }
    }
}

/// What [`Settings::new`] takes besides the issuer.
pub(crate) struct Rest {
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) clock_skew: Lifetime,
    pub(crate) lifetimes: Lifetimes,
}
