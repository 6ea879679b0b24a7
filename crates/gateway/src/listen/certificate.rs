//! The gateway's certificate, which can be renewed while it runs: a handshake
//! takes the one that holds when it begins. TLS 1.2 and 1.3 only.
//!
//! Spec: RFC 8446 §4.4.2
//! Spec: RFC 9325 §3.1

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::ServeError;
use super::accept::AcceptAny;

/// Whether a handshake asks the caller for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Asks {
    /// It does not.
    #[default]
    Nothing,
    /// It does, and takes any or none (RFC 8705 §6.2).
    ForCertificate,
}

/// A chain with its private key, ready for handshakes.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads chain and key, PEM, and refuses a key of another certificate.
    pub fn read(chain: &Path, key: &Path) -> Result<Arc<Self>, ServeError> {
        let failed = |path: &Path, cause: String| ServeError::Certificate {
            path: path.display().to_string(),
            cause,
        };
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(chain, error.to_string()))?;
        let own =
            PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let read = CertifiedKey::from_der(certificates, own, &provider)
            .map_err(|error| failed(chain, error.to_string()))?;
        Ok(Arc::new(Self(ArcSwap::from_pointee(read))))
    }

    /// Takes what another one holds: connections that stand stay as they are.
    pub fn become_like(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    pub(crate) fn acceptor(self: &Arc<Self>, asks: Asks) -> Result<TlsAcceptor, ServeError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ServeError::Tls(error.to_string()))?;
        let builder = match asks {
            Asks::Nothing => builder.with_no_client_auth(),
            Asks::ForCertificate => {
                builder.with_client_cert_verifier(Arc::new(AcceptAny(provider)))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<_>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}
