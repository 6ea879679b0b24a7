//! The two lanes: refused is the caller's fault, broken is ours.

use http::HeaderValue;
use symbolon_protocol::ErrorCode;
use symbolon_store::Fault;

/// Why a request got nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The caller's fault: a code and a reason, shown, logged at `info`.
    Refused(Refusal),
    /// Ours: hidden behind the request id, logged once at `error`.
    Broken(Broken),
}

/// A refusal. What stands in it is shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The code on the wire.
    pub(crate) code: ErrorCode,
    /// Why, in words that a specification lets an answer hold.
    pub(crate) reason: &'static str,
    /// The status, where it is not the code's own.
    pub(crate) status: Option<u16>,
    /// What the answer demands of the caller's next request.
    pub(crate) challenge: Option<HeaderValue>,
    /// Seconds after which trying again makes sense.
    pub(crate) retry_after: Option<u32>,
    /// The nonce that the caller's next proof has to carry.
    pub(crate) nonce: Option<HeaderValue>,
}

/// A fault of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The store could not do it.
    #[error("store: {0}")]
    Store(#[from] Fault),
    /// The document that describes a client cannot be had now.
    #[error("the document of a client could not be had")]
    Document,
    /// This node does not know what was taken back lately.
    #[error("the revocation feed is stale")]
    Stale,
    /// Something that cannot be.
    #[error("{0}")]
    Impossible(&'static str),
}

macro_rules! refusals {
    ($($name:ident = $code:ident;)*) => {
        impl Refusal {
            $(
                #[doc = concat!("Refuses with [`ErrorCode::", stringify!($code), "`].")]
                pub(crate) fn $name(reason: &'static str) -> Self {
                    Self::new(ErrorCode::$code, reason)
                }
            )*
        }
    };
}

refusals! {
    invalid_request = InvalidRequest;
    invalid_client = InvalidClient;
    invalid_grant = InvalidGrant;
    unauthorized_client = UnauthorizedClient;
    unsupported_grant_type = UnsupportedGrantType;
    invalid_scope = InvalidScope;
    invalid_target = InvalidTarget;
    access_denied = AccessDenied;
    invalid_dpop_proof = InvalidDpopProof;
    use_dpop_nonce = UseDpopNonce;
}

impl Refusal {
    /// A refusal with a code's own status.
    pub(crate) fn new(code: ErrorCode, reason: &'static str) -> Self {
        debug_assert!(symbolon_protocol::error::is_description(reason));
        Self {
            code,
            reason,
            status: None,
            challenge: None,
            retry_after: None,
            nonce: None,
        }
    }

    /// The same under another status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same with a challenge.
    pub(crate) fn with_challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// The same with a nonce.
    pub(crate) fn with_nonce(mut self, nonce: HeaderValue) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// The same with a time to wait.
    pub(crate) fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Broken(Broken::Store(fault))
    }
}

impl Broken {
    /// Whether trying again later makes sense.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            Self::Store(fault) => fault.is_unavailable(),
            Self::Stale | Self::Document => true,
            Self::Impossible(_) => false,
        }
    }
}
