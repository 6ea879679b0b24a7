//! The content security policy of a page, built so that no value can add a directive.
//!
//! Spec: RFC 9700 §4.16
//! Spec: Content Security Policy Level 3 §2.3.1

use std::fmt::Write as _;

use http::HeaderValue;
use url::{Host, Url};

/// The content security policy of one page.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    form_action: FormAction,
    script: Option<&'static str>,
}

impl Policy {
    /// A page without script whose forms end at the given places.
    pub(crate) fn new(form_action: FormAction) -> Self {
        Self {
            form_action,
            script: None,
        }
    }

    /// Allows the one script with this source expression (`'sha256-…'`).
    pub(crate) fn with_script(mut self, source: &'static str) -> Self {
        self.script = Some(source);
        self
    }

    /// The value of the header.
    pub(crate) fn header(&self) -> HeaderValue {
        let mut policy = String::from("default-src 'none'; style-src 'self'; img-src 'self'");
        if let Some(script) = self.script {
            let _ = write!(policy, "; script-src {script}");
        }
        let _ = write!(
            policy,
            "; form-action {}; frame-ancestors 'none'; base-uri 'none'",
            self.form_action.sources(),
        );
        // Sources are ASCII by construction; the fallback is the closed policy.
        HeaderValue::from_str(&policy).unwrap_or(CLOSED)
    }
}

/// The places where the submission of a page's form may end.
///
/// Browsers apply `form-action` to the redirects that answer a form too, so
/// the client's redirect URI belongs here, not only this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormAction(Vec<String>);

impl FormAction {
    /// No form at all.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Forms that end at this server.
    pub(crate) fn own() -> Self {
        Self(vec!["'self'".to_owned()])
    }

    /// Forms that may also end at the origin (or the app) of this URL.
    ///
    /// A URL that cannot be named safely adds nothing.
    pub(crate) fn reaching(mut self, url: &Url) -> Self {
        if let Some(source) = source_of(url)
            && !self.0.contains(&source)
        {
            self.0.push(source);
        }
        self
    }

    fn sources(&self) -> String {
        if self.0.is_empty() {
            return "'none'".to_owned();
        }
        self.0.join(" ")
    }
}

/// Names where a URL leads: `scheme://host[:port]` on the web, `scheme:` for an app.
fn source_of(url: &Url) -> Option<String> {
    let scheme = url.scheme();
    if !matches!(scheme, "http" | "https") {
        return app_scheme(scheme);
    }
    let host = match url.host()? {
        // The URL standard lets `;`, `,`, `*` and quotes stand in a host. A
        // policy would read them as its own syntax.
        Host::Domain(domain) if domain.bytes().all(is_host_byte) => domain.to_owned(),
        Host::Domain(_) => return None,
        Host::Ipv4(address) => address.to_string(),
        // The policy's grammar has no IPv6 literal; only the scheme can be named.
        Host::Ipv6(_) => return Some(format!("{scheme}:")),
    };
    Some(match url.port() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// The source of a private-use scheme, unless the browser itself acts on it.
fn app_scheme(scheme: &str) -> Option<String> {
    let plain = scheme
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (plain && !BROWSER_SCHEMES.contains(&scheme)).then(|| format!("{scheme}:"))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

// Which redirect URIs a client may register is decided elsewhere, by an
// allow-list; this is the second fence behind it.
const BROWSER_SCHEMES: [&str; 12] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

const CLOSED: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
);
