//! `[registration]`: who may describe itself as a client, and what is granted
//! to it.

use symbolon_protocol::{AssertionAudience, Lifetime, ResourceIdentifier, Scopes};
use symbolon_token::Secret;

/// `[registration]`. Without the section nobody may.
#[derive(Debug)]
pub struct RegistrationConfig {
    /// Whether clients may register themselves.
    pub enabled: bool,
    /// Whether an https URL may be a client, by the document that is there.
    pub documents: bool,
    /// The hosts of such documents; any where none is named.
    pub document_hosts: Vec<String>,
    /// Hosts whose documents are never read.
    pub refused_document_hosts: Vec<String>,
    /// Origins of pages that may register and use what is for registered pages.
    pub origins: Vec<String>,
    /// What a registrant has to show, where it is not everybody.
    pub initial_access_token: Option<Secret>,
    /// The resources that such clients may ask for.
    pub resources: Vec<ResourceIdentifier>,
    /// The scopes at most; without it those of OpenID Connect and of the
    /// resources, sensitive ones apart.
    pub scopes: Option<Scopes>,
    /// Whether clients that prove themselves need PKCE too.
    pub require_pkce_confidential: bool,
    /// What the audience of their assertions may be.
    pub assertion_audience: AssertionAudience,
    /// When one that nobody uses is forgotten.
    pub unused_lifetime: Lifetime,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            documents: false,
            document_hosts: Vec::new(),
            refused_document_hosts: Vec::new(),
            origins: Vec::new(),
            initial_access_token: None,
            resources: Vec::new(),
            scopes: None,
            require_pkce_confidential: true,
            assertion_audience: AssertionAudience::IssuerOrTokenEndpoint,
            unused_lifetime: Lifetime::seconds(7 * 24 * 60 * 60),
        }
    }
}
