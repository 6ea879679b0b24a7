//! Consent: what is shown is what is given, there and nowhere else.

use reqwest::Method;
use serde_json::json;

use crate::browser::{Browser, encode, redemption, request, response};
use crate::harness::{Answer, CALLBACK, PASSWORD, Server};
use crate::on_both_engines;
use crate::setting::{NORTH, SOUTH, TENANT, by, callback};

on_both_engines! {
    each_resource_that_gets_a_scope_is_shown_with_it
    what_an_unticked_box_means_is_said
    a_scope_is_agreed_to_at_each_resource_apart
    two_consents_are_added_and_never_multiplied
    what_became_more_since_it_was_shown_is_shown_again
    a_consent_to_less_ends_what_was_given_before
    a_claim_is_told_through_tokens_that_carry_it
    a_claim_of_a_scope_that_was_unticked_is_not_told
    nobody_else_is_offered_where_one_person_was_asked_for
    one_of_the_subjects_that_were_asked_for_has_to_come
    a_public_client_of_our_own_is_asked_where_others_could_listen
    a_redirect_uri_that_was_taken_away_gets_no_code
    a_resource_of_an_organization_has_clients_of_it_alone
}

const ALLOW: (&str, &str) = ("decision", "allow");

/// The consent page that somebody comes to.
async fn page(browser: &mut Browser<'_>, who: &str, query: &str) -> Answer {
    let answer = browser.get(&format!("/authorize?{query}")).await;
    if !answer.body.contains(r#"id="login-submit""#) {
        return answer;
    }
    let fields = [("username", who), ("password", PASSWORD)];
    browser.submit("/login", &answer, &fields).await
}

fn with(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let mut asked = request();
    for (name, value) in pairs {
        asked.insert((*name).to_owned(), (*value).to_owned());
    }
    asked
}

/// Attack: A044
async fn each_resource_that_gets_a_scope_is_shown_with_it(server: Server) {
    let asked = encode(&by("both", &[("scope", "read")]));
    let named = format!("{asked}&resource={NORTH}&resource={SOUTH}");
    for query in [&asked, &named] {
        let mut browser = Browser::new(&server);
        let page = page(&mut browser, "alice", &format!("{query}&prompt=consent")).await;

        for host in ["north.example.com", "south.example.com"] {
            assert!(page.body.contains(host), "{host} is not named: {query}");
        }
        let code = response(&browser.submit("/consent", &page, &[ALLOW]).await)["code"].clone();
        let uri = callback("both");
        let mut form = redemption(&code, &uri);
        form.push(("resource", SOUTH));
        let tokens = server.token("both", &form).await;
        assert_eq!(tokens.text("scope"), "read");
    }
    let one = by("both", &[("scope", "read"), ("resource", NORTH)]);
    let page = page(&mut Browser::new(&server), "bob", &encode(&one)).await;
    assert!(page.body.contains("north.example.com") && !page.body.contains("south.example.com"));
}

/// How long is said of both: with the tick that lets it last, and without.
async fn what_an_unticked_box_means_is_said(server: Server) {
    let less = "Without the tick at “Keep this access while you are away”: for 10 minutes.";
    for (scope, is_said) in [
        ("openid offline_access read:orders", true),
        ("openid read:orders", false),
    ] {
        let asked = with(&[("scope", scope), ("prompt", "consent")]);
        let page = page(&mut Browser::new(&server), "alice", &encode(&asked)).await;
        assert!(page.body.contains("For how long"), "{}", page.body);
        assert_eq!(page.body.contains(less), is_said, "{scope}: {}", page.body);
    }
}

async fn a_scope_is_agreed_to_at_each_resource_apart(server: Server) {
    let mut browser = Browser::new(&server);
    let asked = encode(&by("both", &[("scope", "read write")]));
    let page = page(&mut browser, "alice", &asked).await;
    let north = format!("write {NORTH}");
    assert!(
        page.body.contains(&format!("write {SOUTH}")),
        "{}",
        page.body
    );

    let answer = browser
        .submit("/consent", &page, &[ALLOW, ("scope", &north)])
        .await;

    let code = response(&answer)["code"].clone();
    let uri = callback("both");
    let mut form = redemption(&code, &uri);
    form.push(("resource", SOUTH));
    let south = server.token("both", &form).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*south.text("refresh_token")),
        ("resource", NORTH),
    ];
    let north = server.token("both", &form).await;
    assert_eq!(south.text("scope"), "read", "write was unticked there");
    assert_eq!(north.text("scope"), "read write");
}

