//! Requests that do not say where the answer goes.

use std::collections::BTreeMap;

use crate::browser::{Browser, redemption, request};
use crate::harness::{CALLBACK, Server};
use crate::on_both_engines;

on_both_engines! {
    a_request_for_a_sign_in_names_its_redirect_uri
    a_code_that_nothing_else_binds_is_for_a_redirect_uri_that_was_named
    a_code_of_a_request_without_redirect_uri_is_redeemed_by_its_challenge
}

fn without(names: &[&str], client: &str, scope: &str) -> BTreeMap<String, String> {
    let mut asked = request();
    asked.insert("client_id".into(), client.into());
    asked.insert("scope".into(), scope.into());
    asked.retain(|name, _| !names.contains(&name.as_str()));
    asked
}

const CHALLENGE: [&str; 3] = ["redirect_uri", "code_challenge", "code_challenge_method"];

async fn check_page(server: &Server, asked: &BTreeMap<String, String>) {
    let page = Browser::new(server).authorize(asked).await;
    assert_eq!((page.status, page.header("location")), (400, None));
    assert!(
        page.body.contains("The request has no redirect_uri"),
        "{}",
        page.body
    );
}

async fn a_request_for_a_sign_in_names_its_redirect_uri(server: Server) {
    for scope in ["openid", "read:orders openid"] {
        check_page(&server, &without(&["redirect_uri"], "web", scope)).await;
    }
}

async fn a_code_that_nothing_else_binds_is_for_a_redirect_uri_that_was_named(server: Server) {
    check_page(&server, &without(&CHALLENGE, "legacy", "read:orders")).await;
    let mut named = without(&CHALLENGE[1..], "legacy", "read:orders");
    let callback = "https://legacy.example.com/callback";
    named.insert("redirect_uri".into(), callback.into());

    let code = Browser::new(&server).code("alice", &named).await;

    let redeemed = &redemption(&code, callback)[..3];
    assert_eq!(server.token("legacy", redeemed).await.status, 200);
}

async fn a_code_of_a_request_without_redirect_uri_is_redeemed_by_its_challenge(server: Server) {
    for is_named in [false, true] {
        let asked = without(&["redirect_uri"], "web", "read:orders");
        let code = Browser::new(&server).code("alice", &asked).await;
        let mut form = redemption(&code, CALLBACK);
        form.retain(|(name, _)| is_named || *name != "redirect_uri");

        let redeemed = server.token("web", &form).await;

        assert_eq!(redeemed.status, 200, "{}", redeemed.body);
    }
}
