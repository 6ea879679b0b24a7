//! The kinds of token, and how a person or a partner's subject gets one.

use serde_json::Value;
use symbolon_server::testing::{Answer, Browser, read};
use symbolon_token::jose::{SigningKey, Unverified};

use super::api::proof_with;
use super::partner::signing_key;
use super::{APP, IMPORTER, World};
use crate::browser::request;
use crate::configuration::{ORDERS, VAULT};

/// An API whose tokens are macaroons.
pub(super) const NOTES: &str = "https://notes.example.com";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Jwt,
    Opaque,
    Macaroon,
    /// A JWT that is bound to a key.
    Bound,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Jwt, Self::Opaque, Self::Macaroon, Self::Bound];

    pub(super) const fn resource(self) -> &'static str {
        match self {
            Self::Jwt | Self::Bound => ORDERS,
            Self::Opaque => VAULT,
            Self::Macaroon => NOTES,
        }
    }

    pub(super) const fn scope(self) -> &'static str {
        match self {
            Self::Jwt | Self::Bound => "read:orders",
            Self::Opaque => "read:vault",
            Self::Macaroon => "read:notes",
        }
    }

    /// What the keys are for that make it.
    pub(super) const fn key_purpose(self) -> &'static str {
        match self {
            Self::Jwt | Self::Bound => "signing",
            Self::Opaque => "access-token",
            Self::Macaroon => "macaroon",
        }
    }
}

/// A token that somebody holds.
pub(super) struct Held {
    pub(super) access: String,
    /// Where it was got for a person.
    pub(super) refresh: Option<String>,
    pub(super) session: Option<String>,
    /// The key that it is bound to.
    pub(super) key: Option<SigningKey>,
}

impl World {
    /// A token of a kind for alice, as a member of her organization.
    pub(super) async fn sign_in(&mut self, kind: Kind, scope: &str) -> Held {
        let site = &self.nodes[0];
        let scope = format!("{scope} {}", kind.scope());
        let asked = request(site, APP, &scope)
            .with("resource", kind.resource())
            .with("organization", "acme");
        let mut browser = Browser {
            cookies: std::mem::take(&mut self.cookies),
            ..Browser::new(site)
        };
        let code = browser.code("alice", &asked).await;
        self.cookies = browser.cookies;
        let form = asked.redemption(&code);
        self.redeem(kind, APP, &form).await
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

    async fn redeem(&self, kind: Kind, client: &str, form: &[(&str, &str)]) -> Held {
        let key = (kind == Kind::Bound).then(signing_key);
        let site = self.first();
        let target = format!("{}/token", site.issuer);
        let ask = async |nonce: Option<&str>| -> Answer {
            let request = site.request(reqwest::Method::POST, "/token");
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
        Held {
            access: answer.text("access_token"),
            refresh: text("refresh_token"),
            session: text("id_token").and_then(|own| claim(&own, "sid")),
            key,
        }
    }
}

fn claim(jwt: &str, name: &str) -> Option<String> {
    let token = Unverified::parse(jwt).unwrap();
    let claims = Value::Object(token.dangerous_claims_without_key().unwrap());
    claims[name].as_str().map(str::to_owned)
}
