//! Asks a decision point elsewhere. What is not a clear yes within its time is
//! none.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §6, §10.1

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use rustls::RootCertStore;
use serde_json::{Map, Value};
use symbolon_token::Secret;
use url::Position;

use super::evaluation::Evaluation;
use super::question::Question;
use super::ruling::{Answer, Ruling};
use super::settings::DecisionPoint;
use crate::body::{Carried, Sending};
use crate::problem::REQUEST_ID;
use crate::settings::{self, Spoken};
use crate::upstream::{NoUpstream, Upstream};
use crate::vigil::Vigil;

/// How large an answer may be, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A decision point elsewhere.
pub(crate) struct Pdp {
    upstream: Upstream,
    path: PathAndQuery,
    token: Option<Secret>,
    timeout: Duration,
}

impl Pdp {
    pub(crate) fn new(own: DecisionPoint, roots: &RootCertStore) -> Result<Self, NoUpstream> {
        let path = own.url[Position::BeforePath..Position::AfterQuery].parse();
        let path = path.map_err(|_| NoUpstream::Address(own.url.to_string()))?;
        let mut origin = own.url;
        origin.set_path("");
        origin.set_query(None);
        let upstream = settings::Upstream {
            name: "decision point".into(),
            urls: vec![origin],
            balance: settings::Balance::RoundRobin,
            check: None,
            ejection: None,
            spoken: Spoken::Http1,
            connect_timeout: own.timeout,
            response_timeout: own.timeout,
            idle_timeout: own.timeout,
        };
        Ok(Self {
            upstream: Upstream::new(upstream, roots)?,
            path,
            token: own.token,
            timeout: own.timeout,
        })
    }

    /// What it answers: yes, no, or that nobody can know.
    pub(crate) async fn ask(&self, question: &Question, request_id: &str) -> Ruling {
        let asking = self.exchange(question, request_id);
        let decision = tokio::time::timeout(self.timeout, asking).await;
        let (answer, outcome) = match decision.ok().flatten() {
            Some(true) => (Answer::Allow, "allow"),
            Some(false) => (Answer::Deny, "deny"),
            None => (Answer::Unknown, "unknown"),
        };
        metrics::counter!("symbolon_gateway_authzen_total", "outcome" => outcome).increment(1);
        Ruling {
            answer,
            policies: vec![NAME.to_owned()],
        }
    }

    async fn exchange(&self, question: &Question, request_id: &str) -> Option<bool> {
        let body = Evaluation::of(question).to_json().to_string();
        let limit = u64::try_from(body.len()).ok()?;
        let (body, verdict, has_sent) = Sending::new(
            Carried::Whole(Bytes::from(body)),
            limit,
            &std::sync::Arc::default(),
            Vigil::new(None, self.timeout),
        );
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(self.path.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON);
        headers.insert(REQUEST_ID, HeaderValue::from_str(request_id).ok()?);
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {}", token.expose_str().trim());
            let mut bearer = HeaderValue::from_str(&bearer).ok()?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let answer = self.upstream.send(request, verdict, has_sent).await.ok()?;
        if answer.response.status() != StatusCode::OK {
            return None;
        }
        let body = Limited::new(answer.response.into_body(), MAX_ANSWER_BYTES);
        let body = body.collect().await.ok()?.to_bytes();
        decision(&body)
    }
}

/// What the log calls it.
const NAME: &str = "authzen";

/// The decision in an answer; only a plain truth value is one.
fn decision(body: &[u8]) -> Option<bool> {
    let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    answer.get("decision")?.as_bool()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_truth_value_is_a_decision() {
        assert_eq!(decision(br#"{"decision":true,"context":{}}"#), Some(true));
        assert_eq!(decision(br#"{"decision":false}"#), Some(false));
        for bad in [
            "",
            "true",
            "[]",
            "{}",
            r#"{"decision":"true"}"#,
            r#"{"decision":1}"#,
            r#"{"decision":null}"#,
            r#"{"Decision":true}"#,
            r#"{"decision":true"#,
            r#"{"decision":true}{"decision":false}"#,
        ] {
            assert_eq!(decision(bad.as_bytes()), None, "{bad}");
        }
    }
}
