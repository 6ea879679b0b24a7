//! Clients that nobody here configured: they registered themselves, or are
//! described by the document at their identifier.
//!
//! 1. `find` tells by an identifier's form where its client is: in a row, in the
//!    identifier itself (`sealed`), or behind an address (`document`).
//! 2. `terms` is what the installation grants to all of them; what they say of
//!    themselves can only be less.
//! 3. A row that an administrator wrote comes before all of that.
//!
//! Spec: RFC 7591 §5
//! Spec: draft-ietf-oauth-client-id-metadata-document-02 §4

pub(crate) mod document;
mod find;
pub(crate) mod pace;
mod places;
pub(crate) mod sealed;

use symbolon_protocol::self_description::{Terms, Unfit};
use symbolon_protocol::{ErrorCode, Scopes};

use crate::app::App;
use crate::failure::Refusal;
use crate::grant::target::is_of_the_issuer;

pub(crate) use find::Kind;

/// Scopes that are about the person alone.
const OF_OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// What is granted to clients that describe themselves, at the moment.
pub(crate) fn terms(app: &App) -> Terms {
    let settings = app.settings();
    let config = &settings.registration;
    let mut resources = Vec::new();
    let mut scopes: Scopes = OF_OPENID
        .iter()
        .filter_map(|own| own.parse().ok())
        .collect();
    for named in &config.resources {
        let Some(resource) = app.directory.find_resource(named.as_str()) else {
            continue;
        };
        // What is an organization's is for that organization's clients.
        if resource.organization.is_some() {
            continue;
        }
        let own = resource.scopes.without(&resource.sensitive_scopes);
        scopes = scopes.united_with(&own);
        resources.push(resource.identifier.clone());
    }
    if let Some(most) = &config.scopes {
        // Named in the file, a sensitive scope is meant.
        let is_known = |own: &str| {
            let mut places = resources.iter();
            is_of_the_issuer(own)
                || places.any(|place| {
                    let found = app.directory.find_resource(place.as_str());
                    found.is_some_and(|resource| resource.scopes.contains(own))
                })
        };
        scopes = most.filtered(is_known);
    }
    Terms {
        scopes,
        resources,
        require_pkce_confidential: config.require_pkce_confidential,
        assertion_audience: config.assertion_audience,
    }
}

/// What a registrant is told.
pub(crate) fn refusal(unfit: Unfit) -> Refusal {
    match unfit {
        Unfit::RedirectUri(why) => Refusal::new(ErrorCode::InvalidRedirectUri, why),
        Unfit::Metadata(why) => Refusal::new(ErrorCode::InvalidClientMetadata, why),
        Unfit::Statement => Refusal::new(
            ErrorCode::UnapprovedSoftwareStatement,
            "no software statement is approved here; register without one",
        ),
    }
}
