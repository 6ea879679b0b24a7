//! The certificates of the keys that sign assertions, and of those to which
//! partners encrypt theirs, for relying parties and partners to configure.
//!
//! Spec: RFC 7468 §5
//! Spec: RFC 8555 §9.1 (`application/pem-certificate-chain`)

use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::jwks::{public, seconds};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::received::Received;

/// Answers `GET /saml/certificates`. They are no chain: each stands alone.
pub(crate) async fn get(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let name = cx.settings.issuer.as_str();
    let text = cx.app.keys.load().assertions.signing_certificates(name)?;
    Ok(pem(&cx, &text))
}

/// Answers `GET /saml/encryption-certificates`: the one to encrypt to first,
/// then the one that will take its place.
pub(crate) async fn get_encryption(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let (keys, name) = (cx.app.keys.load(), cx.settings.issuer.as_str());
    let text = keys.assertions.encryption_certificates(name)?;
    if text.is_empty() {
        let why = "decryption of assertions is not switched on here";
        return Err(Refusal::invalid_request(why).into());
    }
    Ok(pem(&cx, &text))
}

fn pem(cx: &Cx, text: &Arc<str>) -> Response {
    let mut response = public(Bytes::from(text.to_string()), seconds(cx));
    let pem = HeaderValue::from_static("application/pem-certificate-chain");
    response.headers_mut().insert(CONTENT_TYPE, pem);
    response
}
