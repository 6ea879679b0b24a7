//! The kinds of URI that decide where things go: issuer, redirect URI,
//! resource identifier. Each is compared as text, never after decoding.
//!
//! Spec: RFC 8414 §2
//! Spec: RFC 9700 §4.1.3
//! Spec: RFC 8252 §7.3
//! Spec: RFC 8707 §2

mod client_id;
mod target;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

pub use client_id::{ClientIdUrl, Nearby};
pub use target::TargetUri;

/// How long any of these URIs may be, in bytes.
pub const MAX_URI_BYTES: usize = 2048;

/// Query names that an authorization response uses, which a registered
/// redirect URI therefore must not carry.
const RESPONSE_NAMES: [&str; 8] = [
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
    "response",
    "session_state",
];

/// Why a URI that is not plain is not taken.
pub(crate) const NOT_PLAIN: &str =
    "needs a host that is written as it is looked up, with nothing beside it";

/// Text that is no such URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUri(&'static str);

fn is_written_plainly(text: &str) -> bool {
    text.bytes().all(|b| {
        matches!(b, 0x21..=0x7e)
            && !matches!(
                b,
                b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}' | b'|'
            )
    })
}

fn parse(text: &str) -> Result<Url, InvalidUri> {
    if text.is_empty() || text.len() > MAX_URI_BYTES {
        return Err(InvalidUri("a URI has 1 to 2048 characters"));
    }
    // What a URL parser repairs silently (backslashes, blanks, other scripts)
    // is refused: two parsers could repair it differently.
    if !is_written_plainly(text) {
        return Err(InvalidUri(
            "a URI holds ASCII characters that need no repair",
        ));
    }
    let url = Url::parse(text).map_err(|_| InvalidUri("not an absolute URI"))?;
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err(InvalidUri("a URI must not carry a user name"));
    }
    if text.contains('#') {
        return Err(InvalidUri("a URI must not have a fragment"));
    }
    Ok(url)
}

/// Whether a URL's authority is what a parser makes of it, but for the case of
/// letters and a port that goes without saying: what one repairs, another could
/// repair otherwise (RFC 9110 §4.2.2: an empty host is none).
fn is_plain_authority(url: &Url, written: &str) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = matches!(url.host(), Some(Host::Ipv6(_))) || host.bytes().all(is_named);
    let written = written.to_ascii_lowercase();
    let port = url.port_or_known_default();
    let has_port = |port: u16| written == format!("{host}:{port}");
    is_name && (url.port().is_none() && written == host || port.is_some_and(has_port))
}

fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Whether a URL's host is this machine itself: `localhost` or a loopback
/// address written as one.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

macro_rules! uri {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The URI exactly as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether its host is written as it is looked up, and nothing
            /// stands beside it. Asked of what is new alone: what was stored
            /// by an earlier version stays readable.
            pub fn is_plain(&self) -> bool {
                let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
                Url::parse(&self.0)
                    .is_ok_and(|url| !is_web(&url) || is_plain_authority(&url, authority(&self.0)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uri! {
    /// An issuer: https, or http on a loopback host; no query, no trailing slash.
    Issuer
}

impl FromStr for Issuer {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let url = parse(text)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(InvalidUri("an issuer is https, or http on a loopback host"));
        }
        if url.query().is_some() || text.contains('?') || text.ends_with('/') {
            return Err(InvalidUri("an issuer has no query and no trailing slash"));
        }
        let path = if url.path() == "/" { "" } else { url.path() };
        if !text.ends_with(path) || url.origin().ascii_serialization() + path != text {
            return Err(InvalidUri("an issuer is written in its normal form"));
        }
        Ok(Self(text.into()))
    }
}

impl Issuer {
    /// The path below which everything is served: `""`, or `/tenant`.
    pub fn path(&self) -> &str {
        let after = self.0.find("://").map_or(0, |at| at + 3);
        self.0[after..]
            .find('/')
            .map_or("", |at| &self.0[after + at..])
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.0[..self.0.len() - self.path().len()]
    }

    /// Host and port, as a `Host` header names them.
    pub fn authority(&self) -> &str {
        self.origin().split_once("://").map_or("", |(_, rest)| rest)
    }

    /// Whether this is a plain-http issuer on this machine.
    pub fn is_plain_http(&self) -> bool {
        self.0.starts_with("http:")
    }

    /// The address of an endpoint below the issuer; `path` begins with `/`.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

uri! {
    /// The identifier of an issuer that is not this server: https, or http on
    /// a loopback host; compared as text, a trailing slash included.
    ForeignIssuer
}

impl FromStr for ForeignIssuer {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let url = parse(text)?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(InvalidUri("an issuer is https, or http on a loopback host"));
        }
        if text.contains('?') || !text.contains("://") {
            return Err(InvalidUri("an issuer is a URL without query"));
        }
        Ok(Self(text.into()))
    }
}

uri! {
    /// A redirect URI that may be registered.
    RedirectUri
}

impl FromStr for RedirectUri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        let url = parse(text)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(InvalidUri("http redirect URIs are for loopback hosts only")),
            scheme if scheme.contains('.') => {}
            _ => {
                return Err(InvalidUri(
                    "a private-use scheme is a reversed domain name, as in `com.example.app:/`",
                ));
            }
        }
        if matches!(url.scheme(), "https" | "http") && !text.contains("://") {
            return Err(InvalidUri("not an absolute URI"));
        }
        if url.path().contains(';')
            || text.to_ascii_lowercase().contains("%2e")
            || has_dot_segment(text)
        {
            return Err(InvalidUri(
                "a redirect URI has no dot segments and no path parameters",
            ));
        }
        if url
            .query_pairs()
            .any(|(name, _)| RESPONSE_NAMES.contains(&name.as_ref()))
        {
            return Err(InvalidUri(
                "a redirect URI must not carry names of the response",
            ));
        }
        Ok(Self(text.into()))
    }
}

