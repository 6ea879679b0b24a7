//! The one way out: the issuer, over https or on this machine, without proxies
//! from the environment and without redirects.

use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Map, Value};
use symbolon_protocol::uri::is_loopback;
use symbolon_token::jose::json;
use url::Url;

use super::Failed;

/// How large an answer may be, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long reading a document may take in all.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one exchange may take in all.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What the issuer answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The JSON object that it is; no member twice.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Failed> {
        json::object(&self.body).map_err(|_| Failed::Malformed("a JSON object"))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Http(reqwest::Client);

impl Http {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one outbound fetcher of this library"
    )]
    pub(super) fn new(authorities: &[Vec<u8>]) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .user_agent(concat!("symbolon-client/", env!("CARGO_PKG_VERSION")));
        for pem in authorities {
            for one in reqwest::Certificate::from_pem_bundle(pem)? {
                builder = builder.add_root_certificate(one);
            }
        }
        builder.build().map(Self)
    }

    /// Reads a document.
    pub(super) async fn read(&self, address: &str) -> Result<Answer, Failed> {
        let request = self.0.get(checked(address)?).timeout(READ_TIMEOUT);
        receive(request.header(ACCEPT, "application/json")).await
    }

    /// Sends a form with credentials of ours.
    pub(super) async fn send(
        &self,
        address: &str,
        authorization: &str,
        form: String,
    ) -> Result<Answer, Failed> {
        let request = self
            .0
            .post(checked(address)?)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        receive(request).await
    }
}

/// Whether an address may be asked at all.
pub(super) fn checked(address: &str) -> Result<Url, Failed> {
    let url = Url::parse(address).map_err(|_| Failed::Address)?;
    let allowed = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let bare = url.username().is_empty() && url.password().is_none();
    match allowed && bare {
        true => Ok(url),
        false => Err(Failed::Address),
    }
}

async fn receive(request: reqwest::RequestBuilder) -> Result<Answer, Failed> {
    let unreachable = |_| Failed::Unreachable;
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Failed::Malformed("an answer of at most 256 KiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}
