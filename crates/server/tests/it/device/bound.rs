//! Devices that hold a key: what they get is theirs alone.
//!
//! Spec: RFC 9449 §5, §10.1

use reqwest::Method;
use serde_json::Value;

use super::{allow, started};
use crate::dpop::Wallet;
use crate::harness::{Answer, Server, read};
use crate::on_both_engines;

on_both_engines! {
    a_code_begun_with_a_proof_is_fetched_by_that_key_alone
    a_key_that_is_named_holds_without_a_proof
    a_proof_at_the_token_endpoint_binds_what_was_begun_without
}

/// A form with a proof for its path, and once more where a nonce is asked for.
async fn proved(server: &Server, path: &str, form: &[(&str, &str)], by: Option<&Wallet>) -> Answer {
    let mut nonce: Option<String> = None;
    loop {
        let form = [form, &[("client_id", "tv")]].concat();
        let mut request = server.request(Method::POST, path).form(&form);
        if let Some(by) = by {
            request = request.header("dpop", by.proof_for(server, path, nonce.as_deref()));
        }
        let answer = read(request.send().await.unwrap()).await;
        let asks = answer.status == 400 && answer.json()["error"] == "use_dpop_nonce";
        if !asks || nonce.is_some() {
            return answer;
        }
        nonce = answer.header("dpop-nonce").map(str::to_owned);
    }
}

async fn fetched(server: &Server, asked: &Answer, by: Option<&Wallet>) -> Answer {
    let code = asked.text("device_code");
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", &*code),
    ];
    proved(server, "/token", &form, by).await
}

async fn key_of(server: &Server, tokens: &Answer) -> Value {
    let told = server
        .introspect("orders-api", &tokens.text("access_token"))
        .await;
    told["cnf"]["jkt"].clone()
}

async fn a_code_begun_with_a_proof_is_fetched_by_that_key_alone(server: Server) {
    let (own, other) = (Wallet::new(), Wallet::new());
    let scope = [("scope", "offline_access read:orders")];
    let asked = proved(&server, "/device_authorization", &scope, Some(&own)).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    assert!(asked.header("dpop-nonce").is_some());
    let before = fetched(&server, &asked, None).await;
    assert_eq!(
        before.refusal(),
        "invalid_dpop_proof",
        "not even that it waits"
    );
    allow(&server, "alice", &asked).await;
    let bare = fetched(&server, &asked, None).await;
    let foreign = fetched(&server, &asked, Some(&other)).await;

    let tokens = fetched(&server, &asked, Some(&own)).await;

    assert_eq!(bare.refusal(), "invalid_dpop_proof");
    assert_eq!(foreign.refusal(), "invalid_grant");
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(tokens.text("token_type"), "DPoP");
    assert_eq!(key_of(&server, &tokens).await, own.0.kid());
    let refresh = tokens.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let bare = proved(&server, "/token", &form, None).await;
    let foreign = proved(&server, "/token", &form, Some(&other)).await;
    assert!(
        bare.status == 400 && foreign.status == 400,
        "{} {}",
        bare.body,
        foreign.body
    );
    assert_eq!(
        proved(&server, "/token", &form, Some(&own)).await.status,
        200
    );
}

async fn a_key_that_is_named_holds_without_a_proof(server: Server) {
    let (own, other) = (Wallet::new(), Wallet::new());
    let named = [("scope", "read:orders"), ("dpop_jkt", own.0.kid())];
    let asked = proved(&server, "/device_authorization", &named, None).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let torn = proved(&server, "/device_authorization", &named, Some(&other)).await;
    assert_eq!(torn.refusal(), "invalid_dpop_proof");
    allow(&server, "alice", &asked).await;

    let foreign = fetched(&server, &asked, Some(&other)).await;

    assert_eq!(foreign.refusal(), "invalid_grant");
    assert_eq!(fetched(&server, &asked, Some(&own)).await.status, 200);
}

async fn a_proof_at_the_token_endpoint_binds_what_was_begun_without(server: Server) {
    let own = Wallet::new();
    let asked = started(&server).await;
    allow(&server, "alice", &asked).await;

    let tokens = fetched(&server, &asked, Some(&own)).await;

    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(key_of(&server, &tokens).await, own.0.kid());
    let refresh = tokens.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let bare = proved(&server, "/token", &form, None).await;
    assert_eq!(bare.status, 400, "{}", bare.body);
    assert_eq!(
        proved(&server, "/token", &form, Some(&own)).await.status,
        200
    );
}
