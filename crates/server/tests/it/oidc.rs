//! OpenID Connect: what an application may ask, and what it is told.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::testing::{lose_store, purge};
use symbolon_token::Digest;
use symbolon_token::jose::{KeySet, Unverified};

use crate::browser::{Browser, hidden, redemption, request, response};
use crate::harness::{Answer, CALLBACK, PASSWORD, Server, read};
use crate::on_both_engines;

on_both_engines! {
    id_tokens_are_signed_as_the_client_says_and_bound_to_the_access_token
    no_prompt_means_no_question
    no_prompt_means_no_page_of_ours_even_where_something_is_broken
    a_fresh_sign_in_is_demanded_by_prompt_and_by_age
    a_hint_of_another_person_is_refused
    claims_are_told_where_they_were_agreed_to
    pairwise_subjects_differ_and_lead_back
    answers_are_signed_where_asked_for
    userinfo_takes_a_token_that_was_sent_once
    a_response_by_form_post_arrives_escaped
    metadata_says_what_there_is_under_both_names
    organizations_are_chosen_at_authorization
    whoever_signed_in_since_and_is_no_member_is_told_to_the_client
    logout_ends_what_hangs_on_the_session
    a_session_that_went_idle_or_is_over_ends_what_hangs_on_it_still
    whoever_signs_in_again_takes_up_the_session_that_went_idle
}

async fn keys(server: &Server) -> KeySet {
    KeySet::parse(server.get("/.well-known/jwks.json").await.body.as_bytes()).unwrap()
}

/// The claims of a JWT of this server, whose signature must be good.
async fn claims(server: &Server, jwt: &str) -> Value {
    let token = Unverified::parse(jwt).unwrap();
    let keys = keys(server).await;
    let key = keys
        .candidates(token.claimed_kid(), token.algorithm().unwrap())
        .next()
        .expect("a published key");
    Value::Object(token.verify(key).unwrap())
}

fn with(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let mut changed = request();
    for (name, value) in pairs {
        changed.insert((*name).to_owned(), (*value).to_owned());
    }
    changed
}

async fn whoever_signed_in_since_and_is_no_member_is_told_to_the_client(server: Server) {
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&with(&[("organization", "acme")])).await;
    let page = browser.sign_in(&page, "alice", PASSWORD).await;
    assert!(page.body.contains(r#"id="consent-allow""#), "{}", page.body);
    let other = browser.authorize(&with(&[("prompt", "login")])).await;
    browser.sign_in(&other, "bob", PASSWORD).await;

    let answer = browser
        .submit("/consent", &page, &[("decision", "allow")])
        .await;

    let told = response(&answer);
    let code = told.get("error").map(String::as_str);
    assert_eq!(code, Some("access_denied"), "{}", answer.body);
}

async fn no_prompt_means_no_page_of_ours_even_where_something_is_broken(server: Server) {
    let mut browser = Browser::new(&server);
    browser.tokens("alice", &request()).await;
    let silent = with(&[("prompt", "none")]);
    let good = response(&browser.authorize(&silent).await);
    assert!(good.contains_key("code"), "{good:?}");
    lose_store(&server.running.as_ref().unwrap().app).await;

    let answer = browser.authorize(&silent).await;

    let told = response(&answer);
    let code = told.get("error").map(String::as_str);
    assert_eq!(code, Some("temporarily_unavailable"), "{}", answer.body);
    assert_eq!(told["state"], "the state");
    assert_eq!(told["iss"], server.name());
    assert!(told["error_description"].contains("req_"), "{told:?}");
    // Somebody who is there can read, and try again.
    let page = browser.authorize(&request()).await;
    assert_eq!(page.status, 503, "{}", page.body);
}

/// Attack: B076
async fn id_tokens_are_signed_as_the_client_says_and_bound_to_the_access_token(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let jwt = tokens.text("id_token");

    let told = claims(&server, &jwt).await;

    assert_eq!(
        Unverified::parse(&jwt).unwrap().claimed_algorithm(),
        "RS256"
    );
    assert_eq!(
        (&told["iss"], &told["aud"], &told["nonce"]),
        (&json!(server.name()), &json!("web"), &json!("the nonce"))
    );
    assert_eq!((&told["acr"], &told["amr"]), (&json!("1"), &json!(["pwd"])));
    assert!(told["auth_time"].is_i64() && told["sid"].as_str().unwrap().starts_with("ses_"));
    let half = &Digest::of(tokens.text("access_token").as_bytes()).as_bytes()[..16].to_vec();
    assert_eq!(told["at_hash"], json!(BASE64_URL_SAFE_NO_PAD.encode(half)));
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*tokens.text("refresh_token")),
    ];
    let renewed = server.token("web", &form).await;
    let again = claims(&server, &renewed.text("id_token")).await;
    assert_eq!(
        (&again["sub"], &again["auth_time"], again.get("nonce")),
        (&told["sub"], &told["auth_time"], None)
    );
}

