//! The server's certificate, which can be renewed while the server runs: a
//! handshake takes the one that holds when it begins.
//!
//! Spec: RFC 8446 §4.4.2

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::serve::ServeError;

/// A chain with its private key, ready for handshakes.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads chain and key, PEM, and refuses a key of another certificate.
    pub fn read(chain: &Path, key: &Path) -> Result<Arc<Self>, ServeError> {
        let read = certified(chain, key)?;
        Ok(Arc::new(Self(ArcSwap::from_pointee(read))))
    }

    /// Takes what another one holds: connections that stand stay as they are.
    pub(crate) fn become_like(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified(chain: &Path, key: &Path) -> Result<CertifiedKey, ServeError> {
    let failed = |path: &Path, cause: String| ServeError::Certificate {
        path: path.display().to_string(),
        cause,
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(chain, error.to_string()))?;
    let own = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(certificates, own, &provider)
        .map_err(|error| failed(chain, error.to_string()))
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::serve;

    /// A folder of one test's own.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("symbolon-certificate-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// Writes a certificate of this host with its key; answers it.
        fn issue(&self) -> CertificateDer<'static> {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(self.chain(), made.cert.pem()).unwrap();
            std::fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
            made.cert.der().clone()
        }

        fn chain(&self) -> std::path::PathBuf {
            self.0.join("server.pem")
        }

        fn key(&self) -> std::path::PathBuf {
            self.0.join("server.key")
        }

        fn read(&self) -> Result<Arc<Certificate>, ServeError> {
            Certificate::read(&self.chain(), &self.key())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Whether a client that trusts one certificate alone gets a connection.
    async fn is_trusted(server: &Arc<Certificate>, trusted: &CertificateDer<'static>) -> bool {
        let acceptor = serve::tls(server, serve::Asks::Nothing).unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move { acceptor.accept(near).await.is_ok() });
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        connector.connect(name, far).await.is_ok()
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_without_a_restart() {
        let folder = Folder::new("renewed");
        let old = folder.issue();
        let running = folder.read().unwrap();
        assert!(is_trusted(&running, &old).await);
        let new = folder.issue();
        assert!(
            !is_trusted(&running, &new).await,
            "a file alone changes nothing"
        );

        running.become_like(&folder.read().unwrap());

        assert!(is_trusted(&running, &new).await);
        assert!(!is_trusted(&running, &old).await);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = Folder::new("other");
        folder.issue();
        let chain = std::fs::read(folder.chain()).unwrap();
        folder.issue();
        assert!(folder.read().is_ok());

        std::fs::write(folder.chain(), chain).unwrap();

        let refused = folder.read().unwrap_err();
        assert_eq!(refused.code(), "tls.certificate");
    }
}
