//! What receivers read first: where everything is.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §7.1

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::received::Received;
use crate::respond;
use crate::streams::{POLL, PUSH};

/// Answers `GET /.well-known/ssf-configuration`.
pub(crate) async fn get(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let issuer = &cx.settings.issuer;
    let document = json!({
        "spec_version": "1_0",
        "issuer": issuer.as_str(),
        "jwks_uri": issuer.endpoint("/.well-known/jwks.json"),
        "delivery_methods_supported": [PUSH, POLL],
        "configuration_endpoint": issuer.endpoint("/ssf/streams"),
        "status_endpoint": issuer.endpoint("/ssf/status"),
        "add_subject_endpoint": issuer.endpoint("/ssf/subjects/add"),
        "remove_subject_endpoint": issuer.endpoint("/ssf/subjects/remove"),
        "verification_endpoint": issuer.endpoint("/ssf/verify"),
        "critical_subject_members": ["user", "session"],
        "authorization_schemes": [{ "spec_urn": "urn:ietf:rfc:6749" }],
        "default_subjects": "ALL",
    });
    Ok(respond::json(StatusCode::OK, &document))
}
