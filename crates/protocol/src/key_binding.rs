//! What a client says of keys: that its tokens are bound to one, and which
//! certificate is its own.
//!
//! Spec: RFC 9449 §5.2
//! Spec: RFC 8705 §2.1.2, §3.4

use serde::{Deserialize, Serialize};

use crate::client::Problem;
use crate::vocabulary::ClientAuthentication;

/// How long a subject may be that a certificate has to carry, in bytes.
const MAX_SUBJECT_BYTES: usize = 1024;

/// The part of a client's metadata that is about keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBinding {
    /// Whether its access tokens are always bound to the key of a DPoP proof.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// Whether they are always bound to the certificate of the connection.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// The subject of its certificate, as RFC 4514 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_subject_dn: Option<String>,
    /// A host name in its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_dns: Option<String>,
    /// A URI in its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_uri: Option<String>,
    /// An IP address in its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_ip: Option<String>,
    /// A mail address in its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_auth_san_email: Option<String>,
}

/// The one thing by which a certificate of an authority is known to be a
/// client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateSubject<'a> {
    /// The subject's name.
    Name(&'a str),
    /// An alternative name that is a host.
    Dns(&'a str),
    /// An alternative name that is a URI.
    Uri(&'a str),
    /// An alternative name that is an address.
    Ip(std::net::IpAddr),
    /// An alternative name that is a mail address.
    Email(&'a str),
}

impl KeyBinding {
    /// The subject that is registered; `None` where none is, or several are.
    pub fn subject(&self) -> Option<CertificateSubject<'_>> {
        let address = |text: &str| text.parse().ok().map(CertificateSubject::Ip);
        let all = [
            self.tls_client_auth_subject_dn
                .as_deref()
                .map(CertificateSubject::Name),
            self.tls_client_auth_san_dns
                .as_deref()
                .map(CertificateSubject::Dns),
            self.tls_client_auth_san_uri
                .as_deref()
                .map(CertificateSubject::Uri),
            self.tls_client_auth_san_ip.as_deref().and_then(address),
            self.tls_client_auth_san_email
                .as_deref()
                .map(CertificateSubject::Email),
        ];
        let mut found = all.into_iter().flatten();
        let first = found.next()?;
        (found.next().is_none() && self.named().len() == 1).then_some(first)
    }

    /// The subject fields that are given.
    fn named(&self) -> Vec<(&'static str, &str)> {
        let all = [
            (
                "tls_client_auth_subject_dn",
                &self.tls_client_auth_subject_dn,
            ),
            ("tls_client_auth_san_dns", &self.tls_client_auth_san_dns),
            ("tls_client_auth_san_uri", &self.tls_client_auth_san_uri),
            ("tls_client_auth_san_ip", &self.tls_client_auth_san_ip),
            ("tls_client_auth_san_email", &self.tls_client_auth_san_email),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .collect()
    }

    /// What does not fit together for a client that proves itself by `method`.
    pub(crate) fn problems(&self, method: ClientAuthentication) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| {
            problems.push(Problem {
                field: field.to_owned(),
                message: message.to_owned(),
            });
        };
        let named = self.named();
        let wants = method == ClientAuthentication::TlsClientAuth;
        match named.as_slice() {
            [] if wants => add(
                "authentication",
                "`tls_client_auth` needs one of `tls_client_auth_subject_dn`, `…_san_dns`, `…_san_uri`, `…_san_ip`, `…_san_email` (RFC 8705 §2.1.2)",
            ),
            [_, (second, _), ..] => add(
                second,
                "a certificate is known by one of these fields, not by several (RFC 8705 §2.1.2)",
            ),
            [(name, _)] if !wants => add(name, "is for `authentication = \"tls_client_auth\"`"),
            _ => {}
        }
        for (name, value) in named {
            if value.is_empty() || value.len() > MAX_SUBJECT_BYTES {
                add(name, "has 1 to 1024 bytes");
            }
        }
        if self
            .tls_client_auth_san_ip
            .as_ref()
            .is_some_and(|text| text.parse::<std::net::IpAddr>().is_err())
        {
            add("tls_client_auth_san_ip", "is an IP address");
        }
        problems
    }
}

const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(given: &[&str]) -> KeyBinding {
        let given = given
            .iter()
            .map(|name| ((*name).to_owned(), "192.0.2.7".into()));
        serde_json::from_value(serde_json::Value::Object(given.collect())).unwrap()
    }

    const NAMES: [&str; 5] = [
        "tls_client_auth_subject_dn",
        "tls_client_auth_san_dns",
        "tls_client_auth_san_uri",
        "tls_client_auth_san_ip",
        "tls_client_auth_san_email",
    ];

    #[test]
    fn exactly_one_field_names_the_certificate() {
        let method = ClientAuthentication::TlsClientAuth;
        for name in NAMES {
            assert!(fields(&[name]).problems(method).is_empty(), "{name}");
            assert!(fields(&[name]).subject().is_some(), "{name}");
            for other in NAMES.into_iter().filter(|other| *other != name) {
                let two = fields(&[name, other]);
                assert_eq!(two.problems(method).len(), 1, "{name} {other}");
                assert_eq!(two.subject(), None);
            }
        }
        assert_eq!(fields(&[]).problems(method).len(), 1);
        assert_eq!(fields(&[]).subject(), None);
    }

    #[test]
    fn what_no_method_reads_is_a_mistake() {
        let method = ClientAuthentication::SelfSignedTlsClientAuth;
        assert!(fields(&[]).problems(method).is_empty());
        for name in NAMES {
            assert_eq!(fields(&[name]).problems(method).len(), 1, "{name}");
        }
    }
}
