//! Token exchange and assertions of partners.

mod bearer;
mod bound;
#[cfg(feature = "saml")]
mod narrowing;
mod partner;
mod policy;
mod revoked;
#[cfg(feature = "saml")]
mod saml;
#[cfg(feature = "saml")]
mod saml_encrypted;
mod since;
#[cfg(feature = "saml")]
mod table;
pub(crate) mod world;

use serde_json::json;

use self::world::{Asked, SAFE, STOCK, claims, client, furnish, own_token, signed_in, urn};
use crate::browser::{Browser, request};
use crate::harness::{Answer, ORDERS, Server};
use crate::on_both_engines;
use crate::withdrawal::grant_of_alice;

on_both_engines! {
    an_api_carries_a_request_on_with_a_narrower_token
    an_opaque_token_is_exchanged_like_a_jwt
    nothing_gets_wider_by_an_exchange
    an_exchange_buys_no_time
    refresh_and_id_tokens_are_taken_where_the_policy_says_so
    an_id_token_of_before_it_was_taken_back_is_worth_nothing
    a_refresh_token_is_looked_at_and_not_spent
    a_refresh_token_that_was_exchanged_was_presented
    a_refresh_token_that_comes_back_to_be_exchanged_is_theft
    who_acts_adds_no_scope_of_their_own_and_keeps_none_that_they_lack
    an_id_token_comes_back_to_its_own_client_alone
    malformed_requests_are_told_so
    a_chain_of_actors_has_an_end
    who_acts_for_the_actor_is_on_record_too
}

async fn an_api_carries_a_request_on_with_a_narrower_token(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let actor = own_token(&server, "orders-api").await;
    let before = server.commits();

    let answer = Asked::of("access_token", &subject)
        .acting("access_token", &actor)
        .with("resource", STOCK)
        .by(&server, "orders-api")
        .await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.text("issued_token_type"), urn("access_token"));
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(answer.text("scope"), "read:orders");
    assert_eq!(answer.json().get("refresh_token"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (was, is) = (claims(&subject), claims(&answer.text("access_token")));
    assert_eq!(is["sub"], was["sub"]);
    assert_eq!(is["aud"], STOCK);
    assert_eq!(is["client_id"], "orders-api");
    assert_eq!(is["act"], json!({ "sub": "orders-api" }));
    assert!(is["exp"].as_i64() <= was["exp"].as_i64());
    let told = server
        .introspect("vault-api", &answer.text("access_token"))
        .await;
    assert_eq!(
        (&told["active"], &told["act"]["sub"]),
        (&json!(true), &json!("orders-api"))
    );
    assert_eq!(server.commits(), before, "an exchange writes nothing");
}

async fn an_opaque_token_is_exchanged_like_a_jwt(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let actor = own_token(&server, "orders-api").await;

    let opaque = Asked::of("access_token", &subject)
        .acting("access_token", &actor)
        .with("audience", SAFE)
        .token(&server, "orders-api")
        .await;
    let again = Asked::of("access_token", &opaque)
        .token(&server, "orders-api")
        .await;
    let jwt = Asked::of("access_token", &opaque)
        .with("resource", STOCK)
        .with("requested_token_type", &urn("jwt"))
        .by(&server, "orders-api")
        .await;

    assert!(opaque.starts_with("sym_at_") && again.starts_with("sym_at_"));
    let told = server.introspect("vault-api", &again).await;
    assert_eq!(
        told["act"],
        json!({ "sub": "orders-api" }),
        "who acted stays on record"
    );
    assert_eq!(told["sub"], claims(&subject)["sub"]);
    assert_eq!(jwt.text("issued_token_type"), urn("jwt"));
    assert_eq!(claims(&jwt.text("access_token"))["aud"], STOCK);
}

/// Attack: G196, G207
async fn nothing_gets_wider_by_an_exchange(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let asked = || Asked::of("access_token", &subject);

    for (name, value, error) in [
        ("scope", "write:orders", "invalid_scope"),
        ("scope", "read:orders delete:orders", "invalid_scope"),
        ("scope", "offline_access", "invalid_scope"),
        ("scope", "profile", "invalid_scope"),
        ("scope", "a\"b", "invalid_scope"),
        ("resource", "https://vault.example.com", "invalid_target"),
        ("resource", "https://unknown.example.com", "invalid_target"),
        ("audience", "unknown", "invalid_target"),
        ("resource", "https://orders.example.com#f", "invalid_target"),
        ("resource", STOCK, "invalid_target"),
    ] {
        let answer = asked().with(name, value).by(&server, "web").await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, error),
            "{name}={value}"
        );
    }
    let two = asked().with("resource", ORDERS).with("audience", STOCK);
    let policy = json!({ "resources": [ORDERS, STOCK, "https://vault.example.com"] });
    client(&server, "web", policy).await;
    assert_eq!(two.by(&server, "web").await.refusal(), "invalid_target");
    let narrower = asked()
        .with("scope", "read:orders")
        .with("resource", ORDERS);
    let narrower = narrower.token(&server, "web").await;
    assert_eq!(claims(&narrower)["scope"], "read:orders");
    assert_eq!(claims(&narrower)["aud"], ORDERS);
    let quiet = asked().token(&server, "web").await;
    assert_eq!(
        claims(&quiet)["scope"],
        "read:orders",
        "the issuer's own scopes stay behind"
    );
    let back = Asked::of("access_token", &narrower).with("scope", "openid read:orders");
    assert_eq!(back.by(&server, "web").await.refusal(), "invalid_scope");
}

