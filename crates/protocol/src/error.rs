//! The error codes that the specifications name, and nothing else.
//!
//! Spec: RFC 6749 §4.1.2.1, §5.2
//! Spec: RFC 6750 §3.1
//! Spec: RFC 7591 §3.2.2
//! Spec: RFC 8628 §3.5
//! Spec: RFC 8707 §2
//! Spec: RFC 9449 §5, §7.1, §8, §9
//! Spec: RFC 9470 §3
//! Spec: OpenID Connect Core 1.0 §3.1.2.6

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// An error code with the status it is answered with outside a redirect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }
        }
    };
}

codes! {
    /// The request lacks something, repeats something or is malformed.
    InvalidRequest = "invalid_request", 400;
    /// The client is unknown, or did not prove that it is itself.
    InvalidClient = "invalid_client", 401;
    /// The code, refresh token or assertion is not good.
    InvalidGrant = "invalid_grant", 400;
    /// The client may not use this grant or response type.
    UnauthorizedClient = "unauthorized_client", 400;
    /// The server has no such grant.
    UnsupportedGrantType = "unsupported_grant_type", 400;
    /// The server has no such response type.
    UnsupportedResponseType = "unsupported_response_type", 400;
    /// The server revokes no such token.
    UnsupportedTokenType = "unsupported_token_type", 400;
    /// The scope is unknown, malformed or more than the client may have.
    InvalidScope = "invalid_scope", 400;
    /// The resource is unknown, or not one that the client may ask for.
    InvalidTarget = "invalid_target", 400;
    /// The person or the server said no.
    AccessDenied = "access_denied", 403;
    /// Something broke here.
    ServerError = "server_error", 500;
    /// Too busy, or something needed is away.
    TemporarilyUnavailable = "temporarily_unavailable", 503;
    /// The person must sign in, and may not be asked.
    LoginRequired = "login_required", 400;
    /// The person must do something, and may not be asked.
    InteractionRequired = "interaction_required", 400;
    /// The person must agree, and may not be asked.
    ConsentRequired = "consent_required", 400;
    /// The person must choose an account, and may not be asked.
    AccountSelectionRequired = "account_selection_required", 400;
    /// Request objects by value are not taken.
    RequestNotSupported = "request_not_supported", 400;
    /// Request objects by reference are not taken.
    RequestUriNotSupported = "request_uri_not_supported", 400;
    /// Registration inside the request is not taken.
    RegistrationNotSupported = "registration_not_supported", 400;
    /// The required strength of sign-in cannot be reached.
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", 400;
    /// The access token is malformed, expired, revoked or meant for another.
    InvalidToken = "invalid_token", 401;
    /// The access token is good, but carries too little scope.
    InsufficientScope = "insufficient_scope", 403;
    /// The sign-in behind the access token is too weak or too old.
    InsufficientUserAuthentication = "insufficient_user_authentication", 401;
    /// The proof that a key is held is missing or not good.
    InvalidDpopProof = "invalid_dpop_proof", 400;
    /// The proof has to carry a nonce of this server.
    UseDpopNonce = "use_dpop_nonce", 400;
    /// Nobody has decided yet.
    AuthorizationPending = "authorization_pending", 400;
    /// Nobody has decided yet, and the device asks too often.
    SlowDown = "slow_down", 400;
    /// The device code has expired.
    ExpiredToken = "expired_token", 400;
    /// A redirect URI cannot be registered.
    InvalidRedirectUri = "invalid_redirect_uri", 400;
    /// Metadata of a client cannot be registered.
    InvalidClientMetadata = "invalid_client_metadata", 400;
    /// The software statement of a client is by nobody who is trusted.
    UnapprovedSoftwareStatement = "unapproved_software_statement", 400;
}

/// Whether a description holds only what RFC 6749 §5.2 lets it hold.
pub const fn is_description(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e) {
            return false;
        }
        at += 1;
    }
    true
}
