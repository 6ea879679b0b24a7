//! A browser without a screen: keeps cookies, follows redirects inside the
//! server, fills in forms.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use symbolon_token::Digest;

use crate::harness::{Answer, CALLBACK, PASSWORD, Server, read};

/// The verifier of every flow here.
pub(crate) const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";

/// The challenge of a verifier.
pub(crate) fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes())
}

/// One person's browser.
pub(crate) struct Browser<'a> {
    pub(crate) server: &'a Server,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// An authorization request: valid, until a test changes one part.
pub(crate) fn request() -> BTreeMap<String, String> {
    let challenge = challenge(VERIFIER);
    let pairs = [
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid offline_access read:orders"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub(crate) fn encode(pairs: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

impl<'a> Browser<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        Self {
            server,
            cookies: BTreeMap::new(),
        }
    }

    async fn send(
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
        let mut request = self.server.request(method, path);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = read(request.send().await.unwrap()).await;
        for line in answer.headers.get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Follows redirects for as long as they stay inside the server.
    pub(crate) async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..10 {
            let Some(location) = answer.header("location").map(str::to_owned) else {
                return answer;
            };
            assert_eq!(answer.status, 303, "every redirect is 303");
            let name = self.server.name();
            let inside = location.strip_prefix(&name).map(str::to_owned);
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

    pub(crate) async fn authorize(&mut self, request: &BTreeMap<String, String>) -> Answer {
        self.get(&format!("/authorize?{}", encode(request))).await
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

    /// Signs in and agrees; the answer is the redirect to the client, or a
    /// page where something else came of it.
    pub(crate) async fn grant(
        &mut self,
        username: &str,
        request: &BTreeMap<String, String>,
    ) -> Answer {
        let mut answer = self.authorize(request).await;
        if answer.body.contains(r#"id="login-submit""#) {
            answer = self
                .submit(
                    "/login",
                    &answer,
                    &[("username", username), ("password", PASSWORD)],
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
    pub(crate) async fn code(
        &mut self,
        username: &str,
        request: &BTreeMap<String, String>,
    ) -> String {
        let answer = self.grant(username, request).await;
        let response = response(&answer);
        response
            .get("code")
            .unwrap_or_else(|| panic!("no code: {response:?} {}", answer.body))
            .clone()
    }

    /// The tokens of a whole flow.
    pub(crate) async fn tokens(
        &mut self,
        username: &str,
        request: &BTreeMap<String, String>,
    ) -> Answer {
        let code = self.code(username, request).await;
        let (client, uri) = (
            request["client_id"].clone(),
            request["redirect_uri"].clone(),
        );
        let answer = self.server.token(&client, &redemption(&code, &uri)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }
}

/// The form that redeems a code.
pub(crate) fn redemption<'f>(code: &'f str, redirect_uri: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ]
}

/// What a redirect to the client says.
pub(crate) fn response(answer: &Answer) -> BTreeMap<String, String> {
    let location = answer
        .header("location")
        .unwrap_or_else(|| panic!("no redirect: {} {}", answer.status, answer.body));
    url::Url::parse(location)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
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
