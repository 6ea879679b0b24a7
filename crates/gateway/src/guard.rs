//! The check of a route: its verifier, and what it demands.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use symbolon_verify::{Principal, Refusal, Requirement, Verifier};

use crate::body::{Body, full};
use crate::grpc;
use crate::settings::{Needed, TokenDemand};

/// Who checks the tokens of a route, and against what.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) verifier: Verifier,
    pub(crate) requirement: Arc<Requirement>,
    /// Whose tokens, for which API.
    pub(crate) of: Arc<(String, String)>,
    /// Whether whoever brings no token is told which scopes to ask for.
    tells_scopes: bool,
}

impl Guard {
    pub(crate) fn new(verifier: Verifier, demand: &TokenDemand) -> Self {
        let requirement = match &demand.needed {
            Needed::All(names) => Requirement::all(names.iter().cloned()),
            Needed::Any(names) => Requirement::any(names.iter().cloned()),
        };
        // Said in any case: a verifier that is told nothing lets JWTs through on
        // what it knows, however old that is.
        let requirement = requirement.revocation(demand.revocation);
        let requirement = match demand.max_staleness {
            Some(span) => requirement.max_staleness(span),
            None => requirement,
        };
        Self {
            verifier,
            requirement: Arc::new(requirement),
            of: Arc::new((demand.issuer.clone(), demand.audience.clone())),
            tells_scopes: false,
        }
    }

    /// The same, where whoever brings no token is told which scopes to ask for:
    /// clients of MCP ask for those and no others.
    pub(crate) fn telling_scopes(mut self) -> Self {
        self.tells_scopes = true;
        self
    }

    /// The same where more is needed than the route asks for by itself: a
    /// refusal names all of it, so that one more token is enough.
    pub(crate) fn asking_for(&self, scopes: &[String]) -> Self {
        let mut all: Vec<String> = self.requirement.scopes().map(str::to_owned).collect();
        all.extend(
            scopes
                .iter()
                .filter(|own| !all.contains(own))
                .cloned()
                .collect::<Vec<_>>(),
        );
        Self {
            requirement: Arc::new(Requirement::all(all)),
            ..self.clone()
        }
    }

    /// The same where something else is demanded than the route says.
    pub(crate) fn demanding(&self, requirement: Requirement) -> Self {
        Self {
            requirement: Arc::new(requirement),
            ..self.clone()
        }
    }

    /// Who is calling, or why nobody gets through.
    pub(crate) async fn judge(&self, parts: &Parts) -> Result<Principal, Refusal> {
        self.verifier.check(parts, &self.requirement).await
    }

    /// The answer to a refusal of a request, under the scheme that it used.
    pub(crate) fn answer_to(
        &self,
        parts: &Parts,
        refusal: &Refusal,
        request_id: &str,
    ) -> Response<Body> {
        let verifier = &self.verifier;
        let mut answer = verifier.answer_to(&parts.headers, refusal, &self.requirement, request_id);
        if self.tells_scopes && answer.status() == StatusCode::UNAUTHORIZED {
            self.tell_scopes(answer.headers_mut());
        }
        answer.extensions_mut().insert(grpc::Own);
        answer.map(full)
    }

    /// Spec: RFC 6750 §3
    fn tell_scopes(&self, headers: &mut HeaderMap) {
        let scopes: Vec<&str> = self.requirement.scopes().collect();
        let all: Vec<HeaderValue> = headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
        headers.remove(WWW_AUTHENTICATE);
        for challenge in all {
            let told = challenge
                .to_str()
                .ok()
                .filter(|own| own.starts_with("Bearer "));
            let told = told.filter(|own| !own.contains("scope=")).and_then(|own| {
                // Scopes hold neither quotes nor backslashes.
                HeaderValue::from_str(&format!("{own}, scope=\"{}\"", scopes.join(" "))).ok()
            });
            headers.append(WWW_AUTHENTICATE, told.unwrap_or(challenge));
        }
    }
}
