//! The bearer that is shown to a source that is asked: always the same one, or one
//! that a token endpoint gives, which is kept in memory until shortly before its
//! end.
//!
//! Spec: RFC 6749 §2.3.1, §4.4, §5.1
//! Spec: RFC 8707 §2

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use form_urlencoded::{Serializer, byte_serialize};
use serde_json::Value;
use symbolon_token::Secret;
use symbolon_token::jose::json as strict;

use crate::config::{PollBearer, PollClient, SignalPoll, SignalSource};
use crate::cx::Cx;
use crate::fetch::Outgoing;

/// How long before its end a bearer is not shown any more, at most.
const MARGIN: Duration = Duration::from_secs(30);
/// How long one is kept that does not say how long it is good.
const UNTOLD: Duration = Duration::from_secs(5 * 60);
/// How long one is kept at most.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How large an answer of a token endpoint may be, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What token endpoints gave, by the name of the source.
#[derive(Default)]
pub(super) struct Bearers(Mutex<HashMap<String, Kept>>);

struct Kept {
    /// As it was configured then: another configuration asks anew.
    source: Arc<SignalSource>,
    shown: Arc<Secret>,
    /// By the clock that nobody sets.
    until: Duration,
}

impl Bearers {
    /// What is shown to a source in `Authorization`.
    pub(super) async fn find(
        &self,
        cx: &Cx,
        source: &Arc<SignalSource>,
        poll: &SignalPoll,
    ) -> Result<Arc<Secret>, &'static str> {
        let client = match &poll.bearer {
            PollBearer::Fixed(token) => {
                let shown = format!("Bearer {}", token.expose_str());
                return Ok(Arc::new(shown.into()));
            }
            PollBearer::Asked(client) => client,
        };
        let now = cx.edge.clock.monotonic();
        if let Some(shown) = self.kept(source, now) {
            return Ok(shown);
        }
        let (shown, lifetime) = ask(cx, client).await?;
        let kept = Kept {
            source: Arc::clone(source),
            shown: Arc::new(shown),
            until: now + lifetime.saturating_sub(MARGIN.min(lifetime / 10)),
        };
        let shown = Arc::clone(&kept.shown);
        self.all().insert(source.id.clone(), kept);
        Ok(shown)
    }

    /// Forgets what a source does not take; whether there was something, so that
    /// another one may do better.
    pub(super) fn forget(&self, source: &SignalSource) -> bool {
        self.all().remove(&source.id).is_some()
    }

    /// Forgets what was for sources that are not configured any more.
    pub(super) fn keep(&self, configured: &[Arc<SignalSource>]) {
        let is_configured =
            |kept: &Kept| configured.iter().any(|own| Arc::ptr_eq(own, &kept.source));
        self.all().retain(|_, kept| is_configured(kept));
    }

    fn kept(&self, source: &Arc<SignalSource>, now: Duration) -> Option<Arc<Secret>> {
        let all = self.all();
        let kept = all.get(&source.id)?;
        let is_good = Arc::ptr_eq(&kept.source, source) && now < kept.until;
        is_good.then(|| Arc::clone(&kept.shown))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a token endpoint; what it gave, and how long that is good.
async fn ask(cx: &Cx, client: &PollClient) -> Result<(Secret, Duration), &'static str> {
    let shown = basic(client);
    let outgoing = Outgoing {
        url: &client.token_endpoint,
        content_type: "application/x-www-form-urlencoded",
        content_language: None,
        accept: "application/json",
        authorization: Some(&shown),
        body: form(client),
        limit_bytes: MAX_ANSWER_BYTES,
    };
    let answer = cx.fetcher.post(&outgoing).await;
    let answer = answer.map_err(|_| "its token endpoint could not be reached")?;
    if answer.status != 200 {
        return Err("its token endpoint gave no token");
    }
    given(&answer.body)
}

/// Both halves are form-encoded before base64 (RFC 6749 §2.3.1).
fn basic(client: &PollClient) -> Secret {
    let id: String = byte_serialize(client.client_id.as_bytes()).collect();
    let secret: String = byte_serialize(client.client_secret.expose()).collect();
    let pair = BASE64_STANDARD.encode(format!("{id}:{secret}"));
    format!("Basic {pair}").into()
}

fn form(client: &PollClient) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    for (name, value) in [("scope", &client.scope), ("resource", &client.resource)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    form.finish()
}

fn given(body: &[u8]) -> Result<(Secret, Duration), &'static str> {
    let body = strict::object(body);
    let body = body.map_err(|_| "the answer of its token endpoint is no JSON object")?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err("its token endpoint gave no bearer");
    }
    let is_shown = |byte: u8| byte.is_ascii_graphic();
    let fits = |token: &&str| !token.is_empty() && token.bytes().all(is_shown);
    let token = text("access_token").filter(fits);
    let token = token.ok_or("its token endpoint gave no token")?;
    let seconds = body.get("expires_in").and_then(Value::as_u64);
    let lifetime = seconds.map_or(UNTOLD, Duration::from_secs).min(LONGEST);
    Ok((format!("Bearer {token}").into(), lifetime))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client() -> PollClient {
        PollClient {
            token_endpoint: "https://directory.example.net/token".to_owned(),
            client_id: "us".to_owned(),
            client_secret: "a secret: 100 % + more".into(),
            scope: Some("ssf.read".to_owned()),
            resource: None,
        }
    }

    #[test]
    fn both_halves_are_encoded_before_they_are_joined() {
        let shown = basic(&client());

        let encoded = shown.expose_str().strip_prefix("Basic ").unwrap();
        let (id, secret) = symbolon_protocol::basic::decode(encoded).unwrap();
        assert_eq!(id.as_str(), "us");
        assert_eq!(secret, "a secret: 100 % + more");
        let wanted = "grant_type=client_credentials&scope=ssf.read";
        assert_eq!(form(&client()), wanted);
    }

    #[test]
    fn only_a_bearer_is_shown_and_no_longer_than_it_is_good() {
        let read = |body: Value| given(body.to_string().as_bytes());
        for (expires, seconds) in [
            (json!(600), 600),
            (json!(null), 300),
            (json!("soon"), 300),
            (json!(u64::MAX), 86_400),
        ] {
            let mut good = json!({ "access_token": "a", "token_type": "bearer" });
            good["expires_in"] = expires.clone();
            let (shown, lifetime) = read(good).unwrap();
            assert_eq!(shown.expose_str(), "Bearer a");
            assert_eq!(lifetime, Duration::from_secs(seconds), "{expires}");
        }
        for wrong in [
            json!({ "access_token": "a", "token_type": "DPoP" }),
            json!({ "access_token": "a" }),
            json!({ "token_type": "Bearer" }),
            json!({ "access_token": "", "token_type": "Bearer" }),
            json!({ "access_token": "a\r\nb", "token_type": "Bearer" }),
            json!(["a"]),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
