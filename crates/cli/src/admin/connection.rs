//! The admin API, spoken to.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{Failed, Target};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server to administrate.
pub(super) struct Connection {
    client: reqwest::Client,
    base: String,
    token: String,
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
        #[expect(
            clippy::disallowed_methods,
            reason = "this command calls the server of its own user, named on its command line"
        )]
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        let client = client.map_err(|error| Failed::new("admin.client", error.to_string()))?;
        Ok(Self {
            client,
            base: target.admin.trim_end_matches('/').to_owned(),
            token: text.trim().to_owned(),
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
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if !query.is_empty() {
            request = request.query(query);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let bytes = response
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
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
    use super::*;

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