/// Attack: G192
async fn an_exchange_buys_no_time(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    server.advance(400);
    let actor = own_token(&server, "orders-api").await;

    let answer = Asked::of("access_token", &subject)
        .acting("access_token", &actor)
        .with("resource", STOCK)
        .by(&server, "orders-api")
        .await;

    assert_eq!(answer.json()["expires_in"], 200);
    let derived = answer.text("access_token");
    server.advance(100);
    let again = Asked::of("access_token", &derived)
        .by(&server, "orders-api")
        .await;
    assert_eq!(again.json()["expires_in"], 100);
    server.advance(101);
    let late = Asked::of("access_token", &derived)
        .by(&server, "orders-api")
        .await;
    assert_eq!((late.status, &*late.refusal()), (400, "invalid_request"));
    let late = Asked::of("access_token", &subject).by(&server, "web").await;
    assert_eq!(late.refusal(), "invalid_request");
}

async fn refresh_and_id_tokens_are_taken_where_the_policy_says_so(server: Server) {
    furnish(&server).await;
    let tokens = signed_in(&server, "alice").await;
    let refresh = Asked::of("refresh_token", &tokens.text("refresh_token"));
    let id = Asked::of("id_token", &tokens.text("id_token")).with("resource", SAFE);
    for asked in [&refresh, &id] {
        assert_eq!(asked.by(&server, "web").await.refusal(), "invalid_request");
    }
    let policy = json!({
        "resources": [ORDERS, "https://vault.example.com", SAFE],
        "exchange": { "accepts": ["access_token", "refresh_token", "id_token"], "to": [SAFE] },
    });
    client(&server, "web", policy).await;
    assert_eq!(
        id.by(&server, "web").await.refusal(),
        "invalid_target",
        "the API has not agreed"
    );
    let resource = format!(
        "/admin/v1/resources/{}",
        SAFE.replace(':', "%3A").replace('/', "%2F")
    );
    let open = json!({ "exchange_from": ["orders-api", "web"] });
    server
        .admin(reqwest::Method::PATCH, &resource, Some(open))
        .await;

    let by_refresh = refresh.by(&server, "web").await;
    let by_id = id.by(&server, "web").await;

    assert_eq!(by_refresh.text("scope"), "read:orders");
    assert_eq!(
        by_id.refusal(),
        "invalid_scope",
        "who somebody is opens nothing"
    );
    let none = json!({ "scopes": [], "sensitive_scopes": [] });
    server
        .admin(reqwest::Method::PATCH, &resource, Some(none))
        .await;
    let by_id = id.by(&server, "web").await;
    assert_eq!(by_id.status, 200, "an API without scopes: {}", by_id.body);
    assert_eq!(by_id.json().get("scope"), None, "no scope is no text");
    let told = server
        .introspect("vault-api", &by_id.text("access_token"))
        .await;
    assert_eq!(told["active"], true);
    let back = json!({ "scopes": ["read:orders"] });
    server
        .admin(reqwest::Method::PATCH, &resource, Some(back))
        .await;
    let scoped = Asked::of("id_token", &tokens.text("id_token"))
        .with("resource", SAFE)
        .with("scope", "read:orders");
    assert_eq!(scoped.by(&server, "web").await.refusal(), "invalid_scope");
}

