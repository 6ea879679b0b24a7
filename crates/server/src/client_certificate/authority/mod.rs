//! The authorities whose certificates prove clients, and what such a
//! certificate has to say.
//!
//! Spec: RFC 8705 §2.1
//! Spec: RFC 5280 §6

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use symbolon_protocol::{CertificateSubject, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::{ClientCertificate, name};

/// The authorities of `[tls] client_ca`.
pub(crate) struct Authorities(Arc<dyn ClientCertVerifier>);

/// Authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("could not use the authorities in `{path}`: {cause}")]
pub(crate) struct NoAuthorities {
    path: String,
    cause: String,
}

impl Authorities {
    /// Reads a PEM file of one or more certificates.
    pub(crate) fn read(path: &Path) -> Result<Self, NoAuthorities> {
        let failed = |cause: String| NoAuthorities {
            path: path.display().to_string(),
            cause,
        };
        let mut roots = RootCertStore::empty();
        let all = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
        for one in all {
            let one = one.map_err(|error| failed(error.to_string()))?;
            roots.add(one).map_err(|error| failed(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Self)
            .map_err(|error| failed(error.to_string()))
    }

    /// Whether a certificate comes from one of them, is valid now and for
    /// proving clients, and has the subject.
    pub(crate) fn vouch(
        &self,
        certificate: &ClientCertificate,
        subject: CertificateSubject<'_>,
        now: Timestamp,
    ) -> bool {
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let chain = self
            .0
            .verify_client_cert(&certificate.own, &certificate.between, now);
        chain.is_ok() && has_subject(&certificate.own, subject)
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities(..)")
    }
}

/// Whether a certificate has the subject: exactly, without wildcards.
fn has_subject(der: &[u8], subject: CertificateSubject<'_>) -> bool {
    let Ok((rest, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    if !rest.is_empty() {
        return false;
    }
    if let CertificateSubject::Name(wanted) = subject {
        return name::is_named(certificate.subject(), wanted);
    }
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return false;
    };
    let is_it = |own: &GeneralName<'_>| match (own, subject) {
        (GeneralName::DNSName(own), CertificateSubject::Dns(wanted)) => {
            own.eq_ignore_ascii_case(wanted)
        }
        (GeneralName::URI(own), CertificateSubject::Uri(wanted)) => *own == wanted,
        (GeneralName::RFC822Name(own), CertificateSubject::Email(wanted)) => *own == wanted,
        (GeneralName::IPAddress(own), CertificateSubject::Ip(wanted)) => match wanted {
            std::net::IpAddr::V4(wanted) => *own == wanted.octets().as_slice(),
            std::net::IpAddr::V6(wanted) => *own == wanted.octets().as_slice(),
        },
        _ => false,
    };
    alternatives.value.general_names.iter().any(is_it)
}

#[cfg(test)]
mod tests;
