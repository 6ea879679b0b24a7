//! An answer of a server, read to its end, as tests look at it.

use std::net::IpAddr;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, which has to be text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.body))
    }

    /// A member of the body that is text.
    pub fn text(&self, name: &str) -> String {
        self.json()[name]
            .as_str()
            .unwrap_or_else(|| panic!("no `{name}` in {} {}", self.status, self.body))
            .to_owned()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The error code, whose answer must have the form that every refusal has.
    pub fn refusal(&self) -> String {
        assert!(self.status >= 400, "{} {}", self.status, self.body);
        let id = self.text("request_id");
        assert_eq!(self.header("x-request-id"), Some(&*id));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        self.text("error")
    }
}

/// A client that follows no redirect and trusts a test's own certificate.
pub fn http() -> reqwest::Client {
    http_from(None)
}

/// The same, calling from an address of this machine's own.
pub fn http_from(address: Option<IpAddr>) -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "tests call their own server")]
    let builder = reqwest::Client::builder();
    builder
        .no_proxy()
        .local_address(address)
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .build()
        .expect("a client")
}

/// Reads an answer to its end.
pub async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer {
        status,
        headers,
        body: response.text().await.expect("an answer that ends"),
    }
}
