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

use super::kind::Kind;
use crate::browser::http;
use crate::configuration::ORDERS;
use crate::program::{PATIENCE, Site, word};

pub(super) struct Api {
    pub(super) url: String,
    pub(super) verifier: Verifier,
}

impl Api {
    /// Starts one; its verifier has read the feed.
    pub(super) async fn start(site: &Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let verifier = Verifier::new(&site.issuer, ORDERS, [Algorithm::Es256])
            .unwrap()
            .introspect_as("orders-api", site.words.api.as_str())
            .unwrap()
            .reached_at(&url)
            .unwrap()
            .subscribe()
            .unwrap();
        let ready = tokio::time::timeout(PATIENCE, verifier.ready()).await;
        ready.unwrap().unwrap();
        let mut routes = Router::new();
        for kind in Kind::ALL {
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
