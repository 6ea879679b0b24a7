//! The documents that everybody reads first, made once.
//!
//! Spec: RFC 8414 §2
//! Spec: RFC 8628 §4
//! Spec: OpenID Connect Discovery 1.0 §3
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.1

use axum::body::Bytes;
use serde_json::{Value, json};
use symbolon_protocol::client::ASSERTION_ALGORITHMS;
use symbolon_protocol::{
    ClientAuthentication, ContentEncryption, GrantType, KeyManagement, Prompt, ResponseMode,
    SigningAlgorithm,
};
use symbolon_token::dpop;

use crate::authn::session::ACR_PASSWORD;
use crate::keys::LoadedKeys;
use crate::settings::Settings;

/// The documents as they are sent.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) metadata: Bytes,
    pub(crate) keys: Bytes,
    pub(crate) experimental_keys: Option<Bytes>,
    pub(crate) feed_keys: Bytes,
}

impl Published {
    pub(crate) fn new(settings: &Settings, keys: &LoadedKeys) -> Self {
        Self {
            metadata: Bytes::from(document(settings).to_string()),
            keys: Bytes::from(String::from(&*keys.document)),
            feed_keys: Bytes::from(String::from(&*keys.feed.document)),
            experimental_keys: keys
                .experimental
                .as_ref()
                .map(|document| Bytes::from(String::from(&**document))),
        }
    }
}

fn words<T: Copy, S: Into<Value>>(all: &[T], word: impl Fn(T) -> S) -> Value {
    all.iter().map(|one| word(*one).into()).collect()
}

