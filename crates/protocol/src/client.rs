//! A client: who it is, how it proves that, and what it may ask for.
//!
//! The names are those of the configuration file; every metadata name of the
//! specifications is accepted beside them.
//!
//! Spec: RFC 7591 §2
//! Spec: OpenID Connect Dynamic Client Registration 1.0 §2

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::display::{self, MAX_NAME_BYTES};
use crate::encryption::ResponseEncryption;
use crate::identifier::{ClientId, OrganizationId};
use crate::key_binding::KeyBinding;
use crate::lifetime::Lifetime;
use crate::logout::BackchannelLogout;
use crate::mapping::ClaimMappings;
use crate::problem::NOT_BUILT_YET;
use crate::registration;
use crate::scope::Scopes;
use crate::uri::{NOT_PLAIN, RedirectUri, ResourceIdentifier};
use crate::vocabulary::{
    AssertionAudience, ClientAuthentication, ClientKind, ConsentPolicy, GrantType, RefreshRotation,
    SigningAlgorithm, SubjectType,
};

pub use crate::problem::Problem;

/// How many redirect URIs a client may have.
pub const MAX_REDIRECT_URIS: usize = 50;

/// Everything about a client except its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// The client identifier.
    #[serde(alias = "client_id")]
    pub id: ClientId,
    /// The name that people are shown.
    #[serde(default, alias = "client_name")]
    pub name: String,
    /// What kind of program it is.
    #[serde(default = "web")]
    pub kind: ClientKind,
    /// How it proves that it is itself; by default by a secret in the header
    /// for kinds that can keep one, and not at all for the others.
    #[serde(
        default,
        alias = "token_endpoint_auth_method",
        skip_serializing_if = "Option::is_none"
    )]
    pub authentication: Option<ClientAuthentication>,
    /// Where codes may be sent.
    #[serde(default)]
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a browser may be sent after logout.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Origins for CORS; by default those of the redirect URIs.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The grants it may use.
    #[serde(default = "code_alone", alias = "grant_types")]
    pub grants: Vec<GrantType>,
    /// The scopes it may ask for.
    #[serde(default)]
    pub scopes: Scopes,
    /// The resources it may ask for.
    #[serde(default)]
    pub resources: Vec<ResourceIdentifier>,
    /// The resource of a request that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_resource: Option<ResourceIdentifier>,
    /// Scopes that a person may untick.
    #[serde(default)]
    pub optional_scopes: Scopes,
    /// Whether a challenge is demanded; `false` is for confidential clients only.
    #[serde(default = "yes")]
    pub require_pkce: bool,
    /// What the audience of its assertions may be.
    #[serde(default = "issuer_alone")]
    pub assertion_audience: AssertionAudience,
    /// Whether its refresh tokens rotate.
    #[serde(default = "rotation_auto")]
    pub refresh_rotation: RefreshRotation,
    /// The organization it belongs to.
    #[serde(
        default,
        deserialize_with = "empty_as_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub organization: Option<OrganizationId>,
    /// A named profile of rules; only `""` exists so far.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// Whether people are asked.
    #[serde(default = "ask")]
    pub consent: ConsentPolicy,
    /// The client's own public keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where the client publishes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// How its ID tokens are signed.
    #[serde(default = "rs256")]
    pub id_token_signed_response_alg: SigningAlgorithm,
    /// How userinfo answers are signed, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<SigningAlgorithm>,
    /// How introspection answers are signed, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_signed_response_alg: Option<SigningAlgorithm>,
    /// How its assertions must be signed; any that its keys allow by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// Which subjects it sees.
    #[serde(default = "public")]
    pub subject_type: SubjectType,
    /// Whose host is the sector of pairwise subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    /// Seconds after which a sign-in is too old for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    /// Whether ID tokens always say when the person signed in.
    #[serde(default)]
    pub require_auth_time: bool,
    /// Strengths of sign-in it prefers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    /// How long its access tokens live, where shorter than the resource says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<Lifetime>,
    /// How long an unused refresh family lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_idle: Option<Lifetime>,
    /// How long a refresh family lives at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_absolute: Option<Lifetime>,
    /// How long the predecessor of a refresh token is answered with the same successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_grace: Option<Lifetime>,
    /// What it says of keys.
    #[serde(flatten)]
    pub binding: KeyBinding,
    /// Where it wants to hear of ended sessions.
    #[serde(flatten)]
    pub logout: BackchannelLogout,
    /// What is encrypted to it.
    #[serde(flatten)]
    pub encryption: ResponseEncryption,
    /// Claims that its ID tokens and userinfo answers tell besides those of
    /// the scopes.
    #[serde(default, skip_serializing_if = "ClaimMappings::is_empty")]
    pub claims: ClaimMappings,
    /// What it may exchange besides its own tokens for narrower ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<crate::exchange::ExchangePolicy>,
    /// What is kept and changes nothing else.
    #[serde(flatten)]
    pub described: Described,
}

