//! The grants, one file each, and the three steps that all of them share:
//! choosing the target, asking whether anything may be issued, minting.

mod acting;
pub(crate) mod authorization_code;
pub(crate) mod client_credentials;
pub(crate) mod code;
pub(crate) mod device_code;
pub(crate) mod device_request;
pub(crate) mod family;
pub(crate) mod id_token;
pub(crate) mod issue;
pub(crate) mod jwt_bearer;
pub(crate) mod macaroon;
pub(crate) mod mapped_claims;
#[cfg(feature = "saml")]
pub(crate) mod partner_assertion;
pub(crate) mod partner_certificates;
pub(crate) mod redemption;
pub(crate) mod refresh_token;
#[cfg(feature = "saml")]
pub(crate) mod saml2;
#[cfg(feature = "saml")]
pub(crate) mod saml2_bearer;
mod single_use;
pub(crate) mod subject;
pub(crate) mod target;
pub(crate) mod token_exchange;
pub(crate) mod trusted_issuer;

pub(crate) use issue::{Issued, may_issue};
