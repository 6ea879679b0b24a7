//! Whether whoever sends a token holds what it is bound to.
//!
//! Spec: RFC 9449 §4.3, §7.1, §7.2, §9
//! Spec: RFC 8705 §3, §3.1

use http::HeaderName;
use http::request::Parts;
use symbolon_protocol::{TargetUri, Timestamp};
use symbolon_token::dpop::{self, Expected, InvalidProof, Proof, Unspent};
use symbolon_token::jose::Invalid;
use symbolon_token::{Binding, Thumbprint};

use crate::bearer::{Purpose, Scheme, Sent};
use crate::config::Nonces;
use crate::refusal::{NotHeld, Refusal};
use crate::verifier::Verifier;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The certificate that the caller's connection has shown. Whoever ends TLS
/// puts it into the extensions of each request of the connection:
///
/// ```
/// # let der_of_the_peer = b"";
/// use symbolon_verify::PeerCertificate;
///
/// let mut request = http::Request::get("/invoices").body(()).unwrap();
/// request.extensions_mut().insert(PeerCertificate::from_der(der_of_the_peer));
/// ```
///
/// With rustls it is the first of `ServerConnection::peer_certificates()`.
/// Where a proxy ends TLS, it is what the proxy says, and only if the proxy
/// throws away what callers say themselves (RFC 9440 §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerCertificate(Thumbprint);

impl PeerCertificate {
    /// The certificate in its DER form. The handshake has checked that the
    /// caller holds its key; nothing else about it matters here.
    pub fn from_der(der: &[u8]) -> Self {
        Self(Thumbprint::of(der))
    }

    /// Its thumbprint, as `x5t#S256` has it.
    pub(crate) fn thumbprint(&self) -> String {
        self.0.to_string()
    }
}

impl Verifier {
    /// Refuses whoever does not hold what a token is bound to, a key-bound one
    /// that comes as a plain bearer, and one that comes with a proof and is not
    /// bound.
    pub(crate) async fn check_binding(
        &self,
        sent: Sent<'_>,
        binding: &Binding,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Some(wanted) = binding.certificate {
            let parts = sent.parts.ok_or(Refusal::Binding(NotHeld::NoRequest))?;
            match parts.extensions.get::<PeerCertificate>() {
                None => return Err(Refusal::Binding(NotHeld::CertificateMissing)),
                Some(own) if own.0 != wanted => {
                    return Err(Refusal::Binding(NotHeld::OtherCertificate));
                }
                Some(_) => {}
            }
        }
        match (sent.scheme, binding.key) {
            (Scheme::Bearer | Scheme::ApiKey, None) => Ok(()),
            (Scheme::Bearer | Scheme::ApiKey, Some(_)) => Err(Refusal::Binding(NotHeld::AsBearer)),
            (Scheme::Dpop, None) => Err(Refusal::Binding(NotHeld::NotBound)),
            (Scheme::Dpop, Some(key)) => self.check_proof(sent, key, now).await,
        }
    }

    async fn check_proof(
        &self,
        sent: Sent<'_>,
        key: Thumbprint,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let config = &self.inner.config;
        let (Some(parts), Some(origin)) = (sent.parts, &config.origin) else {
            return Err(Refusal::Binding(NotHeld::NoRequest));
        };
        let text = only_proof(parts)?;
        let target: TargetUri = format!("{origin}{}", path(parts))
            .parse()
            .map_err(|_| Refusal::Proof(InvalidProof::Target))?;
        let expected = Expected {
            method: parts.method.as_str(),
            target: &target,
            access_token: Some(sent.token),
            now,
            skew: config.skew,
        };
        let proof = dpop::check(text, &expected).map_err(Refusal::Proof)?;
        if proof.key() != key {
            return Err(Refusal::Binding(NotHeld::OtherKey));
        }
        match self.use_up(&proof) {
            Err(Refusal::NonceNeeded)
                if sent.purpose == Purpose::Explain && config.nonces == Nonces::WhereNeeded =>
            {
                Ok(())
            }
            Ok(()) => self.use_up_together(&proof).await,
            refused => refused,
        }
    }

    fn use_up(&self, proof: &Proof) -> Result<(), Refusal> {
        let (memory, now) = (&self.inner.proofs, self.inner.steady.now());
        let spent = match self.inner.config.nonces {
            Nonces::WhereNeeded => memory.spend(proof, now),
            Nonces::Always => memory.spend_tied(proof, now),
        };
        spent.map_err(|unspent| match unspent {
            Unspent::Replayed => Refusal::Proof(InvalidProof::Replayed),
            Unspent::NonceNeeded => Refusal::NonceNeeded,
        })
    }

    /// Whether tokens bound to a key can be checked at all.
    pub(crate) fn takes_proofs(&self) -> bool {
        self.inner.config.origin.is_some()
    }

    /// The nonce for the next DPoP proof, for answers that go around the layer.
    pub fn next_nonce(&self) -> String {
        self.inner.proofs.nonce(self.inner.steady.now())
    }
}

fn only_proof(parts: &Parts) -> Result<&str, Refusal> {
    let mut all = parts.headers.get_all(DPOP).iter();
    match (all.next(), all.next()) {
        (None, _) => Err(Refusal::Binding(NotHeld::ProofMissing)),
        (Some(_), Some(_)) => Err(Refusal::Proof(InvalidProof::Repeated)),
        (Some(one), None) => one
            .to_str()
            .map_err(|_| Refusal::Proof(Invalid::Form.into())),
    }
}

/// The path as the caller wrote it: a router that is nested in another sees
/// the rest of it alone.
fn path(parts: &Parts) -> &str {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(whole)) = parts.extensions.get() {
        return whole.path();
    }
    parts.uri.path()
}

/// The origin of a web address; `None` for anything else.
pub(crate) fn origin(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.username().is_empty();
    is_web.then(|| url.origin().ascii_serialization())
}
