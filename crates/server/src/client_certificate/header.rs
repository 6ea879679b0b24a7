//! `Client-Cert` and `Client-Cert-Chain`: what a proxy that ends TLS says of
//! its caller's certificate.
//!
//! Spec: RFC 9440 §2.1, §2.2, §2.4
//! Spec: RFC 9651 §3.1, §3.3.5

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls_pki_types::CertificateDer;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Both headers, as they came.
pub(super) struct Shown {
    own: Vec<HeaderValue>,
    chain: Vec<HeaderValue>,
}

/// Takes both headers away, so that nothing behind can read them.
pub(super) fn take(headers: &mut HeaderMap) -> Option<Shown> {
    if !headers.contains_key(CLIENT_CERT) && !headers.contains_key(CLIENT_CERT_CHAIN) {
        return None;
    }
    let shown = Shown {
        own: headers.get_all(CLIENT_CERT).iter().cloned().collect(),
        chain: headers.get_all(CLIENT_CERT_CHAIN).iter().cloned().collect(),
    };
    headers.remove(CLIENT_CERT);
    headers.remove(CLIENT_CERT_CHAIN);
    Some(shown)
}

impl Shown {
    /// The chain, own certificate first: exactly one, and any number between.
    pub(super) fn read(&self) -> Option<Vec<CertificateDer<'static>>> {
        let [own] = self.own.as_slice() else {
            return None;
        };
        let mut chain = vec![byte_sequence(own.to_str().ok()?)?];
        for line in &self.chain {
            for one in line.to_str().ok()?.split(',') {
                chain.push(byte_sequence(one.trim_matches([' ', '\t']))?);
            }
        }
        Some(chain)
    }
}

/// A byte sequence without parameters: base64 between colons.
fn byte_sequence(text: &str) -> Option<CertificateDer<'static>> {
    let inner = text.strip_prefix(':')?.strip_suffix(':')?;
    let der = BASE64_STANDARD.decode(inner).ok()?;
    (!der.is_empty()).then(|| der.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &'static str)]) -> Option<Vec<Vec<u8>>> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let shown = take(&mut headers);
        assert!(headers.is_empty());
        let chain = shown?.read()?;
        Some(chain.iter().map(|one| one.to_vec()).collect())
    }

    #[test]
    fn one_certificate_and_its_chain_are_read_in_order() {
        assert_eq!(read(&[("client-cert", ":AQI=:")]), Some(vec![vec![1, 2]]));
        let lines = [
            ("client-cert", ":AQI=:"),
            ("client-cert-chain", ":Aw==:, :BA==:"),
            ("client-cert-chain", ":BQ==:"),
        ];
        let chain = [&[1_u8, 2][..], &[3], &[4], &[5]].map(<[u8]>::to_vec);
        assert_eq!(read(&lines), Some(chain.to_vec()));
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn what_is_not_one_byte_sequence_is_no_certificate() {
        for bad in [
            "",
            "AQI=",
            ":AQI=",
            ":AQI:",
            "::",
            ":AQI=:;a",
            ":AQI=:, :Aw==:",
            ":!:",
        ] {
            assert_eq!(read(&[("client-cert", bad)]), None, "{bad}");
        }
        assert_eq!(
            read(&[("client-cert", ":AQI=:"), ("client-cert", ":AQI=:")]),
            None
        );
        assert_eq!(read(&[("client-cert-chain", ":AQI=:")]), None);
        let line = [("client-cert", ":AQI=:"), ("client-cert-chain", ":Aw==:,")];
        assert_eq!(read(&line), None);
    }
}
