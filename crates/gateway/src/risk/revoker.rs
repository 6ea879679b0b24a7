//! Takes a token back at its issuer, over the issuer's administration: `/revoke`
//! takes a token from nobody but the client that it was issued to, and that is
//! not the gateway.
//!
//! Spec: RFC 7009 §2.1

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use hyper::body::Bytes;
use rustls::RootCertStore;
use serde_json::json;
use symbolon_token::Secret;
use url::Url;

use crate::body::{Carried, Sending};
use crate::settings::{self, Spoken};
use crate::upstream::{NoUpstream, Upstream};
use crate::vigil::Vigil;

/// How long the issuer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried.
const TRIES: u32 = 3;
/// How long is waited between.
const PAUSE: Duration = Duration::from_secs(1);

/// Where tokens are taken back.
#[derive(Debug)]
pub struct RevokeAt {
    /// The origin of the issuer's administration.
    pub url: Url,
    /// What is shown there.
    pub token: Secret,
}

/// Takes tokens back.
pub(crate) struct Revoker {
    issuer: Upstream,
    bearer: Secret,
}

impl Revoker {
    pub(crate) fn new(at: &RevokeAt, roots: &RootCertStore) -> Result<Self, NoUpstream> {
        let issuer = Upstream::new(
            settings::Upstream {
                name: "administration".into(),
                urls: vec![at.url.clone()],
                balance: settings::Balance::RoundRobin,
                check: None,
                ejection: None,
                spoken: Spoken::Http1,
                connect_timeout: PATIENCE,
                response_timeout: PATIENCE,
                idle_timeout: PATIENCE,
            },
            roots,
        )?;
        Ok(Self {
            issuer,
            bearer: Secret::new(at.token.expose().to_vec()),
        })
    }

    /// Takes a token back, beside whatever goes on; says what became of it.
    pub(crate) fn begin(self: &Arc<Self>, token: &str, request_id: &str) {
        let (own, token) = (Arc::clone(self), Secret::from(token));
        let request = request_id.to_owned();
        tokio::spawn(async move {
            for attempt in 1..=TRIES {
                match own.revoke(&token).await {
                    Some(status) if status < 300 => {
                        metrics::counter!("symbolon_gateway_revoked_total").increment(1);
                        tracing::warn!(request, "a token was taken back");
                        return;
                    }
                    status => tracing::warn!(
                        request,
                        attempt,
                        status,
                        "a token could not be taken back; it is refused here"
                    ),
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// The status that the issuer answers; nothing where it does not.
    async fn revoke(&self, token: &Secret) -> Option<u16> {
        let body = json!({ "token": token.expose_str() }).to_string();
        let limit = u64::try_from(body.len()).ok()?;
        let (body, verdict, has_sent) = Sending::new(
            Carried::Whole(Bytes::from(body)),
            limit,
            &Arc::default(),
            Vigil::new(None, PATIENCE),
        );
        let bearer = format!("Bearer {}", self.bearer.expose_str().trim());
        let mut bearer = HeaderValue::from_str(&bearer).ok()?;
        bearer.set_sensitive(true);
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/admin/v1/revoke");
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.issuer.send(request, verdict, has_sent).await.ok()?;
        Some(answer.response.status().as_u16())
    }
}