fn has_dot_segment(text: &str) -> bool {
    let path = text.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether the port of a loopback redirect URI may differ from the registered
/// one: so for native clients (RFC 8252 §7.3), for nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopbackPort {
    /// The port is part of the comparison.
    Exact,
    /// Any port will do.
    Any,
}

impl RedirectUri {
    /// Whether `presented` is this registered URI, character by character; on
    /// loopback hosts of native clients with any port.
    pub fn accepts(&self, presented: &str, port: LoopbackPort) -> bool {
        if *self.0 == *presented {
            return true;
        }
        port == LoopbackPort::Any
            && self.0.starts_with("http://")
            && Url::parse(&self.0).is_ok_and(|url| is_loopback(&url))
            && presented.len() <= MAX_URI_BYTES
            && presented.parse::<Self>().is_ok()
            && without_port(&self.0) == without_port(presented)
    }

    /// The registered URI that `presented` matches, as it was presented.
    pub fn presented(presented: &str) -> Result<Self, InvalidUri> {
        presented.parse()
    }

    /// The host to show to a person; the scheme where there is no host.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.0);
        match url.as_ref().map(|url| (url.host_str(), url.scheme())) {
            Ok((Some(host), "http" | "https")) => host.to_owned(),
            Ok((_, scheme)) => format!("{scheme}:"),
            Err(_) => String::new(),
        }
    }

    /// Whether only whoever holds a host can receive at this URI: https, and
    /// not on the machine of the person itself (RFC 8252 §7.2, §8.6).
    pub fn is_claimed_https(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.scheme() == "https" && !is_loopback(&url))
    }

    /// The origin, for CORS and for the content security policy; a
    /// private-use scheme has only itself (`com.example.app:`).
    pub fn origin(&self) -> String {
        match Url::parse(&self.0) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                url.origin().ascii_serialization()
            }
            Ok(url) => format!("{}:", url.scheme()),
            Err(_) => String::new(),
        }
    }

    /// The same without its port, where any port will do.
    #[must_use]
    pub fn with_any_port(&self) -> Self {
        if !self.is_loopback_http() {
            return self.clone();
        }
        let (head, tail) = without_port(&self.0);
        Self(format!("{head}{tail}").into())
    }

    /// Whether this is plain http (on a loopback host).
    pub fn is_loopback_http(&self) -> bool {
        self.0.starts_with("http://")
    }
}

/// The URI with the digits of its port cut out of the authority.
fn without_port(uri: &str) -> (String, &str) {
    let start = uri.find("://").map_or(0, |at| at + 3);
    let end = uri[start..]
        .find(['/', '?'])
        .map_or(uri.len(), |at| start + at);
    let authority = &uri[start..end];
    let digits = authority.rsplit_once(':').filter(|(host, port)| {
        !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
            && (!host.starts_with('[') || host.ends_with(']'))
    });
    let host = digits.map_or(authority, |(host, _)| host);
    (format!("{}{host}", &uri[..start]), &uri[end..])
}

uri! {
    /// A resource identifier: an absolute URI without fragment, compared as text.
    ResourceIdentifier
}

impl FromStr for ResourceIdentifier {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        parse(text)?;
        Ok(Self(text.into()))
    }
}

impl ResourceIdentifier {
    /// Takes an identifier back from where it was sealed after it had been
    /// parsed: it is not parsed again, only held to its length and characters.
    pub fn from_sealed(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= MAX_URI_BYTES;
        let whole = text.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && whole).then(|| Self(text.into()))
    }

    /// The host to show to a person; the whole identifier where there is none.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.0).ok();
        url.and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| self.0.to_string())
    }
}

impl From<&Issuer> for ResourceIdentifier {
    fn from(issuer: &Issuer) -> Self {
        Self(Arc::clone(&issuer.0))
    }
}

#[cfg(test)]
mod tests;
