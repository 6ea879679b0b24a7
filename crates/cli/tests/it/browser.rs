//! Whom the tests of the binary send to it: a browser, and clients with what they ask.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use symbolon_server::testing::{self, challenge, send_form};

use crate::program::{Site, word};

pub(crate) use symbolon_server::testing::{Answer, Request, http, read, response};

/// One person's browser.
pub(crate) type Browser<'s> = testing::Browser<'s, Site>;

/// A request of a client, with a verifier, a state and a nonce of its own.
pub(crate) fn request(site: &Site, client: &str, scope: &str) -> Request {
    let verifier = [word(), word(), word()].concat();
    let (challenge, state, nonce) = (challenge(&verifier), word(), word());
    let pairs = [
        ("client_id", client),
        ("redirect_uri", &site.words.callback),
        ("response_type", "code"),
        ("scope", scope),
        ("state", &state),
        ("nonce", &nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let pairs: BTreeMap<_, _> = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Request { pairs, verifier }
}

impl testing::Site for Site {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let issuer = url::Url::parse(&self.issuer).unwrap();
        let (scheme, base) = (issuer.scheme(), issuer.path().trim_end_matches('/'));
        let host = format!("{}:{}", issuer.host_str().unwrap(), issuer.port().unwrap());
        self.http
            .request(method, format!("{scheme}://{}{base}{path}", self.listen))
            .header("host", host)
    }

    fn issuer(&self) -> String {
        self.issuer.clone()
    }

    fn password(&self) -> &str {
        &self.words.password
    }

    fn secret(&self, client: &str) -> Option<&str> {
        Some(match client {
            "orders-api" => &self.words.api,
            "job" => &self.words.job,
            "tv" | "mail" => return None,
            _ => &self.words.web,
        })
    }
}

impl Site {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        testing::Site::request(self, method, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// A form by a client with its secret in the header.
    pub(crate) async fn form(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        send_form(self, path, client, form).await
    }

    pub(crate) async fn introspect(&self, token: &str) -> Value {
        let answer = self
            .form("/introspect", "orders-api", &[("token", token)])
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}
