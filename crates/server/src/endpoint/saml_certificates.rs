//! The certificates of the keys that sign assertions, for relying parties to
//! configure.
//!
//! Spec: RFC 7468 §5
//! Spec: RFC 8555 §9.1 (`application/pem-certificate-chain`)

use axum::body::Bytes;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::jwks::{public, seconds};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::saml2;
use crate::received::Received;

/// Answers `GET /saml/certificates`. They are no chain: each stands alone.
pub(crate) async fn get(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let mut text = String::new();
    for certificate in saml2::certificates(&cx)? {
        text.push_str(&certificate.to_pem());
    }
    let mut response = public(Bytes::from(text), seconds(&cx));
    let pem = HeaderValue::from_static("application/pem-certificate-chain");
    response.headers_mut().insert(CONTENT_TYPE, pem);
    Ok(response)
}
