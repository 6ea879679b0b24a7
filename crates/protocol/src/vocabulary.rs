//! The closed sets of words: grants, methods, algorithms, kinds.
//!
//! Spec: RFC 7591 §2
//! Spec: OpenID Connect Core 1.0 §3.1.2.1
//! Spec: RFC 7518 §3.1
//! Spec: RFC 9864 §2.2

use serde::{Deserialize, Serialize};

/// Text that is not one of a closed set of words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {expected}")]
pub struct UnknownWord {
    expected: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$inner])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { expected: concat!($("`", $text, "` "),*) }),
                }
            }
        }
    };
}

words! {
    /// What kind of program a client is.
    ClientKind {
        /// A server-side web application: keeps a secret.
        Web = "web",
        /// An application that runs in a browser: keeps none.
        Browser = "browser",
        /// An application on a person's own machine: keeps none that proves anything.
        Native = "native",
        /// A service that acts for itself.
        Service = "service",
        /// A device without a browser.
        Device = "device",
        /// An AI agent.
        Agent = "agent",
    }
}

words! {
    /// How a client proves that it is itself.
    ClientAuthentication {
        /// It does not: a public client.
        None = "none",
        /// Secret in the `Authorization` header.
        ClientSecretBasic = "client_secret_basic",
        /// Secret in the form body.
        ClientSecretPost = "client_secret_post",
        /// A JWT with a MAC by the secret.
        ClientSecretJwt = "client_secret_jwt",
        /// A JWT signed by the client's own key.
        PrivateKeyJwt = "private_key_jwt",
        /// A certificate from an authority.
        TlsClientAuth = "tls_client_auth",
        /// A certificate that the client registered.
        SelfSignedTlsClientAuth = "self_signed_tls_client_auth",
    }
}

words! {
    /// The grants.
    GrantType {
        /// A code from the authorization endpoint.
        AuthorizationCode = "authorization_code",
        /// The client acts for itself.
        ClientCredentials = "client_credentials",
        /// Renewal.
        RefreshToken = "refresh_token",
        /// One token for another, narrower one (RFC 8693).
        TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange",
        /// A JWT of a trusted issuer (RFC 7523).
        JwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer",
        /// A SAML assertion of a trusted issuer (RFC 7522).
        Saml2Bearer = "urn:ietf:params:oauth:grant-type:saml2-bearer",
        /// A code that a device polls with while a person decides (RFC 8628).
        #[serde(alias = "device_code")]
        DeviceCode = "urn:ietf:params:oauth:grant-type:device_code",
    }
}

words! {
    /// Kinds of token that an exchange takes and gives, by the last word of
    /// their identifiers (RFC 8693 §3).
    TokenKind {
        /// An access token of this server, however it is written down.
        AccessToken = "access_token",
        /// A refresh token of this server.
        RefreshToken = "refresh_token",
        /// An ID token of this server.
        IdToken = "id_token",
        /// A JWT: an access token of this server, or of a trusted issuer.
        Jwt = "jwt",
        /// A SAML 2.0 assertion.
        Saml2 = "saml2",
        /// An API key of this server. Its identifier is one of ours.
        ApiKey = "api_key",
    }
}

words! {
    /// What an API key is for: real work, or trying out.
    Environment {
        /// Real work.
        Live = "live",
        /// Trying out. It never passes where real work is done.
        Test = "test",
    }
}

words! {
    /// Which API keys a resource takes.
    TakenKeys {
        /// None at all.
        Nothing = "none",
        /// Those for real work.
        Live = "live",
        /// Those for trying out.
        Test = "test",
        /// Both.
        Any = "any",
    }
}

impl TakenKeys {
    /// Whether a key for an environment is among them.
    pub const fn takes(self, environment: Environment) -> bool {
        matches!(
            (self, environment),
            (Self::Any, _) | (Self::Live, Environment::Live) | (Self::Test, Environment::Test)
        )
    }
}

