//! Where certificates of clients are asked for, and who vouches for them.
//!
//! Spec: RFC 8705 §5

use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

use super::super::document::Table;
use super::super::finding::Finding;
use super::super::schema::{TLS, TOP};
use super::server::missing_file;
use super::{Loading, invalid};

impl Loading<'_> {
    /// The listener that asks for certificates; `""` is none. It needs a
    /// certificate of its own, or there would be no handshake.
    pub(super) fn mtls_listen(&mut self, root: &Table, tls: Option<&Table>) -> Option<SocketAddr> {
        let text: String = self.value(root, &TOP, "mtls_listen")?;
        if text.is_empty() {
            return None;
        }
        let at = root.place("mtls_listen").clone();
        let address = match text.parse() {
            Ok(address) => address,
            Err(_) => {
                self.add(invalid(
                    &TOP,
                    "mtls_listen",
                    &at,
                    "it is not an address and a port",
                ));
                return None;
            }
        };
        if !tls.is_some_and(|tls| tls.has("certificate")) {
            self.add(
                Finding::error(
                    "mtls_listen.tls_missing",
                    &at,
                    "`mtls_listen` needs `[tls]` with `certificate` and `key`",
                )
                .because("certificates of clients are shown in a TLS handshake alone")
                .repair("add `[tls]`, or let a proxy end TLS and name it in `trusted_proxies`"),
            );
        }
        Some(address)
    }

    /// How the outside reaches that listener, or the proxy before it.
    pub(super) fn mtls_url(&mut self, root: &Table) -> Option<Url> {
        let text: String = self.value(root, &TOP, "mtls_url")?;
        let url = Url::parse(&text).ok().filter(|url| {
            url.scheme() == "https"
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if url.is_none() {
            let at = root.place("mtls_url").clone();
            let why = "it is not `https://`, a host and a port";
            self.add(invalid(&TOP, "mtls_url", &at, why));
        }
        url
    }

    /// The authorities; `""` is none.
    pub(super) fn client_ca(&mut self, table: &Table) -> Option<PathBuf> {
        let text: String = self.value(table, &TLS, "client_ca")?;
        if text.is_empty() {
            return None;
        }
        let path = self.folder.join(text);
        if !path.is_file() {
            self.add(missing_file("client_ca", table, &path));
        }
        Some(path)
    }
}
