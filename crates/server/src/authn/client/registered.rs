//! Whether the keys that a client registered can prove it.
//!
//! Spec: RFC 7523 §3
//! Spec: RFC 8705 §2.2

use symbolon_protocol::{Client, ClientAuthentication};
use symbolon_token::jose::{Algorithm, KeySet};

/// What is missing among the keys that stand in a client's own document;
/// nothing where one of them can prove it, or they are elsewhere.
pub(crate) fn lacking(client: &Client) -> Option<&'static str> {
    let document = client.jwks.as_ref()?;
    let keys = document
        .as_object()
        .and_then(|document| KeySet::from_json(document).ok())
        .unwrap_or_default();
    match client.authentication() {
        ClientAuthentication::PrivateKeyJwt if !has_signer(client, &keys) => {
            Some("holds no public key that an assertion of this client can be verified with")
        }
        ClientAuthentication::SelfSignedTlsClientAuth if keys.certificates().is_empty() => {
            Some("holds no certificate (`x5c`)")
        }
        _ => None,
    }
}

fn has_signer(client: &Client, keys: &KeySet) -> bool {
    let registered = client.token_endpoint_auth_signing_alg.as_deref();
    keys.keys().any(|key| match registered {
        Some(name) => Algorithm::named(name).is_some_and(|own| key.checks(own)),
        None => key.algorithm() != Algorithm::MlDsa65,
    })
}
