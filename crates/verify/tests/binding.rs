//! Tokens that are bound to a key or to a certificate, at an API.
//!
//! Spec: RFC 9449 §7, §9, §11.1
//! Spec: RFC 8705 §3
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use axum::routing::get;
use serde_json::{Value, json};
use support::{API, Got, Issuer, app, at_expiry, call, key, opaque};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_token::{Clock, Thumbprint};
use symbolon_verify::{PeerCertificate, Principal, Requirement, Verifier};

const TARGET: &str = "https://api.example/invoices";
const CERTIFICATE: &[u8] = b"the DER of a certificate";

fn wallet() -> SigningKey {
    key(SigningAlgorithm::Es256)
}

fn to_key(own: &SigningKey) -> Value {
    json!({ "jkt": own.kid() })
}

fn to_certificate() -> Value {
    json!({ "x5t#S256": Thumbprint::of(CERTIFICATE).to_string() })
}

fn bound(issuer: &Issuer, to: &Value) -> String {
    issuer.token(|claims| claims["cnf"] = to.clone())
}

/// A clock that has left behind what could be from before the start.
async fn settled() -> (Issuer, Verifier) {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    issuer.advance(20);
    (issuer, verifier)
}

struct Wish<'a> {
    jti: &'a str,
    target: &'a str,
    token: &'a str,
    nonce: Option<&'a str>,
}

fn wish(token: &str) -> Wish<'_> {
    Wish {
        jti: "a",
        target: TARGET,
        token,
        nonce: None,
    }
}

fn proof(issuer: &Issuer, own: &SigningKey, wish: &Wish<'_>) -> String {
    let claims = Claims {
        method: "GET",
        target: wish.target,
        jti: wish.jti,
        issued: issuer.clock.now(),
        access_token: Some(wish.token),
        nonce: wish.nonce,
    };
    prove(own, &claims)
}

fn dpop(token: &str) -> Builder {
    Request::get("/invoices").header("authorization", format!("DPoP {token}"))
}