/// Metadata that is kept, answered to administrators, and changes nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// `web` or `native`, as registration says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_type: Option<String>,
    /// The client's home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// The client's logo; it is never loaded from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// The client's policy page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// The client's terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Where another site sends a browser so that sign-in begins here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,
    /// People responsible for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// The software it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// The version of the software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// The response types, as registration says them; only `code` exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_types: Vec<String>,
    /// Texts in other languages, as in `client_name#fr`. Every other name is
    /// refused by [`Client::problems`], which knows whether it belongs to a
    /// part that is not built.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

/// Metadata names that ask for parts which are not built yet.
pub(crate) const NOT_BUILT: &[(&str, &str)] = &[
    ("require_pushed_authorization_requests", "par"),
    ("frontchannel_logout_uri", "frontchannel-logout"),
    (
        "frontchannel_logout_session_required",
        "frontchannel-logout",
    ),
    ("authorization_signed_response_alg", "jarm"),
    ("authorization_encrypted_response_alg", "jarm"),
    ("authorization_encrypted_response_enc", "jarm"),
    ("request_object_signing_alg", "request-objects"),
    ("request_object_encryption_alg", "request-objects"),
    ("request_object_encryption_enc", "request-objects"),
    ("require_signed_request_object", "request-objects"),
    ("request_uris", "request-objects"),
    ("authorization_details_types", "authorization-details"),
    ("backchannel_token_delivery_mode", "ciba"),
    ("backchannel_client_notification_endpoint", "ciba"),
    ("backchannel_authentication_request_signing_alg", "ciba"),
    ("backchannel_user_code_parameter", "ciba"),
    ("software_statement", "registration"),
];

/// The algorithms that an assertion may be signed with.
pub const ASSERTION_ALGORITHMS: [&str; 7] = [
    "HS256", "ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256",
];

impl Client {
    /// A client of a kind, with the defaults of the configuration file.
    pub fn new(id: ClientId, kind: ClientKind) -> Self {
        Self {
            name: id.to_string(),
            id,
            kind,
            authentication: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            origins: Vec::new(),
            grants: code_alone(),
            scopes: Scopes::empty(),
            resources: Vec::new(),
            default_resource: None,
            optional_scopes: Scopes::empty(),
            require_pkce: true,
            assertion_audience: AssertionAudience::Issuer,
            refresh_rotation: RefreshRotation::Auto,
            organization: None,
            profile: String::new(),
            consent: ConsentPolicy::Ask,
            jwks: None,
            jwks_uri: None,
            id_token_signed_response_alg: SigningAlgorithm::Rs256,
            userinfo_signed_response_alg: None,
            introspection_signed_response_alg: None,
            token_endpoint_auth_signing_alg: None,
            subject_type: SubjectType::Public,
            sector_identifier_uri: None,
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: Vec::new(),
            access_token_lifetime: None,
            refresh_token_idle: None,
            refresh_token_absolute: None,
            refresh_grace: None,
            binding: KeyBinding::default(),
            logout: BackchannelLogout::default(),
            encryption: ResponseEncryption::default(),
            claims: ClaimMappings::default(),
            exchange: None,
            described: Described::default(),
        }
    }

    /// How the client proves that it is itself.
    pub fn authentication(&self) -> ClientAuthentication {
        self.authentication.unwrap_or(match self.kind {
            ClientKind::Web | ClientKind::Service | ClientKind::Agent => {
                ClientAuthentication::ClientSecretBasic
            }
            ClientKind::Browser | ClientKind::Native | ClientKind::Device => {
                ClientAuthentication::None
            }
        })
    }

    /// Whether the client proves that it is itself at all.
    pub fn is_confidential(&self) -> bool {
        self.authentication() != ClientAuthentication::None
    }

    /// Whether it may use a grant.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether a person can let it act for them.
    pub fn acts_for_people(&self) -> bool {
        self.may_use(GrantType::AuthorizationCode) || self.may_use(GrantType::DeviceCode)
    }

