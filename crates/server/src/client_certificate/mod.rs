//! The certificate of whoever calls: from the connection itself, or from a
//! trusted proxy's word.
//!
//! Spec: RFC 8705 §2, §3.1
//! Spec: RFC 9440 §2
//!
//! A certificate is taken as it is; the connection, or the proxy's, has proved
//! that the caller holds its key. What it is worth is judged per client.

mod accept;
mod authority;
mod header;
mod name;

use std::sync::Arc;

use http::Request;
use rustls_pki_types::CertificateDer;
use symbolon_token::Thumbprint;

use crate::failure::Refusal;
use crate::settings::Settings;

pub(crate) use accept::AcceptAny;
pub(crate) use authority::Authorities;

/// How many certificates a chain may have.
const MAX_CHAIN: usize = 8;
/// How large they may be together, in bytes.
const MAX_CHAIN_BYTES: usize = 64 * 1024;

/// A certificate whose key the caller holds, and what came with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    own: CertificateDer<'static>,
    between: Vec<CertificateDer<'static>>,
    thumbprint: Thumbprint,
}

impl ClientCertificate {
    /// The certificate of a chain, own first; `None` where there is none, or
    /// more than anybody needs.
    pub(crate) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (own, between) = chain.split_first()?;
        let bytes: usize = chain.iter().map(|one| one.len()).sum();
        if chain.len() > MAX_CHAIN || bytes > MAX_CHAIN_BYTES {
            return None;
        }
        Some(Self {
            thumbprint: Thumbprint::of(own),
            own: own.clone().into_owned(),
            between: between.iter().map(|one| one.clone().into_owned()).collect(),
        })
    }

    /// The digest that `cnf` holds as `x5t#S256`.
    pub(crate) const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
}

/// The certificate of a request. The header counts from trusted proxies alone,
/// and then the connection's own certificate is the proxy's and counts nothing.
/// From everybody else the header is thrown away.
pub(crate) fn of_request<B>(
    settings: &Settings,
    peer: std::net::IpAddr,
    request: &mut Request<B>,
) -> Result<Option<Arc<ClientCertificate>>, Refusal> {
    let of_connection = request.extensions_mut().remove::<Arc<ClientCertificate>>();
    let shown = header::take(request.headers_mut());
    if !settings.takes_certificates {
        return Ok(None);
    }
    if !settings.is_trusted_proxy(peer) {
        return Ok(of_connection);
    }
    let Some(shown) = shown else {
        return Ok(None);
    };
    let chain = shown.read().ok_or(Refusal::invalid_request(
        "the proxy's Client-Cert is not a certificate",
    ))?;
    let certificate = ClientCertificate::of(&chain).ok_or(Refusal::invalid_request(
        "the proxy's Client-Cert is not a certificate",
    ))?;
    Ok(Some(Arc::new(certificate)))
}