/// What a client or a person lost comes back to nobody who kept an ID token of
/// before, though both are there again.
async fn an_id_token_of_before_it_was_taken_back_is_worth_nothing(server: Server) {
    furnish(&server).await;
    let policy = json!({
        "resources": [ORDERS, "https://vault.example.com", SAFE],
        "exchange": { "accepts": ["access_token", "id_token"], "to": [SAFE] },
    });
    client(&server, "web", policy).await;
    let resource = format!(
        "/admin/v1/resources/{}",
        SAFE.replace(':', "%3A").replace('/', "%2F")
    );
    let open = json!({ "exchange_from": ["web"], "scopes": [], "sensitive_scopes": [] });
    let patched = server.admin(reqwest::Method::PATCH, &resource, Some(open));
    assert_eq!(patched.await.status, 200);
    let asked =
        |tokens: &Answer| Asked::of("id_token", &tokens.text("id_token")).with("resource", SAFE);
    let taken_back = [
        ("/admin/v1/revoke", json!({ "client": "web" })),
        ("/admin/v1/revoke", json!({ "subject": "alice" })),
        ("/admin/v1/clients/web/disable", json!({})),
        ("/admin/v1/users/alice/disable", json!({})),
        // Withdrawn, and agreed to anew.
        ("/admin/v1/revoke", json!({ "grant": null })),
        // The family that it was issued beside.
        ("/admin/v1/revoke", json!({ "token": null })),
    ];
    for (path, mut body) in taken_back {
        let tokens = signed_in(&server, "alice").await;
        let kept = asked(&tokens);
        assert_eq!(kept.by(&server, "web").await.status, 200, "{path}");

        if let Some(grant) = body.get_mut("grant") {
            *grant = grant_of_alice(&server, "web").await;
        }
        if let Some(token) = body.get_mut("token") {
            *token = tokens.text("refresh_token").into();
        }
        let done = server
            .admin(reqwest::Method::POST, path, Some(body.clone()))
            .await;
        assert!(done.status < 300, "{path}: {}", done.body);
        if path.ends_with("/disable") {
            let again = path.replace("/disable", "/enable");
            let again = server
                .admin(reqwest::Method::POST, &again, Some(json!({})))
                .await;
            assert!(again.status < 300, "{}", again.body);
        }
        let anew = asked(&signed_in(&server, "alice").await);

        let refused = kept.by(&server, "web").await;
        assert_eq!(refused.refusal(), "invalid_request", "{path} {body}");
        let anew = anew.by(&server, "web").await;
        assert_eq!(anew.status, 200, "{path}: {}", anew.body);
    }
}

async fn a_refresh_token_is_looked_at_and_not_spent(server: Server) {
    furnish(&server).await;
    let tokens = signed_in(&server, "alice").await;
    let accepts = json!({ "exchange": { "accepts": ["access_token", "refresh_token"] } });
    client(&server, "web", accepts).await;
    let refresh = Asked::of("refresh_token", &tokens.text("refresh_token"));
    assert_eq!(refresh.by(&server, "web").await.status, 200);
    let spent = server
        .token(
            "web",
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", &tokens.text("refresh_token")),
            ],
        )
        .await;
    assert_eq!(spent.status, 200, "it was looked at, not spent");
    let next = spent.text("refresh_token");
    server
        .token(
            "web",
            &[("grant_type", "refresh_token"), ("refresh_token", &next)],
        )
        .await;
    assert_eq!(
        refresh.by(&server, "web").await.refusal(),
        "invalid_request",
        "not the current one"
    );
    let other = json!({ "grants": ["client_credentials", world::EXCHANGE],
        "exchange": { "accepts": ["access_token", "refresh_token", "id_token"] } });
    client(&server, "orders-api", other).await;
    let stolen = Asked::of("refresh_token", &next)
        .by(&server, "orders-api")
        .await;
    assert_eq!(stolen.refusal(), "invalid_request");
    let confused = Asked::of("id_token", &tokens.text("id_token")).with("resource", ORDERS);
    assert_eq!(
        confused.by(&server, "orders-api").await.refusal(),
        "invalid_request"
    );
    for kind in ["access_token", "jwt"] {
        let confused = Asked::of(kind, &tokens.text("id_token"));
        assert_eq!(
            confused.by(&server, "web").await.refusal(),
            "invalid_request",
            "{kind}"
        );
    }
}

/// A refresh token of `web`, and what a refresh with it is answered.
async fn refreshed(server: &Server, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.token("web", &form).await
}

