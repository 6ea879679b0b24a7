//! The kinds of token, and how a person or a partner's subject gets one.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::testing::{Answer, Browser, Request, read};
use symbolon_token::jose::{SigningKey, Unverified};

use super::api::proof_with;
use super::partner::signing_key;
use super::{APP, HUB, IMPORTER, PAIRWISE, World};
use crate::browser::request;
use crate::configuration::{ORDERS, VAULT};
use crate::program::Site;

/// An API whose tokens are macaroons.
pub(super) const NOTES: &str = "https://notes.example.com";
/// An API to which whoever shows an ID token may go on.
pub(super) const SAFE: &str = "https://safe.example.com";
/// An API whose tokens are encrypted to it.
pub(super) const DEPOT: &str = "https://depot.example.com";

pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Jwt,
    Opaque,
    Macaroon,
    /// One that its holder narrowed, without a word to any server.
    Narrowed,
    /// A JWT that is bound to a key.
    Bound,
    /// A JWT that names its subject as one client knows it.
    Pairwise,
    /// A JWT inside a JWE.
    Encrypted,
    /// A JWT that was exchanged for another, which is what is taken back.
    Exchanged,
    /// An assertion that was exchanged for a JWT. No API here takes it, but
    /// every node exchanges it.
    Saml,
    /// An ID token, which opens nothing, and is exchanged by every node.
    Id,
    ApiKey,
    /// A JWT by which the application acts for somebody.
    Delegated,
    /// A JWT that a device was given.
    Device,
    /// A refresh token: every node renews it.
    Refresh,
}

impl Kind {
    pub(super) const ALL: [Self; 14] = [
        Self::Jwt,
        Self::Opaque,
        Self::Macaroon,
        Self::Narrowed,
        Self::Bound,
        Self::Pairwise,
        Self::Encrypted,
        Self::Exchanged,
        Self::Saml,
        Self::Id,
        Self::ApiKey,
        Self::Delegated,
        Self::Device,
        Self::Refresh,
    ];

    pub(super) const fn resource(self) -> &'static str {
        match self {
            Self::Opaque | Self::ApiKey => VAULT,
            Self::Macaroon | Self::Narrowed => NOTES,
            Self::Encrypted => DEPOT,
            _ => ORDERS,
        }
    }

    pub(super) const fn scope(self) -> &'static str {
        match self {
            Self::Opaque | Self::ApiKey => "read:vault",
            Self::Macaroon | Self::Narrowed => "read:notes",
            Self::Encrypted => "read:depot",
            _ => "read:orders",
        }
    }

    /// The client that has it.
    pub(super) const fn client(self) -> &'static str {
        match self {
            Self::Pairwise => PAIRWISE,
            Self::Device => HUB,
            _ => APP,
        }
    }

    /// What the key is for that makes it, and by which algorithm. The digests of
    /// an API key and of a refresh token are made with keys that nobody distrusts
    /// alone.
    pub(super) const fn key(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::Saml | Self::Id => Some(("signing", Some("RS256"))),
            Self::Opaque => Some(("access-token", None)),
            Self::Macaroon | Self::Narrowed => Some(("macaroon", None)),
            Self::ApiKey | Self::Refresh => None,
            _ => Some(("signing", Some("ES256"))),
        }
    }

    /// Whether an API lets it in.
    pub(super) fn is_for_apis(self) -> bool {
        !matches!(self, Self::Saml | Self::Id | Self::Refresh)
    }
}

/// A token that somebody holds.
pub(super) struct Held {
    pub(super) access: String,
    /// What it was exchanged for.
    pub(super) parent: Option<String>,
    /// Where it was got for a person.
    pub(super) refresh: Option<String>,
    pub(super) session: Option<String>,
    /// The key that it is bound to.
    pub(super) key: Option<SigningKey>,
}

impl World {
    /// A token of a kind for alice, as a member of her organization.
    pub(super) async fn sign_in(&mut self, kind: Kind, scope: &str) -> Held {
        if kind == Kind::ApiKey {
            return self.api_key().await;
        }
        let site = &self.nodes[0];
        let scope = format!("{scope} {}", kind.scope());
        let asked = request(site, kind.client(), &scope)
            .with("resource", kind.resource())
            .with("organization", "acme");
        let mut browser = Browser {
            cookies: std::mem::take(&mut self.cookies),
            ..Browser::new(site)
        };
        if kind == Kind::Device {
            let code = connect(&mut browser, &asked).await;
            self.cookies = browser.cookies;
            let form = [("grant_type", DEVICE_CODE), ("device_code", &*code)];
            return self.redeem(kind, HUB, &form).await;
        }
        let code = browser.code("alice", &asked).await;
        self.cookies = browser.cookies;
        let form = asked.redemption(&code);
        self.redeem(kind, kind.client(), &form).await
    }

