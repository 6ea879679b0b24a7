//! Signing people in, and keeping what that brings: the code flow of a client
//! that has a server.
//!
//! Spec: RFC 9700 §2.1, §4.4, §4.7
//! Spec: RFC 7636 §4
//! Spec: RFC 9207 §2.4
//! Spec: RFC 8707 §2
//! Spec: OpenID Connect Core 1.0 §3.1
//!
//! [`Provider::begin`] gives the address to send a person to, and what to keep
//! in their browser until they are back; [`Provider::finish`] takes what they
//! come back with. Every answer has three values: tokens, the issuer's no
//! ([`Failed::Refused`]), and nobody can know ([`Failed::is_passing`]). The last
//! is never a reason to forget a login.

mod fetch;
mod found;
mod identity;
mod tokens;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use symbolon_protocol::Issuer;
use symbolon_token::{Clock, Digest, Entropy, Secret, random};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use self::fetch::Http;
use self::found::Found;

pub use identity::{Identity, LoggedOut};
pub use tokens::Tokens;

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// The issuer said no; the word is its error code.
    #[error("the issuer refused: {0}")]
    Refused(String),
    /// It could not be reached in time.
    #[error("the issuer could not be reached in time")]
    Unreachable,
    /// It answered that it cannot answer now.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// It answered something else.
    #[error("the issuer's answer is not {0}")]
    Malformed(&'static str),
    /// An address is neither https nor on this machine.
    #[error("an address of the issuer is neither https nor on this machine")]
    Address,
    /// What came back belongs to another sign-in, or to another issuer.
    #[error("what came back does not belong to this sign-in: {0}")]
    Mixed(&'static str),
    /// A token of the issuer's does not hold.
    #[error("the issuer's token does not hold: {0}")]
    Token(&'static str),
}

impl Failed {
    /// Whether trying later may help: nothing was decided.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Status(_))
    }
}

/// Why there can be no provider.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Misconfigured {
    /// The issuer's name.
    #[error("the issuer is no issuer identifier")]
    Issuer,
    /// What goes out could not be set up.
    #[error("could not set up what goes out")]
    Http,
}

/// Who a client is, and where people come back to.
#[derive(Debug)]
pub struct Registration {
    /// Who signs people in.
    pub issuer: String,
    /// The client's identifier.
    pub client_id: String,
    /// Its secret, shown as `client_secret_basic`.
    pub client_secret: Secret,
    /// Where people come back to.
    pub redirect_uri: String,
    /// PEM of authorities that are trusted besides the usual ones.
    pub authorities: Vec<Vec<u8>>,
}

/// An issuer that signs people in for a client. Clones are the same one.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    issuer: Issuer,
    own: Registration,
    http: Http,
    found: Found,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// What a sign-in asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The scopes.
    pub scopes: &'a [String],
    /// The APIs that tokens are wanted for.
    pub resources: &'a [String],
    /// What the ID token shall say of the person, where the issuer lets that be
    /// asked (OpenID Connect Core 1.0 §5.5).
    pub claims: &'a [&'static str],
    /// Other parameters: `prompt`, `acr_values`, `max_age`, `login_hint`.
    pub besides: &'a [(&'static str, String)],
}

/// A sign-in that has begun. Whoever comes back has to come back with it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct Begun {
    /// What goes along and comes back.
    pub state: String,
    nonce: String,
    verifier: String,
    resources: Vec<String>,
}

/// What a person comes back with.
#[derive(Clone, Copy, Debug)]
pub struct Returned<'a> {
    /// The code.
    pub code: &'a str,
    /// The state.
    pub state: &'a str,
    /// Whose answer it says it is.
    pub iss: Option<&'a str>,
}

impl Provider {
    /// Makes one. Nothing is fetched before it is needed.
    pub fn new(
        own: Registration,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Misconfigured> {
        let issuer: Issuer = own.issuer.parse().map_err(|_| Misconfigured::Issuer)?;
        let http = Http::new(&own.authorities).map_err(|_| Misconfigured::Http)?;
        Ok(Self(Arc::new(Inner {
            found: Found::new(issuer.clone(), http.clone(), Arc::clone(&clock)),
            issuer,
            own,
            http,
            clock,
            entropy,
        })))
    }

    /// Begins: the address to send a person to, and what to keep meanwhile.
    pub async fn begin(&self, asked: &Asked<'_>) -> Result<(Url, Begun), Failed> {
        let Inner {
            own,
            found,
            entropy,
            ..
        } = &*self.0;
        let drawn = || BASE64_URL_SAFE_NO_PAD.encode(random::<32>(&**entropy));
        let begun = Begun {
            state: drawn(),
            nonce: drawn(),
            verifier: drawn(),
            resources: asked.resources.to_vec(),
        };
        let challenge = Digest::of(begun.verifier.as_bytes());
        let endpoints = found.endpoints().await?;
        let mut address = fetch::checked(&endpoints.authorization_endpoint)?;
        {
            let mut query = address.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &own.client_id)
                .append_pair("redirect_uri", &own.redirect_uri)
                .append_pair("scope", &asked.scopes.join(" "))
                .append_pair("state", &begun.state)
                .append_pair("nonce", &begun.nonce)
                .append_pair(
                    "code_challenge",
                    &BASE64_URL_SAFE_NO_PAD.encode(challenge.as_bytes()),
                )
                .append_pair("code_challenge_method", "S256");
            for resource in asked.resources {
                query.append_pair("resource", resource);
            }
            if endpoints.takes_claims && !asked.claims.is_empty() {
                let wanted = asked.claims.iter();
                let wanted: Map<String, Value> = wanted
                    .map(|name| ((*name).to_owned(), Value::Null))
                    .collect();
                query.append_pair("claims", &json!({ "id_token": wanted }).to_string());
            }
            for (name, value) in asked.besides {
                query.append_pair(name, value);
            }
        }
        Ok((address, begun))
    }