/// Lets `web` exchange refresh tokens, and signs alice in.
async fn refresh_token(server: &Server) -> String {
    furnish(server).await;
    let accepts = json!({ "exchange": { "accepts": ["access_token", "refresh_token"] } });
    client(server, "web", accepts).await;
    signed_in(server, "alice").await.text("refresh_token")
}

async fn a_refresh_token_that_was_exchanged_was_presented(server: Server) {
    let first = refresh_token(&server).await;
    let second = refreshed(&server, &first).await.text("refresh_token");
    let retry = refreshed(&server, &first).await;
    assert_eq!(retry.text("refresh_token"), second, "unused, so a retry");

    let exchanged = Asked::of("refresh_token", &second).by(&server, "web").await;

    assert_eq!(exchanged.status, 200, "{}", exchanged.body);
    let again = Asked::of("refresh_token", &second).by(&server, "web").await;
    assert_eq!(again.status, 200, "it is the current one still");
    assert_eq!(refreshed(&server, &first).await.refusal(), "invalid_grant");
    let ended = refreshed(&server, &second).await;
    assert_eq!(ended.refusal(), "invalid_grant", "two hold it");
    let derived = exchanged.text("access_token");
    assert!(!server.is_active(&derived).await);
}

async fn a_refresh_token_that_comes_back_to_be_exchanged_is_theft(server: Server) {
    let first = refresh_token(&server).await;
    let second = refreshed(&server, &first).await.text("refresh_token");
    let early = Asked::of("refresh_token", &first).by(&server, "web").await;
    assert_eq!(early.refusal(), "invalid_request", "not the current one");
    let next = refreshed(&server, &second).await;
    assert_eq!(next.status, 200, "but within grace no theft: {}", next.body);
    let bystander = signed_in(&server, "alice").await.text("refresh_token");

    let stolen = Asked::of("refresh_token", &first).by(&server, "web").await;

    assert_eq!(stolen.refusal(), "invalid_request");
    let third = next.text("refresh_token");
    assert_eq!(refreshed(&server, &third).await.refusal(), "invalid_grant");
    assert!(!server.is_active(&next.text("access_token")).await);
    assert_eq!(refreshed(&server, &bystander).await.status, 200);
    let path = "/admin/v1/audit?action=refresh.reuse";
    let told = server.admin(reqwest::Method::GET, path, None).await.json();
    assert_eq!(told["items"][0]["detail"]["generation"], 3, "{told}");
}

/// I16: what an agent may do is what the person and the agent both may.
async fn who_acts_adds_no_scope_of_their_own_and_keeps_none_that_they_lack(server: Server) {
    furnish(&server).await;
    let more = json!({ "scopes": ["read:orders", "write:orders"] });
    client(&server, "orders-api", more).await;
    let mut both = request();
    both.insert("scope".into(), "openid read:orders write:orders".into());
    let tokens = Browser::new(&server).tokens("alice", &both).await;
    let subject = tokens.text("access_token");
    let actor = async |scope: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let answer = server.token("orders-api", &form).await;
        answer.text("access_token")
    };
    let asked = || Asked::of("access_token", &subject);

    let reader = actor("read:orders").await;
    let narrow = asked().acting("access_token", &reader);
    let answer = narrow.by(&server, "orders-api").await;
    assert_eq!(answer.text("scope"), "read:orders");
    for scope in ["write:orders", "read:orders write:orders"] {
        let wider = asked().acting("access_token", &reader).with("scope", scope);
        let answer = wider.by(&server, "orders-api").await;
        assert_eq!(answer.refusal(), "invalid_scope", "{scope}");
    }
    let writer = actor("read:orders write:orders").await;
    let whole = asked().acting("access_token", &writer);
    let answer = whole.by(&server, "orders-api").await;
    assert_eq!(answer.text("scope"), "read:orders write:orders", "the twin");
    // An ID token says who acts, and nothing of what they may.
    let accepts = json!({ "exchange": { "accepts": ["access_token", "id_token"] } });
    client(&server, "web", accepts).await;
    let named = asked().acting("id_token", &tokens.text("id_token"));
    let answer = named.by(&server, "web").await;
    assert_eq!(answer.text("scope"), "read:orders write:orders");
}