    /// Whether a challenge is demanded of it: of public clients and agents
    /// always (OAuth 2.1 §4.1.1), of the others unless they opted out.
    pub fn requires_pkce(&self) -> bool {
        self.require_pkce || !self.is_confidential() || self.kind == ClientKind::Agent
    }

    /// The origins from which a browser may call the token endpoint for it.
    pub fn allows_origin(&self, origin: &str) -> bool {
        if self.origins.is_empty() {
            self.redirect_uris.iter().any(|uri| uri.origin() == origin)
        } else {
            self.origins.iter().any(|own| own == origin)
        }
    }

    /// What does not fit together, in the order of the fields.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_shape(&mut problems);
        self.check_profile(&mut problems);
        self.check_authentication(&mut problems);
        self.check_algorithms(&mut problems);
        problems.extend(self.binding.problems(self.authentication()));
        problems.extend(self.logout.problems());
        problems.extend(self.encryption.problems(self.registered_keys()));
        problems.extend(self.claims.problems());
        self.check_exchange(&mut problems);
        self.check_not_built(&mut problems);
        problems.extend(registration::page_problems(&self.described));
        problems
    }

    fn check_shape(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: String| {
            problems.push(Problem {
                field: field.to_owned(),
                message,
            })
        };
        if self.name.len() > MAX_NAME_BYTES || display::problem(&self.name).is_some() {
            add(
                "name",
                format!(
                    "has at most {MAX_NAME_BYTES} bytes and no control or direction characters"
                ),
            );
        }
        if self.redirect_uris.len() > MAX_REDIRECT_URIS {
            add(
                "redirect_uris",
                format!("has at most {MAX_REDIRECT_URIS} entries"),
            );
        }
        for (field, uris) in [
            ("redirect_uris", &self.redirect_uris),
            ("post_logout_redirect_uris", &self.post_logout_redirect_uris),
        ] {
            if let Some(uri) = uris.iter().find(|uri| !uri.is_plain()) {
                add(field, format!("`{uri}` {NOT_PLAIN}"));
            }
        }
        if self.may_use(GrantType::AuthorizationCode) && self.redirect_uris.is_empty() {
            add(
                "redirect_uris",
                "the grant `authorization_code` needs at least one".to_owned(),
            );
        }
        if self.may_use(GrantType::RefreshToken) && !self.acts_for_people() {
            add("grants", "`refresh_token` comes only with `authorization_code` or a device code: a client that acts for itself asks again".to_owned());
        }
        if let Some(resource) = &self.default_resource
            && !self.resources.contains(resource)
        {
            add(
                "default_resource",
                format!("`{resource}` is not among `resources`"),
            );
        }
        let extra = self.optional_scopes.without(&self.scopes);
        if !extra.is_empty() {
            add(
                "optional_scopes",
                format!("`{extra}` is not among `scopes`"),
            );
        }
    }

    fn check_profile(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: String| {
            problems.push(Problem {
                field: field.to_owned(),
                message,
            });
        };
        if !self.profile.is_empty() {
            add(
                "profile",
                format!("asks for `{}`, which is {NOT_BUILT_YET}", self.profile),
            );
        }
        let application_type = self.described.application_type.as_deref();
        if application_type.is_some_and(|own| !matches!(own, "web" | "native")) {
            add("application_type", "is `web` or `native`".to_owned());
        }
        let starts = self.described.initiate_login_uri.as_deref();
        if starts.is_some_and(|uri| !is_safe_to_visit(uri)) {
            add(
                "initiate_login_uri",
                "is an https URL, or http on this machine alone".to_owned(),
            );
        }
        if self
            .described
            .response_types
            .iter()
            .any(|kind| kind != "code")
        {
            add(
                "response_types",
                "only `code` exists (OAuth 2.1 §10.1)".to_owned(),
            );
        }
        if self
            .refresh_grace
            .is_some_and(|grace| grace.as_seconds() > 120)
        {
            add("refresh_grace", "is at most `120s`".to_owned());
        }
        if self.subject_type == SubjectType::Pairwise && self.sector().is_none() {
            add("sector_identifier_uri", "pairwise subjects with redirect URIs on several hosts need it (OpenID Connect Core §8.1)".to_owned());
        }
    }

    /// An experiment signs access tokens alone, from a key set of its own.
    fn check_algorithms(&self, problems: &mut Vec<Problem>) {
        let named = [
            ("id_token", Some(self.id_token_signed_response_alg)),
            ("userinfo", self.userinfo_signed_response_alg),
            ("introspection", self.introspection_signed_response_alg),
        ];
        for (answer, algorithm) in named {
            if algorithm.is_some_and(SigningAlgorithm::is_experimental) {
                problems.push(Problem {
                    field: format!("{answer}_signed_response_alg"),
                    message: "no answer to a client is signed under an experiment".to_owned(),
                });
            }
        }
        let Some(algorithm) = self.token_endpoint_auth_signing_alg.as_deref() else {
            return;
        };
        let why = if !ASSERTION_ALGORITHMS.contains(&algorithm) {
            format!("is one of {}", ASSERTION_ALGORITHMS.join(", "))
        } else if !self.authentication().signs_under(algorithm) {
            "is HS256 for `client_secret_jwt`, and any other for `private_key_jwt`".to_owned()
        } else {
            return;
        };
        problems.push(Problem::new("token_endpoint_auth_signing_alg", why));
    }

    fn check_authentication(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: String| {
            problems.push(Problem {
                field: field.to_owned(),
                message,
            })
        };
        let public_kind = matches!(
            self.kind,
            ClientKind::Browser | ClientKind::Native | ClientKind::Device
        );
        match self.authentication() {
            ClientAuthentication::None if self.may_use(GrantType::ClientCredentials) => {
                add(
                    "authentication",
                    "`client_credentials` needs a client that proves itself".to_owned(),
                );
            }
            ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretPost
                if public_kind =>
            {
                add(
                    "authentication",
                    format!(
                        "a {} application cannot keep a secret: use `none`",
                        self.kind
                    ),
                );
            }
            ClientAuthentication::PrivateKeyJwt
                if self.jwks.is_none() && self.jwks_uri.is_none() =>
            {
                add(
                    "jwks",
                    "`private_key_jwt` needs either `jwks` or `jwks_uri`".to_owned(),
                );
            }
            ClientAuthentication::SelfSignedTlsClientAuth
                if self.jwks.is_none() && self.jwks_uri.is_none() =>
            {
                add(
                    "jwks",
                    "`self_signed_tls_client_auth` needs either `jwks` or `jwks_uri`, with `x5c` in its keys".to_owned(),
                );
            }
            _ => {}
        }
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            add(
                "jwks",
                "it stands beside `jwks_uri`: keys are in one of them (RFC 7591 §2)".to_owned(),
            );
        }
        if !self.require_pkce && !self.is_confidential() {
            add(
                "require_pkce",
                "`false` is for confidential clients only (OAuth 2.1 §4.1.1)".to_owned(),
            );
        }
    }

    fn check_not_built(&self, problems: &mut Vec<Problem>) {
        let other = self.described.other.iter();
        problems.extend(other.filter_map(|(name, value)| registration::problem_of(name, value)));
    }

    /// The sector in which it knows people by names of its own, where it does.
    pub fn names_in(&self) -> Option<String> {
        match self.subject_type {
            SubjectType::Pairwise => self.sector(),
            SubjectType::Public => None,
        }
    }

    /// The sector of pairwise subjects: a host. `None` where the redirect URIs
    /// have several and no sector identifier decides.
    pub fn sector(&self) -> Option<String> {
        if let Some(uri) = &self.sector_identifier_uri {
            return url::Url::parse(uri).ok()?.host_str().map(str::to_owned);
        }
        let mut hosts = self.redirect_uris.iter().map(RedirectUri::host);
        let first = hosts.next()?;
        hosts.all(|host| host == first).then_some(first)
    }
}

/// Whether a browser may be sent there without a word of it being read on the way.
fn is_safe_to_visit(uri: &str) -> bool {
    url::Url::parse(uri).is_ok_and(|url| match url.scheme() {
        "https" => true,
        "http" => crate::uri::is_loopback(&url),
        _ => false,
    })
}

const fn yes() -> bool {
    true
}
const fn web() -> ClientKind {
    ClientKind::Web
}
fn code_alone() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode]
}
const fn issuer_alone() -> AssertionAudience {
    AssertionAudience::Issuer
}
const fn rotation_auto() -> RefreshRotation {
    RefreshRotation::Auto
}
const fn ask() -> ConsentPolicy {
    ConsentPolicy::Ask
}
const fn rs256() -> SigningAlgorithm {
    SigningAlgorithm::Rs256
}
const fn public() -> SubjectType {
    SubjectType::Public
}

/// `organization = ""` says that there is none.
pub(crate) fn empty_as_none<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OrganizationId>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}