async fn two_consents_are_added_and_never_multiplied(server: Server) {
    let mut browser = Browser::new(&server);
    for (scope, place) in [("write", NORTH), ("read", SOUTH)] {
        let asked = by("both", &[("scope", scope), ("resource", place)]);
        let page = page(&mut browser, "alice", &encode(&asked)).await;
        let answer = browser
            .submit("/consent", &page, &[ALLOW, ("scope", scope)])
            .await;
        assert!(response(&answer).contains_key("code"));
    }
    let silently = async |browser: &mut Browser<'_>, scope, place| {
        let pairs = [("scope", scope), ("resource", place), ("prompt", "none")];
        response(&browser.authorize(&by("both", &pairs)).await)
    };

    let never = silently(&mut browser, "write", SOUTH).await;

    assert_eq!(never["error"], "consent_required");
    assert!(
        silently(&mut browser, "write", NORTH)
            .await
            .contains_key("code")
    );
    assert!(
        silently(&mut browser, "read", SOUTH)
            .await
            .contains_key("code")
    );
}

async fn what_became_more_since_it_was_shown_is_shown_again(server: Server) {
    let mut browser = Browser::new(&server);
    let asked = by("both", &[("scope", "read")]);
    let narrow = json!({ "scopes": ["write"] });
    let path = format!("/admin/v1/resources/{}", SOUTH.replace('/', "%2F"));
    let patched = server.admin(Method::PATCH, &path, Some(narrow)).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    let shown = page(&mut browser, "alice", &encode(&asked)).await;
    assert!(!shown.body.contains("south.example.com"));
    let wide = json!({ "scopes": ["read", "write"] });
    server.admin(Method::PATCH, &path, Some(wide)).await;

    let again = browser.submit("/consent", &shown, &[ALLOW]).await;

    assert!(again.body.contains("south.example.com"), "{}", again.body);
    let answer = browser.submit("/consent", &again, &[ALLOW]).await;
    assert!(response(&answer).contains_key("code"));
}

/// Attack: C084, C086
async fn a_consent_to_less_ends_what_was_given_before(server: Server) {
    let asked = with(&[("scope", "openid email offline_access read:orders")]);
    let again = with(&[
        ("scope", "openid email offline_access read:orders"),
        ("prompt", "consent"),
    ]);
    let mut browser = Browser::new(&server);
    let first = browser.tokens("alice", &asked).await;
    let refresh = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        server.token("web", &form).await
    };
    let same = browser.tokens("alice", &again).await;
    assert!(
        server.is_active(&first.text("access_token")).await,
        "nothing was taken away"
    );
    let renewed = refresh(&first.text("refresh_token")).await;
    assert_eq!(renewed.status, 200);
    let other = server.second_node().await;

    let page = browser.authorize(&again).await;
    let answer = browser.submit("/consent", &page, &[ALLOW]).await;

    let code = response(&answer)["code"].clone();
    let less = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(less.text("scope"), "openid read:orders");
    for token in [&renewed, &same] {
        assert!(!server.is_active(&token.text("access_token")).await);
        let refused = refresh(&token.text("refresh_token")).await;
        assert_eq!(refused.refusal(), "invalid_grant");
        if let Some(other) = &other {
            other.catch_up().await;
            assert!(!other.is_active(&token.text("access_token")).await);
        }
    }
    assert!(server.is_active(&less.text("access_token")).await);
    let silent = with(&[("scope", "openid email"), ("prompt", "none")]);
    assert_eq!(
        response(&browser.authorize(&silent).await)["error"],
        "consent_required"
    );
}

const EMAIL: &str = r#"{"userinfo":{"email":null},"id_token":{"email":null}}"#;

