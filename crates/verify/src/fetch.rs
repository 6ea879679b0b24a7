//! The one way out: small documents from the issuer, over https or from this
//! machine, without proxies from the environment and without redirects.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName};
use symbolon_protocol::Timestamp;
use symbolon_protocol::uri::is_loopback;
use url::Url;

/// How large an answer may be, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one exchange may take in all.
pub(crate) const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stream may take to begin.
pub(crate) const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream may last.
const STREAM_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Why something could not be fetched. No case shows what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("`{0}` is neither https nor on this machine")]
    Address(String),
    #[error("the issuer could not be reached in time")]
    Unreachable,
    #[error("the issuer answered with status {0}")]
    Status(u16),
    #[error("the answer is larger than 256 KiB")]
    TooLarge,
    #[error("the answer is not {0}")]
    Malformed(&'static str),
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    /// For how long the issuer lets it be kept.
    pub(crate) max_age: Option<Duration>,
    /// What time the issuer says it is.
    pub(crate) date: Option<Timestamp>,
}

/// Why authorities cannot be trusted.
#[derive(Debug)]
pub(crate) enum NoAuthority {
    /// The text holds no certificate.
    None,
    /// The stack does not take one of them.
    Refused(reqwest::Error),
}

#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    /// Trusted besides the machine's own.
    authorities: Vec<reqwest::Certificate>,
    /// Answers in place of the network, in tests of an API.
    #[cfg(any(test, feature = "testing"))]
    responder: Option<crate::testing::Responder>,
}

