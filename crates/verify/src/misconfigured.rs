//! What is wrong with how a verifier was set up.

use symbolon_protocol::uri::InvalidUri;
use symbolon_token::jose::InvalidKey;

/// Why no verifier was made. `code` is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misconfigured {
    /// The issuer is not an issuer's identifier.
    #[error("issuer: {0}")]
    Issuer(InvalidUri),
    /// The audience is not a resource identifier.
    #[error("audience: {0}")]
    Audience(InvalidUri),
    /// There are too many issuers, or one comes twice.
    #[error("issuers: {0}")]
    Issuers(&'static str),
    /// No algorithm is allowed, so no token could ever be good.
    #[error("algorithms: at least one has to be allowed")]
    NoAlgorithm,
    /// An algorithm is not one that can be checked.
    #[error("algorithms: `{0}` is not one of ES256, ES384, EdDSA, RS256, PS256")]
    Algorithm(String),
    /// The identifier or the secret for introspection cannot be one.
    #[error("introspection credentials: {0}")]
    Credentials(&'static str),
    /// A private key cannot be read, or is of a kind that opens nothing here.
    #[error(
        "decryption key: {0}; it is a private JWK of type RSA, or of type EC (P-256, P-384) or OKP (X25519) with `alg`"
    )]
    DecryptionKey(InvalidKey),
    /// There are more private keys than are tried on a token.
    #[error("decryption key: at most four")]
    DecryptionKeys,
    /// The origin under which the API is reached is not a web origin.
    #[error("origin: `https://`, a host, and a port where it is not the usual one")]
    Origin,
    /// The name of a header is none, or is taken for something else.
    #[error("API key header: a name of its own, as in `X-API-Key`")]
    Header,
    /// A span is outside its limits.
    #[error("{0}")]
    Span(&'static str),
    /// Variables of the environment are missing, or cannot be read.
    #[error("environment: missing or unreadable: {}", .0.join(", "))]
    Environment(Vec<String>),
    /// Authorities that were to be trusted are none.
    #[error("authorities: {0}; a file of certificates in PEM form is needed")]
    Authorities(String),
    /// Two verifiers cannot fetch together.
    #[error("sharing: {0}")]
    Sharing(&'static str),
    /// Outbound connections cannot be made on this machine.
    #[error("outbound connections: {0}")]
    Outbound(String),
}

impl Misconfigured {
    /// A stable word for logs and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Issuer(_) => "invalid_issuer",
            Self::Audience(_) => "invalid_audience",
            Self::Issuers(_) => "invalid_issuers",
            Self::NoAlgorithm => "no_algorithm",
            Self::Algorithm(_) => "unknown_algorithm",
            Self::Credentials(_) => "invalid_credentials",
            Self::DecryptionKey(_) => "invalid_decryption_key",
            Self::DecryptionKeys => "too_many_decryption_keys",
            Self::Origin => "invalid_origin",
            Self::Header => "invalid_header",
            Self::Span(_) => "span_out_of_range",
            Self::Environment(_) => "environment_incomplete",
            Self::Authorities(_) => "invalid_authorities",
            Self::Sharing(_) => "cannot_share",
            Self::Outbound(_) => "no_outbound",
        }
    }
}
