//! What a caller of a protected route is answered.
//!
//! Spec: RFC 6750 §3
//! Spec: RFC 9728 §3, §5.1
mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use serde_json::json;
use support::{API, Issuer, app, at_expiry, call, opaque, with_token};
use symbolon_testkit::START;
use symbolon_verify::{
    Explanation, Outcome, Principal, Requirement, Revocation, Verdict, protected_resource_routes,
};

const METADATA: &str =
    r#"resource_metadata="https://api.example/.well-known/oauth-protected-resource/v1""#;

fn request() -> axum::http::request::Builder {
    Request::get("/invoices")
}

#[tokio::test]
async fn a_good_token_reaches_the_handler_with_its_principal() {
    let issuer = Issuer::start().await;
    let got = with_token(&app(&issuer.verifier(), at_expiry()), &issuer.good()).await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (200, "usr_1"));
}

#[tokio::test]
async fn no_token_gets_a_bare_challenge_that_says_where_the_metadata_is() {
    let issuer = Issuer::start().await;
    let app = app(&issuer.verifier(), at_expiry());

    for bare in [
        request(),
        request().header("authorization", "Basic YTpi"),
        Request::get(format!("/invoices?access_token={}", issuer.good())),
    ] {
        let got = call(&app, bare.body(Body::empty()).unwrap()).await;
        assert_eq!(got.status, 401);
        assert_eq!(got.challenge(), format!("Bearer {METADATA}"));
    }
}