async fn sent(app: &Router, request: Builder) -> Got {
    call(app, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_bound_token_is_good_with_a_proof_of_its_key() {
    let (issuer, verifier) = settled().await;
    let own = wallet();
    let token = bound(&issuer, &to_key(&own));
    let app = app(&verifier, at_expiry());

    let request = dpop(&token).header("dpop", proof(&issuer, &own, &wish(&token)));
    let got = sent(&app, request).await;

    assert_eq!((got.status.as_u16(), &*got.body), (200, "usr_1"));
}

/// Attack: F171
/// Attack: F172
#[tokio::test]
async fn a_bound_token_as_plain_bearer_is_refused_jwt_and_opaque() {
    let issuer = Issuer::start().await;
    let verifier = issuer.asking();
    issuer.advance(20);
    let own = wallet();
    issuer.says_active(|claims| claims["cnf"] = to_key(&own));
    let app = app(&verifier, Requirement::all(["read:invoices"]));

    for token in [bound(&issuer, &to_key(&own)), opaque(7)] {
        let bearer = Request::get("/invoices").header("authorization", format!("Bearer {token}"));
        let got = sent(&app, bearer).await;
        assert_eq!(
            (got.status.as_u16(), got.json()["error"].as_str()),
            (401, Some("invalid_token"))
        );
        let all: Vec<_> = got.headers.get_all("www-authenticate").iter().collect();
        assert!(all[0].to_str().unwrap().starts_with("Bearer "));
        assert!(all[1].to_str().unwrap().starts_with(r#"DPoP algs="ES256 "#));

        let wish = Wish {
            jti: &token[..9],
            ..wish(&token)
        };
        let got = sent(
            &app,
            dpop(&token).header("dpop", proof(&issuer, &own, &wish)),
        )
        .await;
        assert_eq!(got.status, 200, "{}", got.body);
        let explained = verifier.explain(&token, &at_expiry()).await;
        assert_eq!(explained.code, "key_binding");
    }
}

#[tokio::test]
async fn a_token_that_is_not_bound_is_not_taken_with_a_proof() {
    let (issuer, verifier) = settled().await;
    let (own, token) = (wallet(), issuer.good());
    let app = app(&verifier, at_expiry());

    let with = dpop(&token).header("dpop", proof(&issuer, &own, &wish(&token)));
    let got = sent(&app, with).await;

    assert_eq!(got.status, 401);
    assert!(
        got.challenge().starts_with("DPoP algs="),
        "{}",
        got.challenge()
    );
    assert!(got.challenge().contains(r#"error="invalid_token""#));
    assert_eq!(support::with_token(&app, &token).await.status, 200);
}

#[tokio::test]
async fn a_token_that_came_as_dpop_is_refused_under_that_scheme() {
    let (issuer, verifier) = settled().await;
    let over = issuer.token(|claims| claims["exp"] = (START.seconds() - 60).into());
    let app = app(&verifier, at_expiry());

    for (token, status, error) in [
        (&over, 401, "invalid_token"),
        (&"nonsense".to_owned(), 401, "invalid_token"),
    ] {
        let got = sent(&app, dpop(token)).await;
        assert_eq!(got.status, status, "{}", got.body);
        let challenge = got.challenge();
        assert!(challenge.starts_with("DPoP algs="), "{challenge}");
        assert!(
            challenge.contains(&format!(r#"error="{error}""#)),
            "{challenge}"
        );
        let got = support::with_token(&app, token).await;
        assert!(
            got.challenge().starts_with("Bearer "),
            "{}",
            got.challenge()
        );
    }
}

/// Attack: F177
/// Attack: F184
#[tokio::test]
async fn each_proof_that_is_not_this_requests_is_refused() {
    let (issuer, verifier) = settled().await;
    let (own, other) = (wallet(), wallet());
    let token = bound(&issuer, &to_key(&own));
    let app = app(&verifier, at_expiry());
    let good = proof(&issuer, &own, &wish(&token));
    let elsewhere = Wish {
        target: "https://api.example/orders",
        ..wish(&token)
    };
    let of_host = Wish {
        target: "https://evil.example/invoices",
        ..wish(&token)
    };
    let invalid = "invalid_dpop_proof";

    for (error, proofs) in [
        ("invalid_token", vec![]),
        (invalid, vec![good.clone(), good.clone()]),
        (invalid, vec!["noise".to_owned()]),
        (invalid, vec![proof(&issuer, &own, &elsewhere)]),
        (invalid, vec![proof(&issuer, &own, &of_host)]),
        (invalid, vec![proof(&issuer, &own, &wish("another token"))]),
        ("invalid_token", vec![proof(&issuer, &other, &wish(&token))]),
    ] {
        let mut request = dpop(&token).header("host", "evil.example");
        for proof in &proofs {
            request = request.header("dpop", proof);
        }
        let got = sent(&app, request).await;
        assert_eq!(
            (got.status.as_u16(), got.json()["error"].as_str()),
            (401, Some(error))
        );
        assert!(
            got.challenge().starts_with("DPoP algs="),
            "{}",
            got.challenge()
        );
    }
    assert_eq!(
        sent(&app, dpop(&token).header("dpop", good)).await.status,
        200
    );
}

#[tokio::test]
async fn a_proof_is_good_once_and_one_of_before_the_start_needs_a_nonce() {
    let (issuer, verifier) = settled().await;
    let own = wallet();
    let token = bound(&issuer, &to_key(&own));
    let app = app(&verifier, at_expiry());
    let first = proof(&issuer, &own, &wish(&token));
    let request = || dpop(&token).header("dpop", &first);
    assert_eq!(sent(&app, request()).await.status, 200);

    let again = sent(&app, request()).await;
    assert_eq!(again.json()["error"], "invalid_dpop_proof");

    // As after a restart: nothing is remembered.
    let after = support::app(&issuer.verifier(), at_expiry());
    let asked = sent(&after, request()).await;
    assert_eq!(
        (asked.status.as_u16(), asked.json()["error"].as_str()),
        (401, Some("use_dpop_nonce"))
    );
    let nonce = asked.headers["dpop-nonce"].to_str().unwrap();
    let with = Wish {
        nonce: Some(nonce),
        jti: "b",
        ..wish(&token)
    };
    let got = sent(
        &after,
        dpop(&token).header("dpop", proof(&issuer, &own, &with)),
    )
    .await;
    assert_eq!(got.status, 200, "{}", got.body);
}

/// Attack: F186
#[tokio::test]
async fn where_nonces_are_required_another_node_takes_no_proof_of_this_one() {
    let issuer = Issuer::start().await;
    let nodes = [2, 3].map(|seed| {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let node = issuer.verifier().with_entropy(entropy);
        node.require_dpop_nonce()
    });
    issuer.advance(20);
    let own = wallet();
    let token = bound(&issuer, &to_key(&own));
    let nonce = nodes[0].next_nonce();
    let bare = proof(&issuer, &own, &wish(&token));
    let tied = Wish {
        nonce: Some(&nonce),
        ..wish(&token)
    };
    let tied = proof(&issuer, &own, &tied);
    let [one, other] = nodes.map(|node| app(&node, at_expiry()));

    let asked = sent(&one, dpop(&token).header("dpop", bare)).await;
    assert_eq!(asked.json()["error"], "use_dpop_nonce");
    let got = sent(&one, dpop(&token).header("dpop", &tied)).await;
    assert_eq!(got.status, 200, "{}", got.body);
    let again = sent(&one, dpop(&token).header("dpop", &tied)).await;
    assert_eq!(again.json()["error"], "invalid_dpop_proof");
    let elsewhere = sent(&other, dpop(&token).header("dpop", &tied)).await;
    assert_eq!(elsewhere.json()["error"], "use_dpop_nonce");
}

/// Attack: F190
#[tokio::test]
async fn a_token_bound_to_a_certificate_needs_a_connection_that_shows_it() {
    let (issuer, verifier) = settled().await;
    let token = bound(&issuer, &to_certificate());
    let app = app(&verifier, at_expiry());
    let bearer = || Request::get("/invoices").header("authorization", format!("Bearer {token}"));

    let without = sent(&app, bearer()).await;
    assert_eq!(
        (without.status.as_u16(), without.json()["error"].as_str()),
        (401, Some("invalid_token"))
    );
    let other = bearer().extension(PeerCertificate::from_der(b"another"));
    assert_eq!(sent(&app, other).await.status, 401);
    let claimed = bearer().header("client-cert", ":AAAA:");
    assert_eq!(sent(&app, claimed).await.status, 401);
    let right = bearer().extension(PeerCertificate::from_der(CERTIFICATE));
    assert_eq!(sent(&app, right).await.status, 200);
}

#[tokio::test]
async fn a_token_bound_to_both_needs_both() {
    let (issuer, verifier) = settled().await;
    let own = wallet();
    let mut to = to_key(&own);
    to["x5t#S256"] = to_certificate()["x5t#S256"].clone();
    let token = bound(&issuer, &to);
    let app = app(&verifier, at_expiry());
    let proved = |jti| {
        let wish = Wish {
            jti,
            ..wish(&token)
        };
        dpop(&token).header("dpop", proof(&issuer, &own, &wish))
    };
    let shown = PeerCertificate::from_der(CERTIFICATE);

    assert_eq!(sent(&app, proved("a")).await.status, 401);
    assert_eq!(sent(&app, dpop(&token).extension(shown)).await.status, 401);
    let both = sent(&app, proved("b").extension(shown)).await;
    assert_eq!(both.status, 200, "{}", both.body);
}

#[tokio::test]
async fn a_proof_names_the_whole_address_under_a_nested_router() {
    let (issuer, verifier) = settled().await;
    let own = wallet();
    let token = bound(&issuer, &to_key(&own));
    let handler = async |caller: Principal| caller.is_key_bound().to_string();
    let inner = Router::new().route(
        "/invoices",
        get(handler).layer(verifier.require(at_expiry())),
    );
    let app = Router::new().nest("/v1", inner);
    let wish = Wish {
        target: "https://api.example/v1/invoices",
        ..wish(&token)
    };

    let request = Request::get("/v1/invoices?page=2")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof(&issuer, &own, &wish));
    let got = sent(&app, request).await;

    assert_eq!((got.status.as_u16(), &*got.body), (200, "true"));
}

#[tokio::test]
async fn the_origin_is_what_the_verifier_was_told() {
    let issuer = Issuer::start().await;
    assert!(
        issuer
            .verifier()
            .reached_at("https://gate.example/path")
            .is_err()
    );
    assert!(issuer.verifier().reached_at("gate.example").is_err());
    let verifier = issuer
        .verifier()
        .reached_at("https://gate.example")
        .unwrap();
    issuer.advance(20);
    let own = wallet();
    let token = bound(&issuer, &to_key(&own));
    let app = app(&verifier, at_expiry());

    for (target, status) in [("https://gate.example/invoices", 200), (TARGET, 401)] {
        let wish = Wish {
            target,
            jti: target,
            ..wish(&token)
        };
        let got = sent(
            &app,
            dpop(&token).header("dpop", proof(&issuer, &own, &wish)),
        )
        .await;
        assert_eq!(got.status.as_u16(), status, "{}", got.body);
    }
    let metadata = verifier.metadata();
    assert_eq!(metadata["dpop_signing_alg_values_supported"][0], "ES256");
    assert_eq!(metadata["resource"], API);
}

#[tokio::test]
async fn a_bound_token_without_its_request_cannot_be_checked() {
    let (issuer, verifier) = settled().await;
    let own = wallet();
    for to in [to_key(&own), to_certificate()] {
        let token = bound(&issuer, &to);
        let refused = verifier.check(&token, &at_expiry()).await.unwrap_err();
        assert_eq!((refused.code(), refused.status()), ("key_binding", 401));
    }
    assert!(verifier.check(&issuer.good(), &at_expiry()).await.is_ok());
}

#[tokio::test]
async fn too_little_scope_is_said_only_after_the_proof() {
    let (issuer, verifier) = settled().await;
    let own = wallet();
    let token = bound(&issuer, &to_key(&own));
    let needed = Requirement::all(["delete:invoices"]);
    let app = app(
        &verifier,
        needed.revocation(symbolon_verify::Revocation::AtExpiry),
    );

    assert_eq!(sent(&app, dpop(&token)).await.status, 401);
    let request = dpop(&token).header("dpop", proof(&issuer, &own, &wish(&token)));
    assert_eq!(sent(&app, request).await.status, 403);
    assert!(issuer.clock.now() > START);
}