async fn an_id_token_comes_back_to_its_own_client_alone(server: Server) {
    furnish(&server).await;
    let tokens = signed_in(&server, "alice").await;
    let access = tokens.text("access_token");
    let asked =
        || Asked::of("access_token", &access).with("requested_token_type", &urn("id_token"));
    assert_eq!(
        asked().by(&server, "web").await.refusal(),
        "invalid_request"
    );
    let issues = json!({ "issues": ["access_token", "id_token"], "impersonate": true });
    client(
        &server,
        "web",
        json!({ "exchange": { "issues": ["access_token", "id_token"] } }),
    )
    .await;
    let openid = json!({ "exchange": issues, "scopes": ["openid", "read:orders"] });
    client(&server, "orders-api", openid).await;

    let own = asked().by(&server, "web").await;
    let other = asked().by(&server, "orders-api").await;

    assert_eq!(
        (own.status, &*own.text("token_type")),
        (200, "N_A"),
        "{}",
        own.body
    );
    assert_eq!(own.text("issued_token_type"), urn("id_token"));
    let (was, is) = (
        claims(&tokens.text("id_token")),
        claims(&own.text("access_token")),
    );
    assert_eq!((&is["aud"], &is["sub"]), (&json!("web"), &was["sub"]));
    assert_eq!(server.userinfo(&own.text("access_token")).await.status, 401);
    assert_eq!(other.refusal(), "invalid_request");
}

async fn malformed_requests_are_told_so(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let asked = || Asked::of("access_token", &subject);
    assert_eq!(
        asked().with("unknown", "x").by(&server, "web").await.status,
        200
    );

    let bad = [
        asked().with("subject_token", &subject),
        asked()
            .with("requested_token_type", &urn("jwt"))
            .with("requested_token_type", &urn("jwt")),
        asked()
            .with("scope", "read:orders")
            .with("scope", "read:orders"),
        asked().but("subject_token", ""),
        asked().but("subject_token_type", ""),
        asked().but("subject_token_type", "access_token"),
        asked().but("subject_token_type", &urn("saml1")),
        asked().but("subject_token_type", &urn("saml2")),
        asked().with("requested_token_type", &urn("refresh_token")),
        asked().with("requested_token_type", &urn("saml2")),
        asked().with("requested_token_type", "jwt"),
        asked().with("actor_token", &subject),
        asked().with("actor_token_type", &urn("access_token")),
        asked().but("subject_token", "nonsense"),
        asked().but("subject_token", "a.b.c"),
        asked().but("subject_token", "sym_at_AAAA"),
        asked().but("subject_token", &format!("{subject}A")),
        asked().but("subject_token", &"x".repeat(20_000)),
        asked().but("subject_token_type", &urn("refresh_token")),
    ];
    for (number, asked) in bad.iter().enumerate() {
        let answer = asked.by(&server, "web").await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, "invalid_request"),
            "{number}"
        );
    }
}

/// An actor who is acted for hides nobody: who acts for it stands behind it.
async fn who_acts_for_the_actor_is_on_record_too(server: Server) {
    furnish(&server).await;
    let [alice, bob] = [
        signed_in(&server, "alice").await.text("access_token"),
        signed_in(&server, "alice").await.text("access_token"),
    ];
    let own = own_token(&server, "orders-api").await;
    let as_alice = Asked::of("access_token", &alice)
        .acting("access_token", &own)
        .token(&server, "orders-api")
        .await;
    let once = Asked::of("access_token", &bob)
        .acting("access_token", &own)
        .token(&server, "orders-api")
        .await;

    let token = Asked::of("access_token", &once)
        .acting("access_token", &as_alice)
        .token(&server, "orders-api")
        .await;

    let (person, api) = (
        claims(&alice)["sub"].clone(),
        json!({ "sub": "orders-api" }),
    );
    let behind = json!({ "sub": "orders-api", "act": api });
    assert_eq!(
        claims(&token)["act"],
        json!({ "sub": person, "act": behind })
    );
}

async fn a_chain_of_actors_has_an_end(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let actor = own_token(&server, "orders-api").await;
    let mut token = subject;
    let mut depth = 0;

    let refused = loop {
        let answer = Asked::of("access_token", &token)
            .acting("access_token", &actor)
            .by(&server, "orders-api")
            .await;
        if answer.status != 200 {
            break answer;
        }
        depth += 1;
        assert!(depth <= 8, "no end");
        token = answer.text("access_token");
    };

    assert_eq!(
        (refused.status, &*refused.refusal()),
        (400, "invalid_request")
    );
    assert!(depth >= 4, "{depth}");
    let mut act = &claims(&token)["act"];
    let mut actors = 0;
    while act["sub"] == "orders-api" {
        actors += 1;
        act = &act["act"];
    }
    assert_eq!(actors, depth);
    assert!(server.is_active(&token).await);
}
