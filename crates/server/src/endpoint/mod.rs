//! One file per endpoint.

pub(crate) mod assets;
pub(crate) mod authorize;
pub(crate) mod bearer;
pub(crate) mod consent;
pub(crate) mod device;
pub(crate) mod device_authorization;
pub(crate) mod discharge;
pub(crate) mod global_token_revocation;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod macaroon;
pub(crate) mod macaroon_keys;
pub(crate) mod metadata;
pub(crate) mod preflight;
pub(crate) mod presented;
pub(crate) mod revoke;
#[cfg(feature = "saml")]
pub(crate) mod saml_certificates;
pub(crate) mod signals;
pub(crate) mod ssf;
pub(crate) mod status_list;
pub(crate) mod token;
pub(crate) mod userinfo;