words! {
    /// How an access token is written down.
    TokenFormat {
        /// Readable and checked locally.
        Jwt = "jwt",
        /// Noise, checked by introspection.
        Opaque = "opaque",
        /// Narrowed by whoever holds it, checked by introspection or with a
        /// key of the resource's own.
        Macaroon = "macaroon",
    }
}

words! {
    /// Who can check the macaroons of a resource.
    MacaroonKeys {
        /// The server, by introspection.
        Server = "server",
        /// The resource too, with a root key of its own.
        Shared = "shared",
    }
}

words! {
    /// Signature algorithms with which this server signs.
    SigningAlgorithm {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// ECDSA on P-384 with SHA-384.
        Es384 = "ES384",
        /// Ed25519, under the name that most libraries know.
        EdDsa = "EdDSA",
        /// Ed25519, under the name that says which curve (RFC 9864 §2.2).
        Ed25519 = "Ed25519",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
        /// RSASSA-PSS with SHA-256.
        Ps256 = "PS256",
        /// ML-DSA-65, which quantum computers are not known to break; an
        /// experiment (RFC 9964 §3).
        MlDsa65 = "ML-DSA-65",
    }
}

impl SigningAlgorithm {
    /// Whether it signs only where experiments are switched on.
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::MlDsa65)
    }

    /// Those that every installation signs with.
    pub fn stable() -> impl Iterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(|own| !own.is_experimental())
    }
}

words! {
    /// How the answer of the authorization endpoint travels.
    ResponseMode {
        /// In the query of a redirect.
        Query = "query",
        /// In a form that the browser posts.
        FormPost = "form_post",
    }
}

words! {
    /// What the person must be asked.
    Prompt {
        /// Nothing may be asked.
        None = "none",
        /// To sign in, even with a session.
        Login = "login",
        /// To agree, even if they did before.
        Consent = "consent",
        /// Which account.
        SelectAccount = "select_account",
    }
}

words! {
    /// Whether all clients see one subject, or each sector its own.
    SubjectType {
        /// One subject for all.
        Public = "public",
        /// One subject for each sector.
        Pairwise = "pairwise",
    }
}

words! {
    /// Whether refresh tokens rotate.
    RefreshRotation {
        /// Rotates unless the family is bound to a key.
        Auto = "auto",
        /// Rotates at every use.
        Always = "always",
        /// Keeps one token for the family's life.
        Never = "never",
    }
}

words! {
    /// What the audience of a client's assertion may be.
    AssertionAudience {
        /// The issuer alone (RFC 10070).
        Issuer = "issuer",
        /// The issuer or the token endpoint, as older clients send it.
        IssuerOrTokenEndpoint = "issuer_or_token_endpoint",
    }
}

words! {
    /// Whether a person is asked.
    ConsentPolicy {
        /// Asked, until they have agreed.
        Ask = "ask",
        /// Not asked: the client belongs to whoever runs the server.
        FirstParty = "first_party",
    }
}

words! {
    /// How the key of an encrypted token reaches its reader (RFC 7518 §4).
    KeyManagement {
        /// RSAES-OAEP with SHA-256 and MGF1.
        RsaOaep256 = "RSA-OAEP-256",
        /// Agreed upon with the reader's key, used as it is.
        EcdhEs = "ECDH-ES",
        /// Agreed upon, and wrapping a random key with AES-256.
        EcdhEsA256Kw = "ECDH-ES+A256KW",
    }
}

words! {
    /// How the content of an encrypted token is encrypted (RFC 7518 §5).
    ContentEncryption {
        /// AES-128 in Galois/Counter Mode.
        A128Gcm = "A128GCM",
        /// AES-256 in Galois/Counter Mode.
        A256Gcm = "A256GCM",
        /// AES-256 in CBC mode with HMAC-SHA-512.
        A256CbcHs512 = "A256CBC-HS512",
    }
}

impl ClientAuthentication {
    /// Whether an assertion can be signed so: with a secret under HS256 alone,
    /// with a key of the client's own under any other.
    pub fn signs_under(self, algorithm: &str) -> bool {
        match self {
            Self::ClientSecretJwt => algorithm == "HS256",
            Self::PrivateKeyJwt => algorithm != "HS256",
            _ => true,
        }
    }
}
