//! The words of OAuth and OpenID Connect: types that parse or refuse.
//!
//! Nothing here does input or output, reads a clock or holds a key. A value of
//! one of these types has been checked; the text it came from has not.

pub mod agreement;
pub mod basic;
pub mod claim_name;
pub mod claims;
pub mod client;
pub mod credential;
pub mod display;
pub mod encryption;
pub mod error;
pub mod exchange;
pub mod identifier;
pub mod key_binding;
pub mod lifetime;
pub mod logout;
pub mod mapping;
pub mod metadata;
pub mod parameters;
pub mod pkce;
mod planted;
mod problem;
pub mod registration;
pub mod resource;
pub mod scope;
pub mod self_description;
pub mod subject_identifier;
pub mod time;
pub mod trusted_issuer;
pub mod uri;
pub mod user_code;
pub mod vocabulary;

pub use agreement::Agreement;
pub use client::Client;
pub use encryption::{EncryptedAnswer, Encryption, RegisteredKeys, ResponseEncryption};
pub use error::ErrorCode;
pub use exchange::ExchangePolicy;
pub use identifier::{ClientId, InvalidIdentifier, OrganizationId};
pub use key_binding::{CertificateSubject, KeyBinding};
pub use lifetime::Lifetime;
pub use logout::BackchannelLogout;
pub use mapping::{ClaimMappings, ClaimSource};
pub use parameters::Parameters;
pub use pkce::{CodeChallenge, CodeVerifier};
pub use planted::planted;
pub use resource::Resource;
pub use scope::{Scope, Scopes};
pub use subject_identifier::SubjectIdentifier;
pub use time::Timestamp;
pub use trusted_issuer::TrustedIssuer;
pub use uri::{ForeignIssuer, Issuer, RedirectUri, ResourceIdentifier, TargetUri};
pub use user_code::UserCode;
pub use vocabulary::*;
