//! Asking the issuer what became of a token: once at a time for each token,
//! remembered for a second, and never guessed.
//!
//! Spec: RFC 7662 §2
//! Spec: RFC 6749 §2.3.1

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use moka::future::Cache;
use serde_json::{Map, Value};
use symbolon_token::jose::json;
use symbolon_token::macaroon::Request;
use symbolon_token::{Clock, Digest, Secret};
use tokio::sync::Semaphore;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::discovery::Discovery;
use crate::fetch::{FetchError, Http, TOTAL_TIMEOUT};

/// For how long an answer stands, counted from before it was asked for.
const ANSWER_AGE: Duration = Duration::from_secs(1);
/// For how long a failure stands, so that a token is not asked about in a loop.
const FAILURE_AGE: Duration = Duration::from_millis(200);
/// How many answers are remembered.
const MAX_ANSWERS: u64 = 10_000;
/// How many questions may be open at a time.
const MAX_OPEN: usize = 64;

/// As whom the issuer is asked.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: Secret,
}

impl Credentials {
    /// Both halves are form-encoded before base64.
    pub(crate) fn basic(&self) -> String {
        let id: String = byte_serialize(self.id.as_bytes()).collect();
        let secret: String = byte_serialize(self.secret.expose()).collect();
        format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
    }
}

/// A token, and what is known of the request that it came with.
pub(crate) struct Question<'a> {
    pub(crate) token: &'a str,
    pub(crate) request: Request<'a>,
    /// Which API asks, where the token may be for several of one server.
    pub(crate) resource: Option<&'a str>,
    /// Whether the answer counts a use, where uses are counted.
    pub(crate) counting: Counting,
    /// Whether an answer is for this once: it counts a use, or nothing would
    /// say when it is over.
    pub(crate) is_for_once: bool,
}

/// Whether a question uses a macaroon up whose uses are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// It does: everything else about the request is known to be good.
    Use,
    /// It does not, and the answer says how many uses are left.
    Spare,
}

impl Question<'_> {
    fn form(&self) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", self.token)
            .append_pair("token_type_hint", "access_token");
        if let Some(method) = self.request.method {
            form.append_pair("method", method);
        }
        if let Some(path) = self.request.path {
            form.append_pair("uri", path);
        }
        if let Some(address) = self.request.address {
            form.append_pair("client_ip", &address.to_string());
        }
        if let Some(resource) = self.resource {
            form.append_pair("resource", resource);
        }
        if self.counting == Counting::Spare {
            form.append_pair("count", "no");
        }
        form.finish()
    }

    /// Names the question: another request is another question.
    fn digest(&self) -> Digest {
        Digest::of(self.form().as_bytes())
    }
}

/// What the issuer says of a token.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    Active(Arc<Map<String, Value>>),
    Inactive,
    /// Nothing that could be used.
    Nothing,
}

#[derive(Clone)]
struct Answer {
    asked: Duration,
    says: Says,
}

impl Answer {
    fn is_stale(&self, now: Duration) -> bool {
        let most = match self.says {
            Says::Nothing => FAILURE_AGE,
            _ => ANSWER_AGE,
        };
        now.saturating_sub(self.asked) >= most
    }
}

pub(crate) struct Introspection {
    discovery: Arc<Discovery>,
    http: Http,
    clock: Arc<dyn Clock>,
    answers: Cache<[u8; 32], Answer>,
    open: Semaphore,
}

impl Introspection {
    pub(crate) fn new(discovery: Arc<Discovery>, http: Http, clock: Arc<dyn Clock>) -> Self {
        let answers = Cache::builder()
            .max_capacity(MAX_ANSWERS)
            .time_to_live(ANSWER_AGE * 2)
            .build();
        Self {
            discovery,
            http,
            clock,
            answers,
            open: Semaphore::new(MAX_OPEN),
        }
    }

    /// What the issuer says of a token now, or said within the last second.
    pub(crate) async fn ask(&self, as_whom: &Credentials, token: &str, digest: &Digest) -> Says {
        let question = Question {
            token,
            request: Request::default(),
            resource: None,
            counting: Counting::Use,
            is_for_once: false,
        };
        self.ask_once(as_whom, &question, digest).await
    }

    async fn ask_once(
        &self,
        as_whom: &Credentials,
        question: &Question<'_>,
        digest: &Digest,
    ) -> Says {
        let now = self.clock.monotonic();
        if let Some(answer) = self.answers.get(digest.as_bytes()).await
            && !answer.is_stale(now)
        {
            return answer.says;
        }
        // Whoever joins a question that was open for long asks once more: the
        // answer may be older than what is remembered at most.
        for _ in 0..2 {
            let entry = self.answers.entry(*digest.as_bytes());
            let answer = self.answer(as_whom, question);
            let entry = entry
                .or_insert_with_if(answer, |answer| answer.is_stale(now))
                .await;
            let answer = entry.into_value();
            if !answer.is_stale(now) || matches!(answer.says, Says::Nothing) {
                return answer.says;
            }
        }
        Says::Nothing
    }

    /// What the issuer says of a token for a request. An answer about one use
    /// that is counted is kept for no other.
    pub(crate) async fn ask_about(&self, as_whom: &Credentials, question: &Question<'_>) -> Says {
        if question.is_for_once {
            return self.answer(as_whom, question).await.says;
        }
        self.ask_once(as_whom, question, &question.digest()).await
    }

    async fn answer(&self, as_whom: &Credentials, question: &Question<'_>) -> Answer {
        // Age counts from before the question left.
        let asked = self.clock.monotonic();
        let reply = tokio::time::timeout(TOTAL_TIMEOUT, self.question(as_whom, question)).await;
        let says = match reply {
            Ok(Ok(says)) => says,
            Ok(Err(_)) | Err(_) => Says::Nothing,
        };
        Answer { asked, says }
    }

    async fn question(
        &self,
        as_whom: &Credentials,
        question: &Question<'_>,
    ) -> Result<Says, FetchError> {
        let _open = self
            .open
            .acquire()
            .await
            .map_err(|_| FetchError::Unreachable)?;
        let found = self.discovery.find().await?;
        let endpoint = found
            .introspection_endpoint
            .as_deref()
            .ok_or(FetchError::Malformed("metadata with introspection"))?;
        let form = question.form();
        let answer = self.http.send(endpoint, &as_whom.basic(), form).await?;
        let claims = json::object(&answer.body)
            .map_err(|_| FetchError::Malformed("an introspection response"))?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(Says::Active(Arc::new(claims))),
            Some(Value::Bool(false)) => Ok(Says::Inactive),
            _ => Err(FetchError::Malformed("an introspection response")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_of_the_credentials_are_form_encoded() {
        let credentials = Credentials {
            id: "orders api".into(),
            secret: Secret::from("a:b+c%"),
        };
        let basic = credentials.basic();
        let encoded = basic.strip_prefix("Basic ").unwrap();
        let (id, secret) = symbolon_protocol::basic::decode(encoded).unwrap();
        assert_eq!((id.as_str(), secret.as_str()), ("orders api", "a:b+c%"));
    }
}