    /// A token of a kind by a partner's assertion.
    pub(super) async fn import(&self, kind: Kind) -> Held {
        let assertion = self.partner.assertion(&self.first().issuer);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &*assertion),
        ];
        self.redeem(kind, IMPORTER, &form).await
    }

    async fn api_key(&self) -> Held {
        let asked = json!({
            "name": "a key", "client": APP, "user": "alice", "organization": "acme",
            "scopes": [Kind::ApiKey.scope()], "resources": [Kind::ApiKey.resource()],
        });
        let made = self.admin(Method::POST, "api-keys", asked).await;
        Held {
            access: made.text("key"),
            parent: None,
            refresh: None,
            session: None,
            key: None,
        }
    }

    /// What a client gets for a token in an exchange at a node.
    async fn exchange(&self, node: usize, client: &str, token: (&str, &str), to: &str) -> Answer {
        self.exchange_as((node, client), token, to, None).await
    }

    /// The same, for somebody who acts.
    async fn exchange_as(
        &self,
        (node, client): (usize, &str),
        token: (&str, &str),
        to: &str,
        actor: Option<&str>,
    ) -> Answer {
        let resource = if token.0 == ID_TOKEN { SAFE } else { ORDERS };
        let mut form = vec![
            ("grant_type", EXCHANGE),
            ("subject_token_type", token.0),
            ("subject_token", token.1),
            ("requested_token_type", to),
            ("resource", resource),
        ];
        if let Some(actor) = actor {
            form.extend([("actor_token", actor), ("actor_token_type", ACCESS_TOKEN)]);
        }
        self.nodes[node].form("/token", client, &form).await
    }

    /// A token of the application's own.
    async fn own(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", ORDERS),
            ("scope", "read:orders"),
        ];
        let answer = self.first().form("/token", APP, &form).await;
        answer.text("access_token")
    }

    /// Whether a node takes a token for one that is good; nothing where it
    /// cannot know.
    pub(super) async fn is_good(&self, node: usize, kind: Kind, token: &str) -> Option<bool> {
        let exchanged = async |named| self.exchange(node, APP, (named, token), ACCESS_TOKEN).await;
        let renewal = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let answer = match kind {
            Kind::Saml => exchanged(SAML2).await,
            Kind::Id => exchanged(ID_TOKEN).await,
            Kind::Refresh => self.nodes[node].form("/token", APP, &renewal).await,
            _ => return self.is_active(node, token).await,
        };
        match answer.status {
            200 => Some(true),
            // 401 where the client that shows it was disabled.
            400 | 401 => Some(false),
            503 => None,
            other => panic!("{other} {}", answer.body),
        }
    }

    async fn redeem(&self, kind: Kind, client: &str, form: &[(&str, &str)]) -> Held {
        let key = (kind == Kind::Bound).then(signing_key);
        let site = self.first();
        let target = format!("{}/token", site.issuer);
        let ask = async |nonce: Option<&str>| -> Answer {
            let request = site.request(Method::POST, "/token");
            let mut request = request.basic_auth(client, Some(&site.words.web)).form(form);
            if let Some(key) = &key {
                let proof = proof_with(key, ("POST", &target), None, nonce);
                request = request.header("dpop", proof);
            }
            read(request.send().await.unwrap()).await
        };
        let mut answer = ask(None).await;
        if answer.body.contains("use_dpop_nonce") {
            let nonce = answer.header("dpop-nonce").unwrap().to_owned();
            answer = ask(Some(&nonce)).await;
        }
        assert_eq!(answer.status, 200, "{kind:?}: {}", answer.body);
        let told = answer.json();
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let first = match kind {
            Kind::Id => answer.text("id_token"),
            Kind::Refresh => answer.text("refresh_token"),
            Kind::Narrowed => narrowed(&answer.text("access_token")),
            _ => answer.text("access_token"),
        };
        let to = match kind {
            Kind::Exchanged | Kind::Delegated => Some(ACCESS_TOKEN),
            Kind::Saml => Some(SAML2),
            _ => None,
        };
        let (access, parent) = match to {
            None => (first, None),
            Some(to) => {
                let actor = match kind {
                    Kind::Delegated => Some(self.own().await),
                    _ => None,
                };
                let token = (ACCESS_TOKEN, &*first);
                let answer = self.exchange_as((0, client), token, to, actor.as_deref());
                let answer = answer.await;
                assert_eq!(answer.status, 200, "{kind:?}: {}", answer.body);
                (answer.text("access_token"), Some(first))
            }
        };
        Held {
            access,
            parent,
            refresh: text("refresh_token"),
            session: text("id_token").and_then(|own| claim(&own, "sid")),
            key,
        }
    }
}

/// Alice says yes to a device; answers the code that it polls with.
async fn connect(browser: &mut Browser<'_, Site>, asked: &Request) -> String {
    let text = |name: &str| (name.to_owned(), asked.pairs[name].clone());
    let form = ["scope", "resource", "organization"].map(text);
    let form: Vec<_> = form
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let begun = browser
        .server
        .form("/device_authorization", HUB, &form)
        .await;
    assert_eq!(begun.status, 200, "{}", begun.body);
    let mut page = browser.get("/device").await;
    if page.body.contains(r#"id="login-submit""#) {
        let password = browser.server.words.password.clone();
        page = browser.sign_in(&page, "alice", &password).await;
    }
    let code = begun.text("user_code");
    let page = browser
        .submit("/device", &page, &[("user_code", &code)])
        .await;
    let mut fields = vec![("decision", "allow")];
    fields.extend(asked.pairs["scope"].split(' ').map(|own| ("scope", own)));
    let done = browser.submit("/device", &page, &fields).await;
    assert!(done.body.contains("Device connected"), "{}", done.body);
    begun.text("device_code")
}

/// What whoever holds a macaroon makes of it.
fn narrowed(text: &str) -> String {
    let whole = symbolon_client::Macaroon::parse(text).unwrap();
    let methods = "method = GET".parse().unwrap();
    whole.narrow(&[methods]).unwrap().expose().to_owned()
}

pub(crate) fn claim(jwt: &str, name: &str) -> Option<String> {
    let token = Unverified::parse(jwt).unwrap();
    let claims = Value::Object(token.dangerous_claims_without_key().unwrap());
    claims[name].as_str().map(str::to_owned)
}