    /// Checks that what came back belongs to this sign-in and this issuer. An
    /// answer that names no issuer passes only where the issuer names itself
    /// in none.
    pub async fn check_returned(
        &self,
        begun: &Begun,
        state: &str,
        iss: Option<&str>,
    ) -> Result<(), Failed> {
        if !Secret::from(begun.state.as_str()).matches(state.as_bytes()) {
            return Err(Failed::Mixed("state"));
        }
        let names_itself = self.0.found.endpoints().await?.names_itself;
        match iss {
            Some(iss) if iss == self.0.issuer.as_str() => Ok(()),
            None if !names_itself => Ok(()),
            _ => Err(Failed::Mixed("iss")),
        }
    }

    /// Redeems the code, and says who came. The access token is for the first
    /// of the resources, where there are any.
    pub async fn finish(
        &self,
        begun: &Begun,
        returned: &Returned<'_>,
    ) -> Result<(Tokens, Identity), Failed> {
        self.check_returned(begun, returned.state, returned.iss)
            .await?;
        let resource = begun.resources.first();
        let form = form(&[
            ("grant_type", Some("authorization_code")),
            ("code", Some(returned.code)),
            ("redirect_uri", Some(&self.0.own.redirect_uri)),
            ("code_verifier", Some(&begun.verifier)),
            ("resource", resource.map(String::as_str)),
        ]);
        let tokens = self.ask(form).await?;
        let id_token = tokens.id_token.as_ref();
        let id_token = id_token.ok_or(Failed::Malformed("an answer with an `id_token`"))?;
        let identity = self.identity(id_token.expose_str(), &begun.nonce).await?;
        Ok((tokens, identity))
    }

    /// Renews: the answer has an access token for one resource, and a refresh
    /// token that takes the place of the old one.
    pub async fn refresh(
        &self,
        refresh_token: &Secret,
        resource: Option<&str>,
    ) -> Result<Tokens, Failed> {
        let form = form(&[
            ("grant_type", Some("refresh_token")),
            ("refresh_token", Some(refresh_token.expose_str())),
            ("resource", resource),
        ]);
        self.ask(form).await
    }

    /// Takes a token back.
    ///
    /// Spec: RFC 7009 §2.1
    pub async fn revoke(&self, token: &Secret) -> Result<(), Failed> {
        let endpoints = self.0.found.endpoints().await?;
        let Some(address) = &endpoints.revocation_endpoint else {
            return Err(Failed::Malformed("metadata with a `revocation_endpoint`"));
        };
        let form = form(&[("token", Some(token.expose_str()))]);
        let credentials = self.credentials();
        let sent = self.0.http.send(address, &credentials, form);
        match sent.await?.status.as_u16() {
            200 => Ok(()),
            status => Err(Failed::Status(status)),
        }
    }

    /// Where a person ends their session at the issuer, where it offers that.
    ///
    /// Spec: OpenID Connect RP-Initiated Logout 1.0 §2
    pub async fn end_session_address(&self, hint: Option<&Secret>, back_to: &str) -> Option<Url> {
        let endpoints = self.0.found.endpoints().await.ok()?;
        let mut address = fetch::checked(endpoints.end_session_endpoint.as_deref()?).ok()?;
        {
            let mut query = address.query_pairs_mut();
            query
                .append_pair("client_id", &self.0.own.client_id)
                .append_pair("post_logout_redirect_uri", back_to);
            if let Some(hint) = hint {
                query.append_pair("id_token_hint", hint.expose_str());
            }
        }
        Some(address)
    }

    async fn ask(&self, form: String) -> Result<Tokens, Failed> {
        let endpoints = self.0.found.endpoints().await?;
        let (address, credentials) = (&endpoints.token_endpoint, self.credentials());
        let sent = self.0.http.send(address, &credentials, form);
        Tokens::read(&sent.await?, self.0.clock.now())
    }

    /// Spec: RFC 6749 §2.3.1
    fn credentials(&self) -> String {
        let own = &self.0.own;
        let half = |text: &[u8]| byte_serialize(text).collect::<String>();
        let (id, secret) = (
            half(own.client_id.as_bytes()),
            half(own.client_secret.expose()),
        );
        format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Provider");
        shown.field("issuer", &self.0.issuer);
        shown.field("client_id", &self.0.own.client_id);
        shown.finish_non_exhaustive()
    }
}

/// A form of what there is.
fn form(pairs: &[(&str, Option<&str>)]) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    form.finish()
}
