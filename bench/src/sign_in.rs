//! One person's browser, as far as it takes to open refresh families: signs in
//! once, then asks for one code after another.
//!
//! Spec: OAuth 2.1 §4.1
//! Spec: RFC 7636 §4.1, §4.2

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_token::Digest;

use crate::server::{CALLBACK, PASSWORD, USERNAME, redemption};
use crate::wire::{Answer, Request};

const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";
/// How many redirects one page may take.
const REDIRECTS: usize = 10;

/// The refresh tokens of new families, each opened by a code of its own.
pub(crate) fn families(address: SocketAddr, count: usize) -> Result<Vec<String>> {
    families_of(USERNAME, address, count)
}

/// The same of somebody whom [`people`](crate::server::people) made.
pub(crate) fn families_of(
    username: &str,
    address: SocketAddr,
    count: usize,
) -> Result<Vec<String>> {
    let mut browser = Browser {
        username: username.to_owned(),
        address,
        cookies: BTreeMap::new(),
    };
    (0..count)
        .map(|_| {
            let code = browser.code()?;
            let answer = redemption(&code, VERIFIER).ask(address)?;
            answer.text("refresh_token")
        })
        .collect()
}

struct Browser {
    username: String,
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
}

/// Where following redirects ended.
enum Arrived {
    /// At a page.
    Page(Answer),
    /// Back at the client, with this query.
    Client(String),
}

impl Browser {
    fn code(&mut self) -> Result<String> {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Digest::of(VERIFIER.as_bytes()).as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", "web"),
                ("redirect_uri", CALLBACK),
                ("response_type", "code"),
                ("scope", "offline_access read:orders"),
                ("state", "the-state"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        let mut arrived = self.follow(&Request::get(&format!("/authorize?{query}")))?;
        if let Arrived::Page(page) = &arrived
            && page.body.contains(r#"id="login-submit""#)
        {
            let username = self.username.clone();
            let fields = [("username", username.as_str()), ("password", PASSWORD)];
            arrived = self.submit("/login", page, &fields)?;
        }
        if let Arrived::Page(page) = &arrived
            && page.body.contains(r#"id="consent-allow""#)
        {
            let scopes = ticked(&page.body);
            let mut fields = vec![("decision", "allow")];
            fields.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
            arrived = self.submit("/consent", page, &fields)?;
        }
        match arrived {
            Arrived::Client(query) => form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == "code")
                .map(|(_, code)| code.into_owned())
                .with_context(|| format!("no code came back: {query}")),
            Arrived::Page(page) => bail!("no code: {} {}", page.status, page.body),
        }
    }

    /// Sends the form of a page with some fields filled in.
    fn submit(&mut self, path: &str, page: &Answer, fields: &[(&str, &str)]) -> Result<Arrived> {
        let mut form = Vec::new();
        for name in ["transaction", "csrf"] {
            if let Some(value) = hidden(&page.body, name) {
                form.push((name.to_owned(), value));
            }
        }
        let filled = fields.iter();
        form.extend(filled.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.follow(&Request::form(path, &form))
    }

    /// Sends a request and follows redirects for as long as they stay here.
    fn follow(&mut self, request: &Request) -> Result<Arrived> {
        let mut answer = self.send(request)?;
        for _ in 0..REDIRECTS {
            let Some(location) = answer.headers("location").next().map(str::to_owned) else {
                return Ok(Arrived::Page(answer));
            };
            if let Some(query) = location.strip_prefix(CALLBACK) {
                return Ok(Arrived::Client(query.trim_start_matches('?').to_owned()));
            }
            let own = format!("http://{}", self.address);
            let path = location.strip_prefix(&own).unwrap_or(&location);
            answer = self.send(&Request::get(path))?;
        }
        bail!("more than {REDIRECTS} redirects")
    }

    fn send(&mut self, request: &Request) -> Result<Answer> {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = match cookies.is_empty() {
            true => request.clone(),
            false => request.clone().header("cookie", &cookies.join("; ")),
        };
        let answer = request.send(self.address)?;
        for line in answer.headers("set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }
}

/// The value of a hidden field.
fn hidden(html: &str, name: &str) -> Option<String> {
    let at = html.find(&format!(r#"name="{name}""#))?;
    let start = html[..at].rfind('<')?;
    let tag = html[start..].split('>').next()?;
    value(tag)
}

/// The scopes whose boxes are ticked.
fn ticked(html: &str) -> Vec<String> {
    let inputs = html.split("<input").skip(1);
    inputs
        .filter_map(|rest| rest.split('>').next())
        .filter(|tag| tag.contains(r#"name="scope""#) && tag.contains("checked"))
        .filter_map(value)
        .collect()
}

fn value(tag: &str) -> Option<String> {
    let value = tag.split(r#"value=""#).nth(1)?.split('"').next()?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&"))
}
