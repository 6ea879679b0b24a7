//! A browser without a screen: keeps cookies, follows redirects inside the
//! server, fills in forms, and remembers every secret that it saw.

use std::collections::BTreeMap;
use std::future::Future;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Method, RequestBuilder};
use symbolon_token::Digest;
use url::Url;

use super::answer::{Answer, read};

/// The verifier of requests that bring none of their own.
pub const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";

/// A server that a browser can be pointed at.
pub trait Site {
    /// A request to a path below the issuer, whichever node it goes to.
    fn request(&self, method: Method, path: &str) -> RequestBuilder;
    /// The issuer, as it names itself.
    fn issuer(&self) -> String;
    /// The password of everybody there.
    fn password(&self) -> &str;
    /// The secret of a client, unless it is a public one.
    fn secret(&self, client: &str) -> Option<&str>;
}

/// Sends a form by a client, with its secret in the header.
pub fn send_form<S: Site>(
    site: &S,
    path: &str,
    client: &str,
    form: &[(&str, &str)],
) -> impl Future<Output = Answer> + use<S> {
    let request = site.request(Method::POST, path);
    let request = match site.secret(client) {
        Some(secret) => request.form(form).basic_auth(client, Some(secret)),
        None => request.form(&[form, &[("client_id", client)]].concat()),
    };
    async move { read(request.send().await.expect("an answer")).await }
}

/// An authorization request, as a browser takes it to the server.
pub trait Asking {
    /// The parameters.
    fn pairs(&self) -> &BTreeMap<String, String>;
    /// What the challenge was made from.
    fn verifier(&self) -> &str;
}

impl Asking for BTreeMap<String, String> {
    fn pairs(&self) -> &BTreeMap<String, String> {
        self
    }

    fn verifier(&self) -> &str {
        VERIFIER
    }
}

/// An authorization request with a verifier of its own.
#[derive(Clone, Debug)]
pub struct Request {
    /// The parameters.
    pub pairs: BTreeMap<String, String>,
    /// What the challenge was made from.
    pub verifier: String,
}

impl Asking for Request {
    fn pairs(&self) -> &BTreeMap<String, String> {
        &self.pairs
    }

    fn verifier(&self) -> &str {
        &self.verifier
    }
}

impl Request {
    /// Changes one parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.pairs.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Where a browser is sent with it.
    pub fn path(&self) -> String {
        format!("/authorize?{}", encode(&self.pairs))
    }

    /// The form that redeems its code.
    pub fn redemption<'f>(&'f self, code: &'f str) -> Vec<(&'f str, &'f str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.pairs["redirect_uri"]),
            ("code_verifier", &self.verifier),
        ]
    }
}

/// One person's browser.
pub struct Browser<'s, S> {
    /// Where it goes.
    pub server: &'s S,
    /// The cookies that it holds.
    pub cookies: BTreeMap<String, String>,
    /// Cookies, transactions and codes that it saw.
    pub seen: Vec<String>,
    /// What it asked for: method and path.
    pub visited: Vec<(Method, String)>,
}

impl<'s, S: Site> Browser<'s, S> {
    /// A browser that was never anywhere.
    pub fn new(server: &'s S) -> Self {
        Self {
            server,
            cookies: BTreeMap::new(),
            seen: Vec::new(),
            visited: Vec::new(),
        }
    }

