//! An API in this process, whose verifier follows the feed.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use symbolon_protocol::Timestamp;
use symbolon_server::clock::SystemClock;
use symbolon_server::testing::{Answer, read};
use symbolon_token::Clock;
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_verify::{Algorithm, Requirement, Verifier};
use tokio::net::TcpListener;

use super::kind::{DEPOT, Kind};
use crate::browser::http;
use crate::configuration::ORDERS;
use crate::program::{PATIENCE, Site, word};

/// The public half of the key of the API whose tokens are encrypted, as
/// configuration writes it (RFC 7518 appendix C).
pub(super) const DEPOT_KEY: &str = r#"kty = "EC", crv = "P-256", use = "enc", kid = "bob", x = "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", y = "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck""#;

const DEPOT_PRIVATE_KEY: &str = r#"{"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","kid":"bob",
    "x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;

pub(super) struct Api {
    pub(super) url: String,
    pub(super) verifier: Verifier,
}

impl Api {
    /// Starts one; its verifier has read the feed.
    pub(super) async fn start(site: &Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let new = |audience| {
            Verifier::new(&site.issuer, audience, [Algorithm::Es256])
                .unwrap()
                .introspect_as("orders-api", site.words.api.as_str())
                .unwrap()
                .reached_at(&url)
                .unwrap()
        };
        let verifier = new(ORDERS).subscribe().unwrap();
        // It takes no token that is not encrypted to it.
        let decrypting = new(DEPOT).decrypt_with(DEPOT_PRIVATE_KEY).unwrap();
        let decrypting = decrypting.subscribe().unwrap();
        for one in [&verifier, &decrypting] {
            let ready = tokio::time::timeout(PATIENCE, one.ready()).await;
            ready.unwrap().unwrap();
        }
        let mut routes = Router::new();
        for kind in Kind::ALL {
            let verifier = match kind {
                Kind::Encrypted => &decrypting,
                _ => &verifier,
            };
            let audience = kind.resource().parse().unwrap();
            let needed = Requirement::all([kind.scope()]).audience(&audience);
            let strict = needed.clone().max_staleness(Duration::from_secs(10));
            let route = |needed| get(async || "good").layer(verifier.require(needed));
            routes = routes
                .route(&format!("/{kind:?}"), route(needed))
                .route(&format!("/strict/{kind:?}"), route(strict));
        }
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, verifier }
    }

    /// Shows a token, with a proof where it is bound to a key.
    pub(super) async fn show(&self, path: &str, token: &str, key: Option<&SigningKey>) -> Answer {
        let target = format!("{}{path}", self.url);
        let request = http().request(Method::GET, &target);
        let request = match key {
            None => request.bearer_auth(token),
            Some(key) => request
                .header("authorization", format!("DPoP {token}"))
                .header("dpop", proof(key, "GET", &target, Some(token))),
        };
        let answer = read(request.send().await.unwrap()).await;
        // A proof of a process that has just begun may need its nonce.
        match (answer.header("dpop-nonce"), key) {
            (Some(nonce), Some(key)) => {
                let proof = proof_with(key, ("GET", &target), Some(token), Some(nonce));
                let request = http().get(&target).header("dpop", proof);
                let request = request.header("authorization", format!("DPoP {token}"));
                read(request.send().await.unwrap()).await
            }
            _ => answer,
        }
    }

    /// Whether it lets a token in; a refusal is 401 and nothing else.
    pub(super) async fn takes(&self, kind: Kind, token: &str, key: Option<&SigningKey>) -> bool {
        let answer = self.show(&format!("/{kind:?}"), token, key).await;
        assert!(
            matches!(answer.status, 200 | 401),
            "{} {}",
            answer.status,
            answer.body
        );
        answer.status == 200
    }
}

fn proof(key: &SigningKey, method: &str, target: &str, token: Option<&str>) -> String {
    proof_with(key, (method, target), token, None)
}

pub(super) fn proof_with(
    key: &SigningKey,
    (method, target): (&str, &str),
    token: Option<&str>,
    nonce: Option<&str>,
) -> String {
    let claims = Claims {
        method,
        target,
        jti: &word(),
        issued: now(),
        access_token: token,
        nonce,
    };
    prove(key, &claims)
}

pub(super) fn now() -> Timestamp {
    SystemClock::start().now()
}
