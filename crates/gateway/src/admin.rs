//! The admin listener: whether it lives, whether it is ready, its numbers, its
//! keys, and what it decides for others.
//!
//! Spec: RFC 9110 §15.6.4

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::assertion::KEYS_PATH;
use crate::body::{Body, full};
use crate::gateway::Gateway;

/// What gives the numbers in the format of Prometheus.
pub(crate) type Numbers = Arc<dyn Fn() -> String + Send + Sync>;

/// Answers a request.
pub(crate) async fn answer(
    gateway: &Gateway,
    numbers: Option<&Numbers>,
    request: Request<Incoming>,
) -> Response<Body> {
    #[cfg(feature = "cedar")]
    if crate::authzen::is_for(request.uri().path()) {
        return crate::authzen::answer(gateway, request).await;
    }
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        return said(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
    }
    match request.uri().path() {
        "/healthz" => said(StatusCode::OK, "text/plain", "ok\n".into()),
        "/readyz" => match gateway.readiness().await {
            Ok(()) => {
                let mut lines = vec!["ready".to_owned()];
                lines.extend(gateway.standing());
                said(StatusCode::OK, "text/plain", lines.join("\n") + "\n")
            }
            Err(why) => said(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain",
                format!("{why}\n"),
            ),
        },
        "/metrics" => match numbers {
            Some(numbers) => said(StatusCode::OK, "text/plain; version=0.0.4", numbers()),
            None => said(StatusCode::NOT_FOUND, "text/plain", String::new()),
        },
        "/usage" => {
            let asked = request.uri().query().unwrap_or_default();
            match crate::quota::usage(&gateway.shared, asked).await {
                Ok(used) => said(StatusCode::OK, "application/json", used.to_string()),
                Err(untold) => said(untold.status(), "text/plain", format!("{untold}\n")),
            }
        }
        KEYS_PATH => said(
            StatusCode::OK,
            "application/json",
            gateway.keys().to_string(),
        ),
        _ => said(StatusCode::NOT_FOUND, "text/plain", String::new()),
    }
}

fn said(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