fn document(settings: &Settings) -> Value {
    let issuer = &settings.issuer;
    let signing: Value = SigningAlgorithm::stable().map(|own| own.as_str()).collect();
    let methods = json!([
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "private_key_jwt"
    ]);
    let public = json!([
        "none",
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "private_key_jwt"
    ]);
    let assertions = json!(ASSERTION_ALGORITHMS);
    let mut document = json!({
        "issuer": issuer.as_str(),
        "authorization_endpoint": issuer.endpoint("/authorize"),
        "token_endpoint": issuer.endpoint("/token"),
        "device_authorization_endpoint": issuer.endpoint("/device_authorization"),
        "introspection_endpoint": issuer.endpoint("/introspect"),
        "revocation_endpoint": issuer.endpoint("/revoke"),
        "revocations_endpoint": issuer.endpoint("/revocations"),
        "revocations_jwks_uri": issuer.endpoint("/.well-known/jwks-revocations.json"),
        "macaroon_keys_endpoint": issuer.endpoint("/macaroon-keys"),
        "macaroon_discharge_endpoint": issuer.endpoint("/discharge"),
        "macaroon_caveat_endpoint": issuer.endpoint("/discharge/caveats"),
        "userinfo_endpoint": issuer.endpoint("/userinfo"),
        "end_session_endpoint": issuer.endpoint("/logout"),
        "jwks_uri": issuer.endpoint("/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": words(ResponseMode::ALL, ResponseMode::as_str),
        "grant_types_supported": words(&grants(), GrantType::as_str),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "token_endpoint_auth_methods_supported": public,
        "token_endpoint_auth_signing_alg_values_supported": assertions,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": assertions,
        "introspection_signing_alg_values_supported": signing,
        "revocation_endpoint_auth_methods_supported": public,
        "revocation_endpoint_auth_signing_alg_values_supported": assertions,
        "id_token_signing_alg_values_supported": signing,
        "userinfo_signing_alg_values_supported": signing,
        "subject_types_supported": ["public", "pairwise"],
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
        "claims_supported": claims(),
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": true,
        "acr_values_supported": [ACR_PASSWORD],
        "prompt_values_supported": words(Prompt::ALL, Prompt::as_str),
        "display_values_supported": ["page"],
        "ui_locales_supported": ["en"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
    });
    add_ending(settings, &mut document);
    add_registration(settings, &mut document);
    add_key_binding(settings, &mut document);
    add_encryption(&mut document);
    document
}

/// What is offered to clients that end sessions, or hear that one has ended.
fn add_ending(settings: &Settings, document: &mut Value) {
    let revocation = settings.issuer.endpoint("/global-token-revocation");
    document["global_token_revocation_endpoint"] = revocation.into();
    let methods = "global_token_revocation_endpoint_auth_methods_supported";
    document[methods] = json!([ClientAuthentication::PrivateKeyJwt.as_str()]);
    document["backchannel_logout_supported"] = true.into();
    document["backchannel_logout_session_supported"] = true.into();
}

/// What is offered to clients that nobody configured.
///
/// Spec: RFC 7591 §3
/// Spec: draft-ietf-oauth-client-id-metadata-document-02 §5
fn add_registration(settings: &Settings, document: &mut Value) {
    if settings.registration.enabled {
        document["registration_endpoint"] = settings.issuer.endpoint("/register").into();
    }
    let takes_documents = settings.registration.documents;
    document["client_id_metadata_document_supported"] = takes_documents.into();
}

/// What is offered to clients that hold keys.
///
/// Spec: RFC 9449 §5.1
/// Spec: RFC 8705 §3.3, §5
fn add_key_binding(settings: &Settings, document: &mut Value) {
    document["dpop_signing_alg_values_supported"] =
        words(&dpop::ALGORITHMS, |algorithm| algorithm.as_str());
    if !settings.takes_certificates {
        return;
    }
    document["tls_client_certificate_bound_access_tokens"] = true.into();
    for endpoint in ["token", "introspection", "revocation"] {
        let methods = &mut document[format!("{endpoint}_endpoint_auth_methods_supported")];
        if let Some(methods) = methods.as_array_mut() {
            methods.extend(CERTIFICATE_METHODS.map(|method| method.as_str().into()));
        }
    }
    if let Some(own) = &settings.mutual_tls {
        let base = settings.issuer.path();
        let at = |path: &str| format!("{}{base}{path}", own.origin);
        document["mtls_endpoint_aliases"] = json!({
            "token_endpoint": at("/token"),
            "device_authorization_endpoint": at("/device_authorization"),
            "introspection_endpoint": at("/introspect"),
            "revocation_endpoint": at("/revoke"),
            "revocations_endpoint": at("/revocations"),
            "userinfo_endpoint": at("/userinfo"),
            "macaroon_keys_endpoint": at("/macaroon-keys"),
            "macaroon_caveat_endpoint": at("/discharge/caveats"),
        });
    }
}

/// What is offered to readers that register a key.
///
/// Spec: OpenID Connect Discovery 1.0 §3
/// Spec: RFC 9701 §7
fn add_encryption(document: &mut Value) {
    for answer in ["id_token", "userinfo", "introspection"] {
        document[format!("{answer}_encryption_alg_values_supported")] =
            words(KeyManagement::ALL, KeyManagement::as_str);
        document[format!("{answer}_encryption_enc_values_supported")] =
            words(ContentEncryption::ALL, ContentEncryption::as_str);
    }
}

const CERTIFICATE_METHODS: [ClientAuthentication; 2] = [
    ClientAuthentication::TlsClientAuth,
    ClientAuthentication::SelfSignedTlsClientAuth,
];

/// Those that this program was built with.
fn grants() -> Vec<GrantType> {
    let built = |grant: &GrantType| cfg!(feature = "saml") || *grant != GrantType::Saml2Bearer;
    GrantType::ALL.iter().copied().filter(built).collect()
}

fn claims() -> Value {
    let own = [
        "sub",
        "iss",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "sid",
        "at_hash",
    ];
    let of_scopes = ["profile", "email", "address", "phone"];
    let of_scopes = of_scopes
        .into_iter()
        .flat_map(symbolon_protocol::claims::claims_of_scope);
    own.into_iter()
        .chain(of_scopes.copied())
        .map(Value::from)
        .collect()
}