/// Attack: A041
async fn no_prompt_means_no_question(server: Server) {
    let mut browser = Browser::new(&server);
    let silent = with(&[("prompt", "none")]);
    assert_eq!(
        response(&browser.authorize(&silent).await)["error"],
        "login_required"
    );
    browser.code("alice", &request()).await;

    let again = response(&browser.authorize(&silent).await);
    let more = response(
        &browser
            .authorize(&with(&[
                ("prompt", "none"),
                ("scope", "openid write:orders"),
            ]))
            .await,
    );

    assert!(again.contains_key("code"), "{again:?}");
    assert_eq!(more["error"], "consent_required");
    let spa = [
        ("client_id", "spa"),
        ("redirect_uri", "https://spa.example.com/callback"),
    ];
    browser.code("alice", &with(&spa)).await;
    let page = browser.authorize(&with(&spa)).await;
    assert!(
        page.body.contains(r#"id="consent-allow""#),
        "a public client is never agreed to silently"
    );
}

async fn a_fresh_sign_in_is_demanded_by_prompt_and_by_age(server: Server) {
    let mut browser = Browser::new(&server);
    browser.code("alice", &request()).await;
    server.advance(100);

    for demand in [
        ("prompt", "login"),
        ("max_age", "60"),
        ("max_age", "0"),
        ("prompt", "select_account"),
    ] {
        let page = browser.authorize(&with(&[demand])).await;
        assert!(page.body.contains(r#"id="login-submit""#), "{demand:?}");
        let tokens = browser.tokens("alice", &with(&[demand])).await;
        let told = claims(&server, &tokens.text("id_token")).await;
        assert_eq!(told["auth_time"], told["iat"], "{demand:?}");
        server.advance(100);
    }
    let young = browser.authorize(&with(&[("max_age", "1000")])).await;
    assert!(response(&young).contains_key("code"));
}

/// Attack: A049
async fn a_hint_of_another_person_is_refused(server: Server) {
    let bobs = Browser::new(&server)
        .tokens("bob", &request())
        .await
        .text("id_token");
    let mut browser = Browser::new(&server);
    let own = browser.tokens("alice", &request()).await.text("id_token");
    server.advance(86_400 / 4);

    let other = response(
        &browser
            .authorize(&with(&[("prompt", "none"), ("id_token_hint", &bobs)]))
            .await,
    );
    let same = response(
        &browser
            .authorize(&with(&[("prompt", "none"), ("id_token_hint", &own)]))
            .await,
    );

    assert_eq!(other["error"], "login_required");
    assert!(
        same.contains_key("code"),
        "an expired hint is still a hint: {same:?}"
    );
    let forged = format!("{}x", &own[..own.len() - 1]);
    let bad = browser
        .authorize(&with(&[("prompt", "none"), ("id_token_hint", &forged)]))
        .await;
    assert!(!response(&bad).contains_key("code"));
}

async fn claims_are_told_where_they_were_agreed_to(server: Server) {
    let asked =
        r#"{"id_token":{"name":null,"email":{"essential":true}},"userinfo":{"email":null}}"#;
    let tokens = Browser::new(&server)
        .tokens("alice", &with(&[("claims", asked)]))
        .await;

    let told = claims(&server, &tokens.text("id_token")).await;
    let userinfo = server.userinfo(&tokens.text("access_token")).await.json();

    assert_eq!(
        (&told["name"], &told["email"]),
        (&json!("Alice Example"), &json!("alice@example.com"))
    );
    assert_eq!(
        (&userinfo["email"], userinfo.get("name")),
        (&json!("alice@example.com"), None)
    );
    let scoped = Browser::new(&server)
        .tokens("bob", &with(&[("scope", "openid profile email")]))
        .await;
    let userinfo = server.userinfo(&scoped.text("access_token")).await.json();
    assert_eq!(
        (&userinfo["email"], &userinfo["preferred_username"]),
        (&json!("bob@example.com"), &json!("bob"))
    );
    let acr = r#"{"id_token":{"acr":{"essential":true,"values":["urn:unknown"]}}}"#;
    let unmet = Browser::new(&server)
        .grant("alice", &with(&[("claims", acr)]))
        .await;
    assert_eq!(
        response(&unmet)["error"],
        "unmet_authentication_requirements"
    );
    let voluntary = Browser::new(&server)
        .grant("alice", &with(&[("acr_values", "urn:unknown")]))
        .await;
    assert!(response(&voluntary).contains_key("code"));
}

fn legacy() -> std::collections::BTreeMap<String, String> {
    with(&[
        ("client_id", "legacy"),
        ("redirect_uri", "https://legacy.example.com/callback"),
    ])
}

async fn pairwise_subjects_differ_and_lead_back(server: Server) {
    let public = Browser::new(&server).tokens("alice", &request()).await;
    let pairwise = Browser::new(&server).tokens("alice", &legacy()).await;

    let open = claims(&server, &public.text("id_token")).await;
    let hidden = claims(&server, &pairwise.text("id_token")).await;
    let access = claims(&server, &pairwise.text("access_token")).await;

    assert!(open["sub"].as_str().unwrap().starts_with("usr_"));
    assert!(hidden["sub"].as_str().unwrap().starts_with("pws_"));
    assert_eq!(hidden["sub"], access["sub"]);
    assert!(!access.to_string().contains("usr_"), "{access}");
    let userinfo = server.userinfo(&pairwise.text("access_token")).await;
    assert_eq!(claims(&server, &userinfo.body).await["sub"], hidden["sub"]);
}

/// Attack: E164
async fn answers_are_signed_where_asked_for(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &legacy()).await;

    let userinfo = server.userinfo(&tokens.text("access_token")).await;
    let asked = server
        .request(Method::POST, "/introspect")
        .basic_auth("orders-api", Some(crate::harness::SECRET));
    let asked = asked.header("accept", "application/token-introspection+jwt");
    let signed = read(
        asked
            .form(&[("token", tokens.text("access_token"))])
            .send()
            .await
            .unwrap(),
    )
    .await;

    assert_eq!(userinfo.header("content-type"), Some("application/jwt"));
    assert_eq!(
        claims(&server, &userinfo.body).await["aud"],
        json!("legacy")
    );
    assert_eq!(
        signed.header("content-type"),
        Some("application/token-introspection+jwt")
    );
    let told = claims(&server, &signed.body).await;
    assert_eq!(
        (&told["aud"], &told["token_introspection"]["active"]),
        (&json!("orders-api"), &json!(true))
    );
    assert!(told.get("sub").is_none() && told.get("exp").is_none());
    for signed in [userinfo.body, signed.body, tokens.text("id_token")] {
        assert!(!server.is_active(&signed).await);
        assert_eq!(server.userinfo(&signed).await.status, 401);
    }
    let posted = server
        .request(Method::POST, "/userinfo")
        .form(&[("access_token", tokens.text("access_token"))]);
    assert_eq!(read(posted.send().await.unwrap()).await.status, 200);
    let twice = server
        .request(Method::POST, "/userinfo")
        .bearer_auth(tokens.text("access_token"));
    let twice = twice.form(&[("access_token", tokens.text("access_token"))]);
    assert_eq!(
        read(twice.send().await.unwrap()).await.refusal(),
        "invalid_request"
    );
}

/// A token that was sent otherwise than once, in one place and under a scheme for
/// tokens, is told what is wrong with that (RFC 6750 §3.1).
async fn userinfo_takes_a_token_that_was_sent_once(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let token = tokens.text("access_token");
    let bearer = format!("Bearer {token}");
    let wide = format!("bearer   {token}");
    let (in_address, none) = (format!("?access_token={token}"), String::new());
    let twice_there = format!("{in_address}&access_token={token}");
    let malformed = (400, Some(r#"error="invalid_request""#));
    let cases = [
        (&none, vec![&*bearer], (200, None)),
        (&none, vec![&*wide], (200, None)),
        (&none, vec!["Basic d2ViOng="], (401, Some("Bearer, DPoP"))),
        (&none, vec![], (401, Some("Bearer, DPoP"))),
        (&none, vec!["Bearer"], malformed),
        (&none, vec![&*bearer, &*bearer], malformed),
        (&in_address, vec![&*bearer], malformed),
        (&twice_there, vec![&*bearer], malformed),
    ];
    for (query, headers, (status, challenge)) in cases {
        let mut asked = server.request(Method::GET, &format!("/userinfo{query}"));
        for header in &headers {
            asked = asked.header("authorization", *header);
        }
        let answer = read(asked.send().await.unwrap()).await;
        let shown = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(answer.status, status, "{headers:?} {}", answer.body);
        assert!(
            shown.contains(challenge.unwrap_or_default()),
            "{headers:?} {shown}"
        );
        assert!(
            status != 401 || !shown.contains("error"),
            "{headers:?} {shown}"
        );
    }
    let twice = server.request(Method::POST, "/userinfo");
    let twice = twice.form(&[("access_token", &token), ("access_token", &token)]);
    let twice = read(twice.send().await.unwrap()).await;
    assert_eq!(twice.status, 400, "{}", twice.body);
    let shown = twice.header("www-authenticate").unwrap_or_default();
    assert!(shown.contains("invalid_request"), "{shown}");
}

/// Attack: A028
async fn a_response_by_form_post_arrives_escaped(server: Server) {
    let hostile = r#""><script>alert(1)</script>"#;
    let posted = with(&[("response_mode", "form_post"), ("state", hostile)]);

    let page = Browser::new(&server).grant("alice", &posted).await;

    assert_eq!(page.status, 200, "{}", page.body);
    assert!(!page.body.contains(hostile) && page.body.contains(CALLBACK));
    assert!(hidden(&page.body, "code").unwrap().starts_with("sym_ac_"));
    assert_eq!(hidden(&page.body, "iss").unwrap(), server.name());
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("'sha256-")
            && policy.contains("https://app.example.com")
            && !policy.contains("unsafe")
    );
    let code = hidden(&page.body, "code").unwrap();
    assert_eq!(
        server
            .token("web", &redemption(&code, CALLBACK))
            .await
            .status,
        200
    );
}

async fn metadata_says_what_there_is_under_both_names(server: Server) {
    let one = server.get("/.well-known/openid-configuration").await;
    let two = server.get("/.well-known/oauth-authorization-server").await;

    assert_eq!(one.json(), two.json());
    let told = one.json();
    assert_eq!(told["issuer"], json!(server.name()));
    assert_eq!(told["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(
        told["authorization_response_iss_parameter_supported"],
        json!(true)
    );
    for stated in [
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "claims_parameter_supported",
        "acr_values_supported",
    ] {
        assert!(told.get(stated).is_some(), "{stated}");
    }
    assert_eq!(one.header("access-control-allow-origin"), Some("*"));
    let keys = server.get("/.well-known/jwks.json").await;
    assert_eq!(keys.header("access-control-allow-origin"), Some("*"));
    let all = keys.json()["keys"].as_array().unwrap().clone();
    // For each algorithm the key that signs and the one that will.
    assert_eq!(all.len(), 12);
    assert!(
        all.iter()
            .all(|key| key.get("d").is_none() && key["use"] == "sig" && key["kid"].is_string())
    );
}

async fn organizations_are_chosen_at_authorization(server: Server) {
    let inside = Browser::new(&server)
        .tokens("alice", &with(&[("organization", "acme")]))
        .await;
    let told = server
        .introspect("orders-api", &inside.text("access_token"))
        .await;
    assert_eq!(
        (&told["organization"], &told["roles"]),
        (&json!("acme"), &json!(["buyer"]))
    );

    let outside = Browser::new(&server)
        .grant("bob", &with(&[("organization", "acme")]))
        .await;
    assert_eq!(response(&outside)["error"], "access_denied");
    let nowhere = Browser::new(&server)
        .grant("alice", &with(&[("organization", "nowhere")]))
        .await;
    assert_eq!(response(&nowhere)["error"], "access_denied");

    let gone = server
        .admin(
            Method::DELETE,
            "/admin/v1/organizations/acme/members/alice",
            None,
        )
        .await;
    assert!(gone.status < 300, "{}", gone.body);
    assert!(!server.is_active(&inside.text("access_token")).await);
}

async fn logout(browser: &mut Browser<'_>, pairs: &[(&str, &str)]) -> Answer {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    browser.get(&format!("/logout?{query}")).await
}

/// Attack: C101, C102
async fn logout_ends_what_hangs_on_the_session(server: Server) {
    let mut browser = Browser::new(&server);
    let short = browser
        .tokens("alice", &with(&[("scope", "openid read:orders")]))
        .await;
    let long = browser.tokens("alice", &request()).await;
    let hint = short.text("id_token");
    let confirmation = logout(&mut browser, &[]).await;
    assert!(
        confirmation.body.contains(r#"id="logout-confirm""#),
        "nobody is logged out by a link"
    );
    assert!(server.is_active(&short.text("access_token")).await);
    let evil = [
        ("id_token_hint", &*hint),
        ("post_logout_redirect_uri", "https://evil.example/"),
    ];
    let refused = logout(&mut browser, &evil).await;
    assert_eq!((refused.status, refused.header("location")), (400, None));

    let good = [
        ("id_token_hint", &*hint),
        ("post_logout_redirect_uri", "https://app.example.com/bye"),
        ("state", "s"),
    ];
    let gone = logout(&mut browser, &good).await;

    assert_eq!(
        gone.header("location"),
        Some("https://app.example.com/bye?state=s")
    );
    assert!(!server.is_active(&short.text("access_token")).await);
    assert!(
        server.is_active(&long.text("access_token")).await,
        "offline access outlives the session"
    );
    assert_eq!(
        response(&browser.authorize(&with(&[("prompt", "none")])).await)["error"],
        "login_required"
    );
}

/// What an application asks for whose tokens hang on the session.
fn hanging() -> std::collections::BTreeMap<String, String> {
    with(&[
        ("client_id", "ours"),
        ("redirect_uri", "com.example.ours:/callback"),
        ("scope", "openid read:orders"),
    ])
}

/// Of the same person, that is; what hangs on one of another person ends.
///
/// Attack: C101
async fn whoever_signs_in_again_takes_up_the_session_that_went_idle(server: Server) {
    let mut browser = Browser::new(&server);
    let refresh = async |tokens: &Answer| {
        let token = tokens.text("refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        server.token("ours", &form).await
    };
    let early = browser.tokens("alice", &hanging()).await;
    server.advance(9 * 60 * 60);
    let late = browser.tokens("alice", &hanging()).await;
    let path = "/admin/v1/sessions?user=alice";
    let list = server.admin(Method::GET, path, None).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    let (early, late) = (refresh(&early).await, refresh(&late).await);
    assert_eq!((early.status, late.status), (200, 200));

    let hint = [("id_token_hint", &*late.text("id_token"))];
    assert_eq!(logout(&mut browser, &hint).await.status, 200);
    for tokens in [&early, &late] {
        assert_eq!(refresh(tokens).await.refusal(), "invalid_grant");
    }

    let of_alice = browser.tokens("alice", &hanging()).await;
    server.advance(9 * 60 * 60);
    let of_bob = browser.tokens("bob", &hanging()).await;
    assert_eq!(refresh(&of_alice).await.refusal(), "invalid_grant");
    assert_eq!(refresh(&of_bob).await.status, 200);
}

/// What an application on a device got without offline access ends with the
/// session, however long ago that was used.
///
/// Attack: C101
async fn a_session_that_went_idle_or_is_over_ends_what_hangs_on_it_still(server: Server) {
    let asked = hanging();
    let (mut here, mut there) = (Browser::new(&server), Browser::new(&server));
    let logged_out = here.tokens("alice", &asked).await;
    let revoked = there.tokens("alice", &asked).await;
    let refresh = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        server.token("ours", &form).await
    };

    server.advance(9 * 60 * 60);
    assert_eq!(
        response(&here.authorize(&with(&[("prompt", "none")])).await)["error"],
        "login_required"
    );
    let gone = logout(
        &mut here,
        &[("id_token_hint", &logged_out.text("id_token"))],
    )
    .await;

    assert_eq!(gone.status, 200, "{}", gone.body);
    let dead = refresh(&logged_out.text("refresh_token")).await;
    assert_eq!(dead.refusal(), "invalid_grant");

    server.advance(8 * 24 * 60 * 60);
    purge(&server.running.as_ref().unwrap().app).await;
    let renewed = refresh(&revoked.text("refresh_token")).await;
    assert_eq!(renewed.status, 200, "it has not ended: {}", renewed.body);
    let path = "/admin/v1/sessions?user=alice";
    let list = server.admin(Method::GET, path, None).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    let session = json!({ "session": list["items"][0]["id"] });
    let mut elsewhere = Browser::new(&server);
    elsewhere.tokens("alice", &asked).await;
    let account = elsewhere.get("/account").await;
    let told = account.body.matches("It has to sign in again").count();
    assert_eq!(told, 1, "{}", account.body);
    let ended = server.admin(Method::POST, "/admin/v1/revoke", Some(session));
    assert_eq!(ended.await.status, 204);

    let dead = refresh(&renewed.text("refresh_token")).await;
    assert_eq!(dead.refusal(), "invalid_grant");
}
