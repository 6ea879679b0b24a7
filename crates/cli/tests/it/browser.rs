//! A browser without a screen: keeps cookies, follows redirects inside the
//! server, fills in forms, and remembers every secret that it saw.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use symbolon_token::Digest;

use crate::program::{Site, word};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.body))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name]
            .as_str()
            .unwrap_or_else(|| panic!("no `{name}` in {} {}", self.status, self.body))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What a redirect to the client says.
    pub(crate) fn response(&self) -> BTreeMap<String, String> {
        let location = self
            .header("location")
            .unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body));
        url::Url::parse(location)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect()
    }
}

pub(crate) fn http() -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "tests call their own server")]
    let builder = reqwest::Client::builder();
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub(crate) async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer {
        status,
        headers,
        body: response.text().await.unwrap(),
    }
}

/// One person's browser.
pub(crate) struct Browser<'s> {
    site: &'s Site,
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
    /// Cookies, transactions and codes.
    pub(crate) seen: Vec<String>,
}

/// An authorization request, with what redeems its code.
pub(crate) struct Request {
    pub(crate) pairs: BTreeMap<String, String>,
    pub(crate) verifier: String,
}

impl Request {
    pub(crate) fn new(site: &Site, client: &str, scope: &str) -> Self {
        let verifier = [word(), word(), word()].concat();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes());
        let (state, nonce) = (word(), word());
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
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { pairs, verifier }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.pairs.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn path(&self) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.pairs)
            .finish();
        format!("/authorize?{query}")
    }

    pub(crate) fn redemption<'f>(&'f self, code: &'f str) -> Vec<(&'f str, &'f str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.pairs["redirect_uri"]),
            ("code_verifier", &self.verifier),
        ]
    }
}

impl<'s> Browser<'s> {
    pub(crate) fn new(site: &'s Site) -> Self {
        Self {
            site,
            http: http(),
            cookies: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        form: Option<&[(String, String)]>,
    ) -> Answer {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.site.issuer));
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = read(request.send().await.unwrap()).await;
        for line in answer.headers.get_all("set-cookie") {
            let (name, value) = line
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .split_once('=')
                .unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.seen.push(value.to_owned());
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Follows redirects for as long as they stay inside the server.
    async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..10 {
            let Some(location) = answer.header("location").map(str::to_owned) else {
                return answer;
            };
            let inside = location.strip_prefix(&self.site.issuer).map(str::to_owned);
            let Some(path) = inside.or_else(|| location.starts_with('/').then(|| location.clone()))
            else {
                return answer;
            };
            answer = self.send(Method::GET, &path, None).await;
        }
        panic!("more than ten redirects");
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let answer = self.send(Method::GET, path, None).await;
        self.follow(answer).await
    }

    /// Sends the form of a page with some fields filled in.
    pub(crate) async fn submit(
        &mut self,
        path: &str,
        page: &Answer,
        fields: &[(&str, &str)],
    ) -> Answer {
        let mut form: Vec<(String, String)> = Vec::new();
        for name in ["transaction", "csrf"] {
            if let Some(value) = hidden(&page.body, name) {
                self.seen.push(value.clone());
                form.push((name.to_owned(), value));
            }
        }
        form.extend(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let answer = self.send(Method::POST, path, Some(&form)).await;
        self.follow(answer).await
    }

    /// Signs in and agrees to what is asked; the answer is the redirect to the client.
    pub(crate) async fn grant(&mut self, path: &str) -> Answer {
        let mut answer = self.get(path).await;
        let password = self.site.words.password.clone();
        if answer.body.contains(r#"id="login-submit""#) {
            answer = self
                .submit(
                    "/login",
                    &answer,
                    &[("username", "alice"), ("password", &password)],
                )
                .await;
        }
        if answer.body.contains(r#"id="consent-allow""#) {
            let ticked = ticked(&answer.body);
            let mut fields = vec![("decision", "allow")];
            fields.extend(ticked.iter().map(|scope| ("scope", scope.as_str())));
            answer = self.submit("/consent", &answer, &fields).await;
        }
        answer
    }

    /// The code of a whole flow.
    pub(crate) async fn code(&mut self, request: &Request) -> String {
        let answer = self.grant(&request.path()).await;
        let response = answer.response();
        let code = response
            .get("code")
            .unwrap_or_else(|| panic!("no code: {response:?}"))
            .clone();
        assert_eq!(response.get("state"), request.pairs.get("state"));
        assert_eq!(response.get("iss"), Some(&self.site.issuer));
        self.seen.push(code.clone());
        code
    }

    /// The tokens of a whole flow.
    pub(crate) async fn tokens(&mut self, request: &Request) -> Answer {
        let code = self.code(request).await;
        let answer = self
            .site
            .form(
                "/token",
                &request.pairs["client_id"],
                &request.redemption(&code),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }
}

impl Site {
    fn secret(&self, client: &str) -> &str {
        match client {
            "orders-api" => &self.words.api,
            "job" => &self.words.job,
            _ => &self.words.web,
        }
    }

    /// A form by a client with its secret in the header.
    pub(crate) async fn form(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        let request = http()
            .post(format!("{}{path}", self.issuer))
            .basic_auth(client, Some(self.secret(client)));
        read(request.form(form).send().await.unwrap()).await
    }

    pub(crate) async fn introspect(&self, token: &str) -> Value {
        let answer = self
            .form("/introspect", "orders-api", &[("token", token)])
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

/// The value of a hidden field.
pub(crate) fn hidden(html: &str, name: &str) -> Option<String> {
    let at = html.find(&format!(r#"name="{name}""#))?;
    let start = html[..at].rfind('<')?;
    let tag = &html[start..start + html[start..].find('>')?];
    let value = tag.split(r#"value=""#).nth(1)?.split('"').next()?;
    Some(value.replace("&amp;", "&").replace("&#38;", "&"))
}

/// The values of the scope boxes that are ticked.
fn ticked(html: &str) -> Vec<String> {
    let inputs = html
        .split("<input")
        .skip(1)
        .filter_map(|rest| rest.split('>').next());
    let boxes = inputs.filter(|tag| tag.contains(r#"name="scope""#) && tag.contains("checked"));
    boxes
        .filter_map(|tag| {
            Some(
                tag.split(r#"value=""#)
                    .nth(1)?
                    .split('"')
                    .next()?
                    .to_owned(),
            )
        })
        .collect()
}