    /// The cookies, as a request carries them.
    pub fn cookie_line(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    /// Sends one request and follows nothing.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        form: Option<&[(String, String)]>,
    ) -> Answer {
        self.visited.push((method.clone(), path.to_owned()));
        let mut request = self.server.request(method, path);
        if !self.cookies.is_empty() {
            request = request.header("cookie", self.cookie_line());
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = read(request.send().await.expect("an answer")).await;
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("a cookie of ASCII");
            let pair = line.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.expect("a cookie with a name");
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
    pub async fn follow(&mut self, mut answer: Answer) -> Answer {
        let issuer = self.server.issuer();
        let base = Url::parse(&issuer).expect("an issuer is a URL");
        let base = base.path().trim_end_matches('/');
        for _ in 0..10 {
            let Some(location) = answer.header("location").map(str::to_owned) else {
                return answer;
            };
            assert_eq!(answer.status, 303, "every redirect is 303");
            let inside = location.strip_prefix(&issuer);
            let local = || {
                location
                    .strip_prefix(base)
                    .filter(|_| location.starts_with('/'))
            };
            let Some(path) = inside.or_else(local).map(str::to_owned) else {
                return answer;
            };
            answer = self.send(Method::GET, &path, None).await;
        }
        panic!("more than ten redirects");
    }

    /// Opens an address.
    pub async fn get(&mut self, path: &str) -> Answer {
        let answer = self.send(Method::GET, path, None).await;
        self.follow(answer).await
    }

    /// Brings a request to the server.
    pub async fn authorize(&mut self, request: &impl Asking) -> Answer {
        self.get(&format!("/authorize?{}", encode(request.pairs())))
            .await
    }

    /// Sends the form of a page with some fields filled in.
    pub async fn submit(&mut self, path: &str, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let mut form: Vec<(String, String)> = Vec::new();
        for name in ["transaction", "csrf"] {
            if let Some(value) = hidden(&page.body, name) {
                self.seen.push(value.clone());
                form.push((name.to_owned(), value));
            }
        }
        let fields = fields.iter();
        form.extend(fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let answer = self.send(Method::POST, path, Some(&form)).await;
        self.follow(answer).await
    }

    /// Signs in on the page that asks for it.
    pub async fn sign_in(&mut self, page: &Answer, username: &str, password: &str) -> Answer {
        let fields = [("username", username), ("password", password)];
        self.submit("/login", page, &fields).await
    }

    /// Signs in and agrees; the answer is the redirect to the client, or a
    /// page where something else came of it.
    pub async fn grant(&mut self, username: &str, request: &impl Asking) -> Answer {
        let path = format!("/authorize?{}", encode(request.pairs()));
        self.grant_at(username, &path).await
    }

    /// The same for an address that a client made.
    pub async fn grant_at(&mut self, username: &str, path: &str) -> Answer {
        let mut answer = self.get(path).await;
        if answer.body.contains(r#"id="login-submit""#) {
            let password = self.server.password().to_owned();
            answer = self.sign_in(&answer, username, &password).await;
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
    pub async fn code(&mut self, username: &str, request: &impl Asking) -> String {
        let answer = self.grant(username, request).await;
        let response = response(&answer);
        let code = response
            .get("code")
            .unwrap_or_else(|| panic!("no code: {response:?} {}", answer.body))
            .clone();
        assert_eq!(response.get("state"), request.pairs().get("state"));
        assert_eq!(response.get("iss"), Some(&self.server.issuer()));
        self.seen.push(code.clone());
        code
    }

    /// The tokens of a whole flow.
    pub async fn tokens(&mut self, username: &str, request: &impl Asking) -> Answer {
        let code = self.code(username, request).await;
        let pairs = request.pairs();
        let mut form = redemption(&code, &pairs["redirect_uri"]);
        form.retain(|(name, _)| *name != "code_verifier");
        form.push(("code_verifier", request.verifier()));
        let answer = send_form(self.server, "/token", &pairs["client_id"], &form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }
}

/// The challenge of a verifier.
pub fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes())
}

/// Parameters as an address or a form carries them.
pub fn encode(pairs: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The form that redeems a code under [`VERIFIER`].
pub fn redemption<'f>(code: &'f str, redirect_uri: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
    ]
}

/// What a redirect to the client says.
pub fn response(answer: &Answer) -> BTreeMap<String, String> {
    let location = answer
        .header("location")
        .unwrap_or_else(|| panic!("no redirect: {} {}", answer.status, answer.body));
    Url::parse(location)
        .expect("a redirect leads to a URL")
        .query_pairs()
        .into_owned()
        .collect()
}

/// The value of a hidden field.
pub fn hidden(html: &str, name: &str) -> Option<String> {
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
