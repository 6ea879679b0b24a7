//! The admin API, spoken to.
//!
//! A call that changes something is waited for much longer than one that reads:
//! what is wide is done part by part. Where it gets no answer, nobody here knows
//! whether it was done.

use std::pin::pin;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{Failed, Target};

/// How long things may take.
#[derive(Clone, Copy)]
struct Spans {
    /// Until a server is connected to.
    connecting: Duration,
    /// The answer to what only reads.
    reading: Duration,
    /// The answer to what changes something.
    changing: Duration,
    /// Until somebody at a terminal is told that a change goes on.
    silence: Duration,
}

const SPANS: Spans = Spans {
    connecting: Duration::from_secs(30),
    reading: Duration::from_secs(30),
    changing: Duration::from_secs(10 * 60),
    silence: Duration::from_secs(5),
};

/// A server to administrate.
pub(super) struct Connection {
    client: reqwest::Client,
    base: String,
    token: String,
    spans: Spans,
    /// Whether answers are printed as JSON.
    pub(super) json: bool,
}

impl Connection {
    /// Reads the token; nothing is sent yet.
    pub(super) fn open(target: Target) -> Result<Self, Failed> {
        let path = &target.admin_token_file;
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failed::new("admin.token", format!(
                "could not read the administration token from `{}`: {error}; name its file with --admin-token-file",
                path.display()
            ))
        })?;
        if !is_token(text.trim()) {
            return Err(Failed::new(
                "admin.token",
                format!(
                    "`{}` does not hold an administration token, which is one line of letters, digits and signs; name its file with --admin-token-file",
                    path.display()
                ),
            ));
        }
        Ok(Self {
            client: client(SPANS)?,
            base: target.admin.trim_end_matches('/').to_owned(),
            token: text.trim().to_owned(),
            spans: SPANS,
            json: target.json,
        })
    }

    pub(super) async fn read(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, Failed> {
        self.send(Method::GET, path, query, None).await
    }

    pub(super) async fn create(&self, path: &[&str], body: &Value) -> Result<Value, Failed> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// A verb that needs no more than its name.
    pub(super) async fn tell(&self, path: &[&str]) -> Result<Value, Failed> {
        self.send(Method::POST, path, &[], None).await
    }

    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<Value, Failed> {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    pub(super) async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, Failed> {
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<Value, Failed> {
        self.send(Method::DELETE, path, &[], None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        let url = address(&self.base, path)?;
        let reads = method == Method::GET;
        let request = self.client.request(method, url).bearer_auth(&self.token);
        let mut request = request.timeout(if reads {
            self.spans.reading
        } else {
            self.spans.changing
        });
        if !query.is_empty() {
            request = request.query(query);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let call = async {
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let called = if reads {
            call.await
        } else {
            patiently(call, self.spans.silence).await
        };
        let (status, bytes) = called.map_err(|error| {
            // Until it was connected nothing was sent, so nothing was done.
            if reads || error.is_connect() || error.is_builder() {
                self.unreachable(&error)
            } else {
                self.unanswered(&error)
            }
        })?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        Err(refused(status.as_u16(), &answer))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failed {
        let why = if error.is_timeout() {
            "it did not answer in time"
        } else {
            "nobody answers there"
        };
        Failed::new(
            "admin.unreachable",
            format!(
                "could not reach the admin API at `{}`: {why}; is the server running, and is --admin its address?",
                self.base
            ),
        )
    }

    fn unanswered(&self, error: &reqwest::Error) -> Failed {
        let why = if error.is_timeout() {
            "gave no answer in time"
        } else {
            "broke the connection before it answered"
        };
        Failed::new(
            "admin.unanswered",
            format!(
                "the admin API at `{}` {why}: it may have been done; look whether it was before you ask again",
                self.base
            ),
        )
    }
}

fn client(spans: Spans) -> Result<reqwest::Client, Failed> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this command calls the server of its own user, named on its command line"
    )]
    let client = reqwest::Client::builder()
        .connect_timeout(spans.connecting)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build();
    client.map_err(|error| Failed::new("admin.client", error.to_string()))
}

/// Waits for a call, and says once that it goes on.
async fn patiently<T>(call: impl Future<Output = T>, silence: Duration) -> T {
    let mut call = pin!(call);
    if let Ok(done) = tokio::time::timeout(silence, call.as_mut()).await {
        return done;
    }
    eprintln!("No answer yet; still waiting for the server.");
    call.await
}

/// Whether a text can be sent as a bearer token at all.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The address of a path, each part encoded.
fn address(base: &str, path: &[&str]) -> Result<reqwest::Url, Failed> {
    let invalid = || Failed::usage("admin.address", format!("`{base}` is no http or https URL"));
    let mut url = reqwest::Url::parse(base).map_err(|_| invalid())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid());
    }
    let mut segments = url.path_segments_mut().map_err(|()| invalid())?;
    segments.pop_if_empty().extend(["admin", "v1"]).extend(path);
    drop(segments);
    Ok(url)
}

fn refused(status: u16, answer: &Value) -> Failed {
    let text = |name: &str| {
        answer
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (code, description, request) =
        (text("error"), text("error_description"), text("request_id"));
    if code.is_empty() {
        return Failed::new(
            "admin.answer",
            format!(
                "the server answered {status} without a reason; is --admin its admin listener?"
            ),
        );
    }
    Failed::new(
        format!("admin.{code}"),
        format!("{description} (request {request})"),
    )
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A connection to an address that waits for a moment only.
    fn impatient(base: String) -> Connection {
        let spans = Spans {
            connecting: Duration::from_secs(30),
            reading: Duration::from_millis(200),
            changing: Duration::from_millis(400),
            silence: Duration::from_millis(100),
        };
        Connection {
            client: client(spans).unwrap(),
            base,
            token: "sym_adm_0123".to_owned(),
            spans,
            json: true,
        }
    }

    /// Somebody who can be connected to.
    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        (listener, base)
    }

    #[tokio::test]
    async fn what_a_silent_server_was_told_to_change_may_have_been_done() {
        let (listener, base) = listener().await;
        let connection = impatient(base);

        let read = connection.read(&["status"], &[]).await.unwrap_err();
        let told = connection.tell(&["keys:rotate"]).await.unwrap_err();
        let deleted = connection.delete(&["users", "alice"]).await.unwrap_err();

        assert_eq!(read.code, "admin.unreachable");
        for failed in [told, deleted] {
            assert_eq!(failed.code, "admin.unanswered");
            assert!(failed.message.contains("in time"), "{failed}");
            assert!(failed.message.contains("may have been done"), "{failed}");
        }
        drop(listener);
    }

    #[tokio::test]
    async fn what_a_server_was_told_that_hung_up_may_have_been_done() {
        let (listener, base) = listener().await;
        let hangs_up = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
        });

        let mut connection = impatient(base);
        connection.spans.changing = Duration::from_secs(30);

        let failed = connection.tell(&["keys:rotate"]).await.unwrap_err();

        hangs_up.await.unwrap();
        assert_eq!(failed.code, "admin.unanswered");
        assert!(failed.message.contains("broke the connection"), "{failed}");
    }

    #[tokio::test]
    async fn where_nobody_listens_nothing_was_done() {
        let (listener, base) = listener().await;
        drop(listener);

        let failed = impatient(base).tell(&["keys:rotate"]).await.unwrap_err();

        assert_eq!(failed.code, "admin.unreachable");
    }

    #[test]
    fn identifiers_that_are_addresses_stay_one_part_of_the_path() {
        let url = address(
            "http://127.0.0.1:8090",
            &["resources", "https://api.example.com/"],
        )
        .unwrap();
        assert_eq!(
            url.path(),
            "/admin/v1/resources/https:%2F%2Fapi.example.com%2F"
        );
        let url = address("http://host/below/", &["clients", "a b%2F", "secret"]).unwrap();
        assert_eq!(url.path(), "/below/admin/v1/clients/a%20b%252F/secret");
        assert!(address("file:///etc", &[]).is_err());
        assert!(address("nowhere", &[]).is_err());
    }

    #[test]
    fn a_token_is_one_line() {
        assert!(is_token("sym_adm_0123"));
        for other in ["", "one\ntwo", "one two", "t\u{f6}ken"] {
            assert!(!is_token(other), "{other:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_code_and_request() {
        let answer = serde_json::json!({"error": "not_found", "error_description": "there is no client `x`", "request_id": "req_1"});
        let failed = refused(404, &answer);
        assert_eq!(failed.code, "admin.not_found");
        assert_eq!(failed.message, "there is no client `x` (request req_1)");
        assert_eq!(refused(502, &Value::Null).code, "admin.answer");
    }
}