async fn email(server: &Server, tokens: &Answer) -> serde_json::Value {
    let userinfo = server.userinfo(&tokens.text("access_token")).await;
    assert_eq!(userinfo.status, 200, "{}", userinfo.body);
    userinfo.json()["email"].clone()
}

async fn a_claim_is_told_through_tokens_that_carry_it(server: Server) {
    let scope = "openid offline_access read:vault";
    let vault = crate::harness::VAULT;
    for resource in [crate::harness::ORDERS, vault] {
        let scope = if resource == vault {
            scope
        } else {
            "openid offline_access read:orders"
        };
        let pairs = [("scope", scope), ("claims", EMAIL), ("resource", resource)];
        let whole = Browser::new(&server).tokens("alice", &with(&pairs)).await;
        assert_eq!(
            email(&server, &whole).await,
            "alice@example.com",
            "{resource}"
        );
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &*whole.text("refresh_token")),
            ("scope", "openid"),
        ];

        let narrow = server.token("web", &form).await;

        assert_eq!(narrow.text("scope"), "openid");
        assert!(email(&server, &narrow).await.is_null(), "{resource}");
        let form = [form[0], ("refresh_token", &*narrow.text("refresh_token"))];
        let again = server.token("web", &form).await;
        assert_eq!(email(&server, &again).await, "alice@example.com");
    }
    let without = Browser::new(&server)
        .tokens("alice", &with(&[("scope", "openid")]))
        .await;
    assert!(
        email(&server, &without).await.is_null(),
        "this token did not ask"
    );
}

async fn a_claim_of_a_scope_that_was_unticked_is_not_told(server: Server) {
    let pairs = [("scope", "openid"), ("claims", EMAIL)];
    let told = Browser::new(&server).tokens("alice", &with(&pairs)).await;
    assert_eq!(email(&server, &told).await, "alice@example.com");
    let mut browser = Browser::new(&server);
    let pairs = [
        ("scope", "openid email"),
        ("claims", EMAIL),
        ("prompt", "consent"),
    ];
    let page = page(&mut browser, "alice", &encode(&with(&pairs))).await;

    let answer = browser.submit("/consent", &page, &[ALLOW]).await;

    let code = response(&answer)["code"].clone();
    let tokens = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(tokens.text("scope"), "openid");
    assert!(email(&server, &tokens).await.is_null());
    let id_token = tokens.text("id_token");
    let claims = symbolon_token::jose::Unverified::parse(&id_token).unwrap();
    let claims = claims.dangerous_claims_without_key().unwrap();
    assert!(!claims.contains_key("email"), "{claims:?}");
    let silent = with(&[("scope", "openid"), ("claims", EMAIL), ("prompt", "none")]);
    let silent = response(&browser.authorize(&silent).await);
    assert_eq!(silent["error"], "consent_required", "it was taken back");
}