#[tokio::test]
async fn a_token_sent_in_two_ways_is_a_bad_request() {
    let issuer = Issuer::start().await;
    let app = app(&issuer.verifier(), at_expiry());
    let bearer = format!("Bearer {}", issuer.good());

    for twice in [
        request()
            .header("authorization", &bearer)
            .header("authorization", &bearer),
        Request::get("/invoices?access_token=x").header("authorization", &bearer),
        request().header("authorization", format!("{bearer}, {bearer}")),
        request().header("authorization", "Bearer"),
        request().header("authorization", bearer.replace(' ', "  ")),
    ] {
        let got = call(&app, twice.body(Body::empty()).unwrap()).await;
        assert_eq!(got.status, 400);
        assert!(got.challenge().contains(r#"error="invalid_request""#));
        assert_eq!(got.json()["error"], "invalid_request");
    }
}

#[tokio::test]
async fn a_sign_in_that_is_too_old_or_too_weak_is_answered_with_what_would_do() {
    let issuer = Issuer::start().await;
    let demand = Requirement::all(["read:invoices"])
        .revocation(Revocation::AtExpiry)
        .acr_values(["phr", "phrh"])
        .max_age(std::time::Duration::from_secs(300));
    let app = app(&issuer.verifier(), demand);
    let signed_in = |acr: &str, ago: i64| {
        issuer.token(|claims| {
            claims["acr"] = json!(acr);
            claims["auth_time"] = json!(START.seconds() - ago);
        })
    };

    let got = with_token(&app, &signed_in("phr", 60)).await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (200, "usr_1"));
    for poor in [signed_in("pwd", 60), signed_in("phr", 400), issuer.good()] {
        let got = with_token(&app, &poor).await;
        assert_eq!(got.status, 401);
        assert_eq!(got.json()["error"], "insufficient_user_authentication");
        let challenge = got.challenge();
        for part in [
            r#"error="insufficient_user_authentication""#,
            r#"acr_values="phr phrh""#,
            r#"max_age="300""#,
        ] {
            assert!(challenge.contains(part), "{challenge}");
        }
    }
    // Signing in again does not help who may not read at all.
    let narrow = issuer.token(|claims| claims["scope"] = json!("other"));
    let got = with_token(&app, &narrow).await;
    assert_eq!(got.status, 403);
    assert!(!got.challenge().contains("max_age"));
    // And a token that is bad in another way is told that alone.
    let expired = issuer.token(|claims| claims["exp"] = json!(START.seconds() - 60));
    let got = with_token(&app, &expired).await;
    assert!(got.challenge().contains(r#"error="invalid_token""#));
}

#[tokio::test]
async fn a_sign_in_that_is_not_enough_is_explained() {
    let issuer = Issuer::start().await;
    let demand = Requirement::token()
        .revocation(Revocation::AtExpiry)
        .acr_values(["phr"]);

    let told = issuer.verifier().explain(&issuer.good(), &demand).await;

    assert_eq!(told.verdict, Verdict::Refused);
    assert_eq!(told.root, "authentication_unknown");
    let failed: Vec<_> = told
        .checks
        .iter()
        .filter(|own| own.outcome == Outcome::Failed)
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].check, "policy");
    assert_eq!(told.demanded.unwrap().value, "phr");
}

#[tokio::test]
async fn each_failed_check_is_answered_with_401_and_told_in_fixed_words() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let app = app(&verifier, at_expiry());
    let stranger = support::key(symbolon_protocol::SigningAlgorithm::Es256);
    let wrong =
        |name: &'static str, value: serde_json::Value| issuer.token(|claims| claims[name] = value);
    let mut forged = issuer.good();
    forged.replace_range(
        forged.len() - 6..forged.len() - 5,
        if forged.as_bytes()[forged.len() - 6] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    let bad = [
        ("signature_mismatch", forged),
        ("unknown_key", issuer.token_by(&stranger, |_| ())),
        ("expired", wrong("exp", (START.seconds() - 60).into())),
        ("not_yet_valid", wrong("nbf", (START.seconds() + 60).into())),
        (
            "wrong_issuer",
            wrong("iss", format!("{}/", issuer.url).into()),
        ),
        (
            "wrong_issuer",
            wrong("iss", "https://evil\n.example".into()),
        ),
        (
            "wrong_audience",
            wrong("aud", "https://api.example/v1/".into()),
        ),
        (
            "wrong_audience",
            wrong("aud", json!(["https://other.example"])),
        ),
        ("claim_malformed", wrong("client_id", 7.into())),
        ("claim_malformed", wrong("exp", "1700000000".into())),
        ("malformed", ".".repeat(1_000)),
        ("malformed", "A".repeat(20_000)),
        ("claim_malformed", wrong("cnf", json!({"jkt": "x"}))),
        ("claim_malformed", wrong("cnf", json!({}))),
        ("claim_malformed", wrong("cnf", json!({"jwk": {}}))),
    ];

    for (code, token) in bad {
        let got = with_token(&app, &token).await;

        assert_eq!(got.status, 401, "{code}");
        assert!(
            got.challenge()
                .starts_with(&format!("Bearer {METADATA}, error=\"invalid_token\", "))
        );
        assert_eq!(got.headers["cache-control"], "no-store");
        assert_eq!(
            got.headers["x-request-id"],
            got.json()["request_id"].as_str().unwrap()
        );
        assert!(!got.body.contains("evil") && !got.body.contains("usr_1"));
        let explained = verifier.explain(&token, &at_expiry()).await;
        assert_eq!(explained.code, code);
    }
}

#[tokio::test]
async fn too_little_scope_is_said_only_to_a_token_that_passed_everything_else() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let needed = Requirement::all(["read:invoices", "delete:invoices"]);
    let app = app(&verifier, needed.revocation(Revocation::AtExpiry));

    let got = with_token(&app, &issuer.good()).await;
    assert_eq!(got.status, 403);
    assert!(got.challenge().contains(r#"error="insufficient_scope""#));
    assert!(
        got.challenge()
            .ends_with(r#"scope="read:invoices delete:invoices""#)
    );

    let expired = issuer.token(|claims| claims["exp"] = (START.seconds() - 60).into());
    assert_eq!(with_token(&app, &expired).await.status, 401);
    let elsewhere = issuer.token(|claims| claims["aud"] = "https://other.example".into());
    assert_eq!(with_token(&app, &elsewhere).await.status, 401);
}

#[tokio::test]
async fn other_credentials_are_refused_and_named() {
    let issuer = Issuer::start().await;
    let verifier = issuer.asking();
    let payload = issuer.claims().to_string();
    let shown = [
        (issuer.key.sign("JWT", payload.as_bytes()), "an ID token"),
        (
            issuer.key.sign("logout+jwt", payload.as_bytes()),
            "a logout token",
        ),
        ("sym_rt_abc".to_owned(), "a refresh token"),
        ("sym_ac_abc".to_owned(), "an authorization code"),
        ("sym_key_abc".to_owned(), "an API key"),
    ];

    for (token, name) in shown {
        let explained = verifier.explain(&token, &at_expiry()).await;
        assert_eq!(explained.code, "not_an_access_token");
        assert!(explained.cause.contains(name), "{}", explained.cause);
        assert_eq!(
            with_token(&app(&verifier, at_expiry()), &token)
                .await
                .status,
            401
        );
    }
    assert_eq!(issuer.questions(), 0);
}

#[tokio::test]
async fn a_dpop_token_is_not_taken_as_a_bearer() {
    let issuer = Issuer::start().await;
    let app = app(&issuer.verifier(), at_expiry());
    let dpop = request().header("authorization", format!("DPoP {}", issuer.good()));
    assert_eq!(
        call(&app, dpop.body(Body::empty()).unwrap()).await.status,
        401
    );
}

#[tokio::test]
async fn without_a_source_of_revocations_a_route_that_wants_them_answers_503() {
    let issuer = Issuer::start().await;
    let app = app(&issuer.verifier(), Requirement::all(["read:invoices"]));

    let got = with_token(&app, &issuer.good()).await;

    assert_eq!(got.status, 503);
    assert_eq!(got.headers["retry-after"], "2");
    assert!(!got.headers.contains_key("www-authenticate"));
    assert_eq!(got.json()["error"], "temporarily_unavailable");
}

#[tokio::test]
async fn an_opaque_token_is_refused_where_none_is_taken() {
    let issuer = Issuer::start().await;
    let got = with_token(&app(&issuer.verifier(), at_expiry()), &opaque(1)).await;
    assert_eq!(got.status, 401);
}

#[tokio::test]
async fn a_handler_without_the_layer_lets_nobody_in() {
    let issuer = Issuer::start().await;
    let handler = async |caller: Principal| caller.subject().to_owned();
    let got = with_token(
        &Router::new().route("/invoices", get(handler)),
        &issuer.good(),
    )
    .await;
    assert_eq!(got.status, 500);
    assert!(got.body.contains("RequireToken"));
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_is_replaced() {
    let issuer = Issuer::start().await;
    let app = app(&issuer.verifier(), at_expiry());
    let id = async |sent: &str| {
        let request = request().header("x-request-id", sent).body(Body::empty());
        let got = call(&app, request.unwrap()).await;
        got.json()["request_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id("abc-123_x.y").await, "abc-123_x.y");
    for odd in ["", "a b", "<script>", "\"", &"a".repeat(65)] {
        let made = id(odd).await;
        assert!(
            made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()),
            "{odd}"
        );
    }
}

#[tokio::test]
async fn the_operator_learns_the_cause_under_the_same_request_id() {
    let issuer = Issuer::start().await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let verifier = issuer.verifier().on_decision(move |decision| {
        let line = (
            decision.request_id().to_owned(),
            decision.code(),
            decision.cause(),
        );
        log.lock().unwrap().push(line);
    });
    let app = app(&verifier, at_expiry());

    let elsewhere = issuer.token(|claims| claims["aud"] = "https://other.example".into());
    let got = with_token(&app, &elsewhere).await;
    with_token(&app, &issuer.good()).await;

    let heard = heard.lock().unwrap();
    assert_eq!(heard[0].0, got.json()["request_id"].as_str().unwrap());
    assert_eq!((heard[0].1, heard[1].1), ("wrong_audience", "allowed"));
    assert!(
        heard[0]
            .2
            .as_ref()
            .unwrap()
            .contains("https://other.example")
    );
}

#[tokio::test]
async fn the_metadata_document_is_served_where_the_challenge_points() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier().scopes(["read:invoices"]);
    let app: Router = protected_resource_routes(&verifier);

    let path = "/.well-known/oauth-protected-resource/v1";
    let got = call(&app, Request::get(path).body(Body::empty()).unwrap()).await;

    assert_eq!(got.status, 200);
    assert_eq!(got.headers["access-control-allow-origin"], "*");
    let expected = json!({
        "resource": API, "authorization_servers": [issuer.url],
        "bearer_methods_supported": ["header"], "scopes_supported": ["read:invoices"],
        "dpop_signing_alg_values_supported": ["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"],
    });
    assert_eq!(got.json(), expected);
}

#[tokio::test]
async fn an_explanation_says_which_checks_passed_and_labels_what_nobody_vouches_for() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let elsewhere = issuer.token(|claims| claims["aud"] = "https://other.example".into());

    let explained = verifier.explain(&elsewhere, &at_expiry()).await;
    let json = serde_json::to_value(&explained).unwrap();

    let outcomes: Vec<_> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["outcome"].as_str().unwrap())
        .collect();
    let expected = [
        "passed",
        "passed",
        "passed",
        "failed",
        "not_reached",
        "not_reached",
        "not_reached",
        "not_reached",
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(
        (&json["verdict"], &json["vouched"]),
        (&json!("refused"), &json!("verified")),
        "the signature is good, so these are the issuer's words"
    );
    let (signed, signature) = elsewhere.rsplit_once('.').unwrap();
    let signature: String = signature.chars().rev().collect();
    let forged = format!("{signed}.{signature}");
    let forged = verifier.explain(&forged, &at_expiry()).await;
    let forged = serde_json::to_value(&forged).unwrap();
    assert_eq!(forged["checks"][0]["outcome"], "failed");
    assert_eq!(forged["vouched"], "unverified");
    assert!(explained.repair.contains(&format!("resource={API}")));

    let good = verifier.explain(&issuer.good(), &at_expiry()).await;
    assert_eq!(serde_json::to_value(&good).unwrap()["vouched"], "verified");
}

/// What became of the check of revocation.
fn of_revocation(explained: &Explanation) -> Option<Outcome> {
    let mut steps = explained.checks.iter();
    Some(steps.find(|step| step.check == "revocation")?.outcome)
}

#[tokio::test]
async fn revocation_that_was_not_asked_is_never_said_to_have_passed() {
    let issuer = Issuer::start().await;
    let needed = Requirement::all(["delete:invoices"]).revocation(Revocation::AtExpiry);

    let good = issuer
        .verifier()
        .explain(&issuer.good(), &at_expiry())
        .await;
    let narrow = issuer.verifier().explain(&issuer.good(), &needed).await;
    issuer.says_active(|_| ());
    let asked = Requirement::all(["read:invoices"]);
    let asked = issuer.asking().explain(&issuer.good(), &asked).await;

    assert!(
        good.cause.contains("but revocation, which was not asked"),
        "{}",
        good.cause
    );
    assert_eq!(of_revocation(&good), Some(Outcome::NotAsked));
    assert_eq!(of_revocation(&narrow), Some(Outcome::NotAsked));
    assert_eq!(
        (asked.verdict, of_revocation(&asked)),
        (Verdict::Valid, Some(Outcome::Passed))
    );
    assert!(
        asked.cause.starts_with("valid: every check passed; "),
        "{}",
        asked.cause
    );
}

#[tokio::test]
async fn a_token_of_another_issuer_is_explained_by_its_issuer_not_by_its_key() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let stranger = support::key(symbolon_protocol::SigningAlgorithm::Es256);

    let foreign = issuer.verifier().explain(&other.good(), &at_expiry()).await;
    let own = issuer.token_by(&stranger, |_| ());
    let own = issuer.verifier().explain(&own, &at_expiry()).await;

    assert!(
        foreign.cause.contains(&other.url) && foreign.cause.contains(&issuer.url),
        "{}",
        foreign.cause
    );
    assert!(foreign.repair.contains(&issuer.url), "{}", foreign.repair);
    assert_eq!((foreign.code, own.code), ("unknown_key", "unknown_key"));
    assert!(!own.cause.contains("claims issuer"), "{}", own.cause);
}

/// Attack: C098
#[tokio::test]
async fn a_route_of_another_audience_takes_its_own_tokens_alone() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let other = "https://admin.example".parse().unwrap();
    let admin = app(&verifier, at_expiry().audience(&other));
    let usual = app(&verifier, at_expiry());
    let token = issuer.token(|claims| claims["aud"] = "https://admin.example".into());

    assert_eq!(with_token(&admin, &token).await.status, 200);
    assert_eq!(with_token(&usual, &token).await.status, 401);
    // Also once the first was remembered, and the other way round.
    assert_eq!(with_token(&usual, &issuer.good()).await.status, 200);
    assert_eq!(with_token(&admin, &issuer.good()).await.status, 401);
}

/// Whoever looks at the status alone must not take a refusal for a success because
/// the caller said that it speaks gRPC.
#[tokio::test]
async fn a_refusal_is_told_by_the_status_whatever_the_caller_says_it_speaks() {
    let issuer = Issuer::start().await;
    let expired = issuer.token(|claims| claims["exp"] = 1.into());
    let plain = app(&issuer.verifier(), at_expiry());
    let handler = async |caller: Principal| caller.subject().to_owned();
    let layer = issuer.verifier().require(at_expiry()).grpc();
    let grpc = Router::new().route("/invoices", get(handler).layer(layer));
    let ask = async |app: &Router, kind: &str, token: &str| {
        let request = Request::get("/invoices")
            .header("content-type", kind)
            .header("authorization", format!("Bearer {token}"));
        call(app, request.body(Body::empty()).unwrap()).await
    };

    for kind in ["application/grpc", "application/grpc+proto", "text/plain"] {
        assert_eq!(ask(&plain, kind, &expired).await.status, 401, "{kind}");
        assert_eq!(ask(&plain, kind, &issuer.good()).await.status, 200);
    }
    let told = ask(&grpc, "application/grpc", &expired).await;
    assert_eq!((told.status.as_u16(), &*told.body), (200, ""));
    assert_eq!(told.headers["grpc-status"], "16");
    assert!(told.challenge().contains("error=\"invalid_token\""));
    assert_eq!(ask(&grpc, "text/plain", &expired).await.status, 401);
    let good = ask(&grpc, "application/grpc", &issuer.good()).await;
    assert!(!good.headers.contains_key("grpc-status"));
}

#[tokio::test]
async fn pages_may_ask_for_the_metadata_with_headers_of_their_own() {
    let issuer = Issuer::start().await;
    let app: Router = protected_resource_routes(&issuer.verifier());
    let path = "/.well-known/oauth-protected-resource/v1";

    let preflight = Request::options(path)
        .header("origin", "https://page.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "mcp-protocol-version");
    let told = call(&app, preflight.body(Body::empty()).unwrap()).await;
    let got = call(&app, Request::get(path).body(Body::empty()).unwrap()).await;

    assert_eq!(told.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", "*"),
    ] {
        assert_eq!(told.headers[name], value);
    }
    assert_eq!(got.status, 200);
    assert_eq!(got.headers["access-control-allow-origin"], "*");
}
