//! The check of a route: its verifier, and what it demands.

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use symbolon_verify::{Principal, Refusal, Requirement, Revocation, Verifier};

use crate::body::{Body, full};
use crate::settings::{Needed, TokenDemand};

/// Who checks the tokens of a route, and against what.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) verifier: Verifier,
    pub(crate) requirement: Arc<Requirement>,
    /// Whose tokens, for which API.
    pub(crate) of: Arc<(String, String)>,
}

impl Guard {
    pub(crate) fn new(verifier: Verifier, demand: &TokenDemand) -> Self {
        let requirement = match &demand.needed {
            Needed::All(names) => Requirement::all(names.iter().cloned()),
            Needed::Any(names) => Requirement::any(names.iter().cloned()),
        };
        // What is usual needs no word, and a word would make it stricter.
        let requirement = match demand.revocation {
            Revocation::Now => requirement,
            Revocation::AtExpiry => requirement.revocation(Revocation::AtExpiry),
        };
        let requirement = match demand.max_staleness {
            Some(span) => requirement.max_staleness(span),
            None => requirement,
        };
        Self {
            verifier,
            requirement: Arc::new(requirement),
            of: Arc::new((demand.issuer.clone(), demand.audience.clone())),
        }
    }

    /// Who is calling, or why nobody gets through.
    pub(crate) async fn judge(&self, parts: &Parts) -> Result<Principal, Refusal> {
        self.verifier.check(parts, &self.requirement).await
    }

    /// The answer to a refusal.
    pub(crate) fn answer(&self, refusal: &Refusal, request_id: &str) -> Response<Body> {
        let answer = self.verifier.answer(refusal, &self.requirement, request_id);
        answer.map(full)
    }
}