/// Attack: A049
async fn nobody_else_is_offered_where_one_person_was_asked_for(server: Server) {
    let mut browser = Browser::new(&server);
    let hint = browser.tokens("alice", &request()).await.text("id_token");
    let link = "account-switch";
    let open = browser.authorize(&with(&[("prompt", "consent")])).await;
    assert!(open.body.contains(link));

    let hinted = with(&[("prompt", "consent"), ("id_token_hint", &hint)]);
    let page = browser.authorize(&hinted).await;

    assert!(page.body.contains(r#"id="consent-allow""#), "{}", page.body);
    assert!(!page.body.contains(link));
    let mut other = Browser::new(&server);
    let asked = with(&[("id_token_hint", &hint)]);
    let page = other.authorize(&asked).await;
    let fields = [("username", "bob"), ("password", PASSWORD)];
    let answer = other.submit("/login", &page, &fields).await;
    assert_eq!(response(&answer)["error"], "login_required");
}

async fn one_of_the_subjects_that_were_asked_for_has_to_come(server: Server) {
    let mut subjects = Vec::new();
    for who in ["alice", "bob"] {
        let tokens = Browser::new(&server).tokens(who, &request()).await;
        let told = server.userinfo(&tokens.text("access_token")).await;
        subjects.push(told.text("sub"));
    }
    let list =
        |place: &str, subs: &[&String]| json!({ place: { "sub": { "values": subs } } }).to_string();
    let mut bob = Browser::new(&server);
    bob.code("bob", &request()).await;
    let silently = async |bob: &mut Browser<'_>, claims: &str| {
        response(
            &bob.authorize(&with(&[("claims", claims), ("prompt", "none")]))
                .await,
        )
    };

    for place in ["id_token", "userinfo"] {
        let alice_alone = list(place, &[&subjects[0]]);
        let either = list(place, &[&subjects[0], &subjects[1]]);
        let one = json!({ place: { "sub": { "value": subjects[0] } } }).to_string();
        for claims in [&alice_alone, &one] {
            let answer = silently(&mut bob, claims).await;
            assert_eq!(answer["error"], "login_required", "{claims}");
        }
        assert!(silently(&mut bob, &either).await.contains_key("code"));
    }
    let torn = json!({
        "id_token": { "sub": { "value": subjects[0] } },
        "userinfo": { "sub": { "value": subjects[1] } },
    });
    let answer = silently(&mut bob, &torn.to_string()).await;
    assert_eq!(answer["error"], "login_required");
}

/// Attack: A041
async fn a_public_client_of_our_own_is_asked_where_others_could_listen(server: Server) {
    let mut browser = Browser::new(&server);
    browser.code("alice", &request()).await;
    let scope = ("scope", "openid read:orders");
    for uri in [
        "http://127.0.0.1:5555/callback",
        "com.example.ours:/callback",
    ] {
        let pairs = [scope, ("redirect_uri", uri), ("prompt", "none")];
        let silent = browser.authorize(&by("ours", &pairs)).await;
        assert_eq!(response(&silent)["error"], "consent_required", "{uri}");
        let asked = browser.authorize(&by("ours", &pairs[..2])).await;
        assert!(asked.body.contains(r#"id="consent-allow""#), "{uri}");
    }

    let claimed = browser
        .authorize(&by("ours", &[scope, ("prompt", "none")]))
        .await;

    assert!(response(&claimed).contains_key("code"));
}

async fn a_redirect_uri_that_was_taken_away_gets_no_code(server: Server) {
    let mut browser = Browser::new(&server);
    let login = browser.authorize(&request()).await;
    let moved = json!({ "redirect_uris": ["https://elsewhere.example.com/callback"] });
    let fields = [("username", "alice"), ("password", PASSWORD)];
    let path = "/admin/v1/clients/web";
    let patched = server.admin(Method::PATCH, path, Some(moved)).await;
    assert_eq!(patched.status, 200, "{}", patched.body);

    let refused = browser.submit("/login", &login, &fields).await;

    assert_eq!((refused.status, refused.header("location")), (400, None));
    let back = json!({ "redirect_uris": [CALLBACK] });
    server.admin(Method::PATCH, path, Some(back)).await;
    let page = browser.submit("/login", &login, &fields).await;
    assert!(page.body.contains(r#"id="consent-allow""#), "{}", page.body);
}

async fn a_resource_of_an_organization_has_clients_of_it_alone(server: Server) {
    let path = |resource: &str| format!("/admin/v1/resources/{}", resource.replace('/', "%2F"));
    let acme = json!({ "organization": "acme" });

    let refused = server
        .admin(Method::PATCH, &path(NORTH), Some(acme.clone()))
        .await;

    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("both"), "{}", refused.body);
    let same = server.admin(Method::PATCH, &path(TENANT), Some(acme)).await;
    assert_eq!(same.status, 200, "{}", same.body);
    let pairs = [("scope", "openid rent"), ("resource", TENANT)];
    let tokens = Browser::new(&server)
        .tokens("alice", &by("tenant", &pairs))
        .await;
    let told = server
        .introspect("tenant", &tokens.text("access_token"))
        .await;
    assert_eq!(
        (&told["aud"], &told["organization"]),
        (&json!(TENANT), &json!("acme"))
    );
}