impl Http {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one outbound fetcher of this library"
    )]
    fn with(authorities: Vec<reqwest::Certificate>) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .pool_max_idle_per_host(16)
            .user_agent(concat!("symbolon-verify/", env!("CARGO_PKG_VERSION")));
        for one in &authorities {
            builder = builder.add_root_certificate(one.clone());
        }
        Ok(Self {
            client: builder.build()?,
            authorities,
            #[cfg(any(test, feature = "testing"))]
            responder: None,
        })
    }

    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        Self::with(Vec::new())
    }

    /// The same, that trusts the certificates of a PEM text as well.
    pub(crate) fn trusting(&self, pem: &[u8]) -> Result<Self, NoAuthority> {
        let read = reqwest::Certificate::from_pem_bundle(pem).map_err(NoAuthority::Refused)?;
        if read.is_empty() {
            return Err(NoAuthority::None);
        }
        let authorities = [&self.authorities[..], &read].concat();
        let made = Self::with(authorities).map_err(NoAuthority::Refused)?;
        let mut own = self.clone();
        (own.client, own.authorities) = (made.client, made.authorities);
        Ok(own)
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn answer_by(&mut self, responder: crate::testing::Responder) {
        self.responder = Some(responder);
    }

    /// What a test answers; `None` where the network is asked.
    #[cfg(any(test, feature = "testing"))]
    fn answered(&self, address: &str, form: Option<&str>) -> Option<Result<Answer, FetchError>> {
        let responder = self.responder.as_ref()?;
        let answer = responder(address, form).map(|document| Answer {
            body: document.to_string().into_bytes(),
            max_age: None,
            date: None,
        });
        Some(answer.ok_or(FetchError::Unreachable))
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "only a test answers by itself")]
    const fn answered(&self, _: &str, _: Option<&str>) -> Option<Result<Answer, FetchError>> {
        None
    }

    /// Reads a document.
    pub(crate) async fn read(&self, address: &str) -> Result<Answer, FetchError> {
        if let Some(answer) = self.answered(address, None) {
            return answer;
        }
        let request = self.client.get(checked(address)?);
        receive(request.header(ACCEPT, "application/json")).await
    }

    /// Sends a form with credentials of ours.
    pub(crate) async fn send(
        &self,
        address: &str,
        authorization: &str,
        form: String,
    ) -> Result<Answer, FetchError> {
        if let Some(answer) = self.answered(address, Some(&form)) {
            return answer;
        }
        let request = self
            .client
            .post(checked(address)?)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        receive(request).await
    }

    /// Opens a stream of events with credentials of ours, from a place on.
    pub(crate) async fn stream(
        &self,
        address: &str,
        authorization: &str,
        asked: &[(&str, &str)],
        place: Option<&str>,
    ) -> Result<Stream, FetchError> {
        let mut address = checked(address)?;
        address.query_pairs_mut().extend_pairs(asked);
        let mut request = self
            .client
            .get(address)
            .timeout(STREAM_TIMEOUT)
            .header(ACCEPT, "text/event-stream")
            .header(AUTHORIZATION, authorization);
        if let Some(place) = place {
            request = request.header(LAST_EVENT_ID, place);
        }
        let opened = tokio::time::timeout(OPEN_TIMEOUT, request.send()).await;
        let response = opened.map_err(|_| FetchError::Unreachable)?;
        let response = response.map_err(|_| FetchError::Unreachable)?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("text/event-stream") {
            return Err(FetchError::Malformed("a stream of events"));
        }
        Ok(Stream(response))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// A stream of events, to be read bit by bit.
#[derive(Debug)]
pub(crate) struct Stream(reqwest::Response);

impl Stream {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, FetchError> {
        let chunk = self.0.chunk().await;
        chunk.map_err(|_| FetchError::Unreachable)
    }
}

/// Whether an address may be fetched at all.
pub(crate) fn checked(address: &str) -> Result<Url, FetchError> {
    let refused = || FetchError::Address(address.chars().take(200).collect());
    let url = Url::parse(address).map_err(|_| refused())?;
    let allowed = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let bare = url.username().is_empty() && url.password().is_none();
    if allowed && bare {
        Ok(url)
    } else {
        Err(refused())
    }
}

async fn receive(request: reqwest::RequestBuilder) -> Result<Answer, FetchError> {
    let mut response = request.send().await.map_err(|_| FetchError::Unreachable)?;
    if response.status() != http::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let (max_age, date) = (max_age(response.headers()), date(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|_| FetchError::Unreachable)?
    {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        body,
        max_age,
        date,
    })
}

/// The one form of a date that is still written: `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// Spec: RFC 9110 §5.6.7
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let text = headers.get(DATE)?.to_str().ok()?;
    let words: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = words[..] else {
        return None;
    };
    let month = MONTHS
        .find(month)
        .filter(|at| at % 3 == 0 && month.len() == 3)?
        / 3
        + 1;
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

/// What `Cache-Control` allows; `no-store` and `no-cache` allow nothing.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let mut found = None;
    for value in headers.get_all(CACHE_CONTROL) {
        for word in value.to_str().unwrap_or_default().split(',') {
            let word = word.trim().to_ascii_lowercase();
            if matches!(word.as_str(), "no-store" | "no-cache") {
                return Some(Duration::ZERO);
            }
            if let Some(seconds) = word.strip_prefix("max-age=") {
                found = seconds
                    .trim_matches('"')
                    .parse()
                    .ok()
                    .map(Duration::from_secs);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_fetched() {
        for good in [
            "https://as.example/jwks",
            "http://127.0.0.1:1/x",
            "http://localhost/x",
        ] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "http://as.example/jwks",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "https://user:password@as.example/",
            "//as.example",
            "",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_date_of_an_answer_is_read_in_its_one_form() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, text.parse().unwrap());
            date(&headers).map(|own| own.to_string())
        };
        let expected = Some("1994-11-06T08:49:37Z".to_owned());
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        for bad in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 anF 1994 08:49:37 GMT",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn cache_control_is_read_and_forbidding_wins() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().unwrap());
            max_age(&headers)
        };
        assert_eq!(of("public, Max-Age=300"), Some(Duration::from_secs(300)));
        assert_eq!(of("max-age=300, no-cache"), Some(Duration::ZERO));
        assert_eq!(of("max-age=abc"), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
