//! What clients prove themselves by: keys that they hold, and what is good once.

use reqwest::Method;
use serde_json::json;
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_server::clock::SystemEntropy;
use symbolon_server::testing::{Answer, Site, read};
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_token::random;

use super::book::Who;
use super::node::Peer;
use super::world::{Held, World, hold, pick};

/// The client that signs what it proves itself by.
pub(super) const SIGNER: &str = "signer";
const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good, in seconds.
const ASSERTED: i64 = 60;

pub(super) fn new_key() -> SigningKey {
    let algorithm = SigningAlgorithm::Es256;
    let pkcs8 = SigningKey::generate(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap()
}

/// Who shows something: which key they hold, and for whom they act.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) key: Option<usize>,
    pub(super) who: Option<Who>,
}

/// What was accepted, and is not to be accepted again.
#[derive(Clone, Debug)]
pub(super) enum Used {
    Proof { text: String, who: Option<Who> },
    Assertion(String),
}

fn jti() -> String {
    format!("{:032x}", u128::from_be_bytes(random(&SystemEntropy)))
}

/// What the signing client shows with a form.
pub(super) fn asserted(assertion: &str) -> [(&'static str, &str); 2] {
    [
        ("client_assertion_type", BEARER),
        ("client_assertion", assertion),
    ]
}

impl Peer {
    /// An assertion of the client that signs, made now.
    pub(super) fn assertion(&self) -> String {
        let now = self.now() / 1000;
        let claims = json!({
            "iss": SIGNER, "sub": SIGNER, "aud": self.issuer(), "jti": jti(),
            "iat": now, "exp": now + ASSERTED,
        });
        self.signer.sign("JWT", claims.to_string().as_bytes())
    }

    fn proof(&self, key: &SigningKey, nonce: Option<&str>) -> String {
        let (target, jti) = (format!("{}/token", self.issuer()), jti());
        let claims = Claims {
            method: "POST",
            target: &target,
            jti: &jti,
            issued: Timestamp::from_millis(self.now()),
            access_token: None,
            nonce,
        };
        prove(key, &claims)
    }

    async fn proved(&self, client: &str, form: &[(&str, &str)], proof: &str) -> Answer {
        let request = self.request(Method::POST, "/token").header("dpop", proof);
        let request = match self.secret(client) {
            Some(secret) => request.form(form).basic_auth(client, Some(secret)),
            None => request.form(&[form, &[("client_id", client)]].concat()),
        };
        read(request.send().await.unwrap()).await
    }
}

impl World {
    /// A client asks for tokens, with a proof of the key that it holds; once
    /// more where a nonce is asked for.
    pub(super) async fn show(
        &mut self,
        node: usize,
        client: &str,
        form: &[(&str, &str)],
        holder: Holder,
    ) -> Answer {
        let peer = &self.peers[node];
        let Some(key) = holder.key.map(|at| &self.wallets[at]) else {
            return peer.token(client, form).await;
        };
        let mut text = peer.proof(key, None);
        let mut answer = peer.proved(client, form, &text).await;
        if answer.body.contains("use_dpop_nonce") {
            text = peer.proof(key, answer.header("dpop-nonce"));
            answer = peer.proved(client, form, &text).await;
        }
        if answer.status == 200 {
            let who = holder.who;
            self.used.push(Used::Proof { text, who });
        }
        answer
    }

    /// I19: what was accepted once is shown again, with something that would be
    /// good by itself, and nothing comes of it.
    pub(super) async fn replay(&mut self, node: usize, used: u8) -> Held {
        // Of the latest ones: all others are too old as well.
        let count = self.used.len();
        let Some(back) = pick(used, count.min(3)) else {
            return Ok(());
        };
        let used = self.used[count - 1 - back].clone();
        let peer = &self.peers[node];
        let mut form = vec![("grant_type", "client_credentials")];
        let answer = match &used {
            Used::Assertion(text) => {
                form.extend(asserted(text));
                peer.token(SIGNER, &form).await
            }
            Used::Proof { text, who: None } => peer.proved("job", &form, text).await,
            Used::Proof { text, who } => {
                let Some((client, leaf)) = self.renewable(*who) else {
                    return Ok(());
                };
                let form = [("grant_type", "refresh_token"), ("refresh_token", leaf)];
                peer.proved(client, &form, text).await
            }
        };
        hold!(
            "I19",
            [400, 401].contains(&answer.status),
            "{used:?} again on node {node}: {} {}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    /// The latest refresh token of somebody's that any key may be shown with.
    fn renewable(&self, who: Option<Who>) -> Option<(&'static str, &str)> {
        let all = self.book.families.iter().rev();
        let own = all.filter(|own| Some(own.who) == who && own.client != "cli");
        own.filter_map(|own| Some((own.client, own.leaves.last()?.as_str())))
            .next()
    }
}
