//! How a refusal looks on the wire.
//!
//! Spec: RFC 6750 §3
//! Spec: RFC 9728 §5.1
//! Spec: RFC 9449 §7.1, §9
//! Spec: RFC 9470 §3

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use symbolon_token::dpop::algorithm_names;
use symbolon_token::explain::Check;
use symbolon_token::{Entropy, random};

use crate::bearer::Scheme;
use crate::refusal::{NotHeld, Refusal};
use crate::requirement::Requirement;
use crate::verifier::Verifier;

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// After how many seconds it is worth asking again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("2");
const MAX_REQUEST_ID: usize = 64;

impl Verifier {
    /// The answer to a request that is refused, for routes without the layer
    /// that do not know how the token came: the challenge is for a bearer.
    pub fn answer(
        &self,
        refusal: &Refusal,
        requirement: &Requirement,
        request_id: &str,
    ) -> Response<String> {
        self.answer_to(&HeaderMap::new(), refusal, requirement, request_id)
    }

    /// The same to a request with these headers: a token that came under the
    /// scheme `DPoP` is answered under that scheme (RFC 9449 §7.1).
    pub fn answer_to(
        &self,
        headers: &HeaderMap,
        refusal: &Refusal,
        requirement: &Requirement,
        request_id: &str,
    ) -> Response<String> {
        let scheme = scheme(headers);
        let body = serde_json::json!({
            "error": refusal.error().as_str(),
            "error_description": refusal.description(),
            "request_id": request_id,
        });
        let mut response = Response::new(body.to_string());
        *response.status_mut() =
            StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        if matches!(refusal, Refusal::CannotKnow(_)) {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        } else {
            for challenge in self.challenges(refusal, requirement, scheme) {
                if let Ok(value) = HeaderValue::from_str(&challenge) {
                    headers.append(WWW_AUTHENTICATE, value);
                }
            }
        }
        if *refusal == Refusal::NonceNeeded
            && let Ok(nonce) = HeaderValue::from_str(&self.next_nonce())
        {
            headers.insert(DPOP_NONCE, nonce);
        }
        response
    }

    /// The schemes under which a token may come: the one that failed says why.
    fn challenges(
        &self,
        refusal: &Refusal,
        requirement: &Requirement,
        scheme: Scheme,
    ) -> Vec<String> {
        let algorithms = format!("algs=\"{}\"", algorithm_names());
        let with_proof = |rest: String| match rest.is_empty() {
            true => format!("DPoP {algorithms}"),
            false => format!("DPoP {algorithms}, {rest}"),
        };
        let bare = |rest: &str| format!("Bearer {rest}").trim_end().to_owned();
        let said = self.parameters(refusal, requirement);
        match refusal {
            Refusal::Binding(NotHeld::AsBearer) => vec![bare(&said), with_proof(String::new())],
            Refusal::Binding(
                NotHeld::CertificateMissing | NotHeld::OtherCertificate | NotHeld::NoRequest,
            ) if scheme != Scheme::Dpop => vec![bare(&said)],
            other if other.is_about_binding() => vec![with_proof(said)],
            Refusal::Missing if self.takes_proofs() => {
                vec![bare(&said), with_proof(String::new())]
            }
            _ if scheme == Scheme::Dpop && self.takes_proofs() => vec![with_proof(said)],
            _ => vec![bare(&said)],
        }
    }

    fn parameters(&self, refusal: &Refusal, requirement: &Requirement) -> String {
        // Values hold neither quotes nor backslashes: fixed texts, checked
        // scopes, and an address whose grammar has none.
        let mut parts = Vec::new();
        // A route of another audience has its own document, which is not ours to name.
        if requirement.own_audience().is_none()
            && let Some(address) = self.metadata_address()
        {
            parts.push(format!("resource_metadata=\"{address}\""));
        }
        // Nothing was presented, so there is nothing to say of it (RFC 6750 §3.1).
        if *refusal != Refusal::Missing {
            parts.push(format!("error=\"{}\"", refusal.error().as_str()));
            parts.push(format!("error_description=\"{}\"", refusal.description()));
        }
        if refusal.check() == Some(Check::Scope) {
            let scopes: Vec<_> = requirement.scopes().collect();
            parts.push(format!("scope=\"{}\"", scopes.join(" ")));
        }
        if matches!(refusal, Refusal::Authentication(_)) {
            parts.extend(requirement.sign_in().parameters());
        }
        parts.join(", ")
    }
}

/// The scheme that a token was sent under.
fn scheme(headers: &HeaderMap) -> Scheme {
    let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let is_dpop = sent
        .and_then(|sent| sent.split(|byte| *byte == b' ').next())
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"DPoP"));
    match is_dpop {
        true => Scheme::Dpop,
        false => Scheme::Bearer,
    }
}

/// The id that the caller sent in `X-Request-Id`, where it is one: 1 to 64
/// letters, digits, `-`, `_` and `.`. Otherwise a new one. The layer takes the
/// same, so answers and logs of whatever stands around it can agree.
pub fn request_id(headers: &HeaderMap, entropy: &dyn Entropy) -> String {
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_sane = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match sent.filter(is_sane) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", u128::from_be_bytes(random(entropy))),
    }
}
