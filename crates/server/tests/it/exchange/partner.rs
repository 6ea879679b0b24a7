//! JWTs of trusted issuers as subject and actor tokens.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::jose::SigningKey;

use super::table::{furnish_macaroons, permit};
use super::world::{
    Asked, BEARER, EXCHANGE, Partner, SAFE, STOCK, claims, client, furnish, now, own_token,
    signed_in,
};
use crate::harness::{ORDERS, Server};
use crate::on_both_engines;

on_both_engines! {
    a_partners_jwt_opens_one_resource_for_one_organization
    a_jwt_that_is_not_good_is_refused
    a_jwt_gives_no_more_than_it_says_itself
    a_distrusted_issuer_takes_everything_along
    every_other_node_distrusts_within_a_second
    partners_do_not_speak_for_each_other
    a_client_uses_only_issuers_that_its_policy_names
    whom_the_partner_lets_act_is_kept_to
    whom_the_partner_lets_act_is_kept_to_down_the_chain_in_every_format
    keys_are_fetched_only_from_where_calls_may_go
    issuers_are_administrated_like_everything_else
    nothing_is_issued_for_an_organization_that_does_not_stand
    a_logout_token_or_an_id_token_of_a_partner_is_no_assertion
    a_partner_says_of_nobody_here_that_they_act
    a_partner_vouches_for_an_actor_where_it_does_for_a_subject_and_nowhere_else
    a_partner_may_be_registered_under_another_name_of_its_api
}

fn asked(jwt: &str) -> Asked {
    Asked::of("jwt", jwt)
}

async fn refusal(server: &Server, jwt: &str) -> String {
    let answer = asked(jwt).by(server, "orders-api").await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    answer.refusal()
}

async fn a_partners_jwt_opens_one_resource_for_one_organization(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let jwt = partner.jwt(&server, json!({}));
    asked(&jwt).token(&server, "orders-api").await;
    let before = server.commits();

    let answer = asked(&jwt).by(&server, "orders-api").await;

    let is = claims(&answer.text("access_token"));
    assert_eq!(is["sub"], format!("ext_{}|carol", partner.issuer));
    assert_eq!(
        (&is["aud"], &is["organization"]),
        (&json!(ORDERS), &json!("acme"))
    );
    assert_eq!(
        (&is["scope"], &is["client_id"]),
        (&json!("read:orders"), &json!("orders-api"))
    );
    assert!(
        is["exp"].as_i64().unwrap() <= now(&server) + 300,
        "no longer than the JWT"
    );
    assert_eq!(server.commits(), before);
    let told = server
        .introspect("orders-api", &answer.text("access_token"))
        .await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &is["sub"]));
    for (name, value, error) in [
        ("resource", STOCK, "invalid_target"),
        ("resource", SAFE, "invalid_target"),
        ("scope", "write:orders", "invalid_scope"),
        ("scope", "openid", "invalid_scope"),
    ] {
        let answer = asked(&jwt)
            .with(name, value)
            .by(&server, "orders-api")
            .await;
        assert_eq!(answer.refusal(), error, "{name}={value}");
    }
    let ours = answer.text("access_token");
    let again = Asked::of("access_token", &ours);
    let there = again.token(&server, "orders-api").await;
    for token in [ours, there] {
        for elsewhere in [STOCK, SAFE] {
            let moved = Asked::of("access_token", &token).with("resource", elsewhere);
            assert_eq!(
                moved.by(&server, "orders-api").await.refusal(),
                "invalid_target",
                "a partner vouches for one API, however often it is exchanged"
            );
        }
    }
}

/// Attack: D126
async fn a_jwt_that_is_not_good_is_refused(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let at = |seconds: i64| now(&server) + seconds;
    for change in [
        json!({ "aud": [server.name(), "https://elsewhere.example.com"] }),
        json!({ "exp": at(86_400) }),
        json!({ "iat": at(8), "nbf": at(8) }),
        json!({ "jti": null, "iat": null }),
    ] {
        let jwt = partner.jwt(&server, change.clone());
        assert_eq!(
            asked(&jwt).by(&server, "orders-api").await.status,
            200,
            "{change}"
        );
    }
    for change in [
        json!({ "aud": "https://elsewhere.example.com" }),
        json!({ "aud": null }),
        json!({ "aud": [] }),
        json!({ "aud": [1] }),
        json!({ "aud": format!("{}/", server.name()) }),
        json!({ "aud": format!("{}/token", server.name()) }),
        json!({ "exp": at(0) }),
        json!({ "exp": at(-1) }),
        json!({ "exp": null }),
        json!({ "exp": "soon" }),
        json!({ "exp": i64::MAX }),
        json!({ "iat": at(60) }),
        json!({ "nbf": at(60) }),
        json!({ "nbf": "now" }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 1 }),
        json!({ "sub": "x".repeat(600) }),
        json!({ "sub": "a\u{0}b" }),
        json!({ "iss": null }),
        json!({ "iss": "https://unknown.example.net" }),
        json!({ "iss": [partner.issuer] }),
        json!({ "iss": format!("{}/", partner.issuer) }),
        json!({ "iss": server.name() }),
        json!({ "jti": 1 }),
        json!({ "jti": "j".repeat(300) }),
        json!({ "scope": ["read:orders"] }),
        json!({ "scope": "a\"b" }),
        json!({ "act": "somebody" }),
        json!({ "act": {} }),
        json!({ "may_act": [] }),
        json!({ "cnf": { "jkt": "x" } }),
        json!({ "cnf": {} }),
        json!({ "cnf": { "jwk": { "kty": "EC" } } }),
        json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "kid": "k" } }),
    ] {
        let jwt = partner.jwt(&server, change.clone());
        assert_eq!(refusal(&server, &jwt).await, "invalid_request", "{change}");
    }
    for jwt in forged(&server, &partner) {
        assert_eq!(refusal(&server, &jwt).await, "invalid_request", "{jwt}");
    }
    let jwt = partner.jwt(&server, json!({}));
    for kind in ["access_token", "id_token"] {
        let answer = Asked::of(kind, &jwt).by(&server, "orders-api").await;
        assert_eq!(
            answer.refusal(),
            "invalid_request",
            "{kind} is one of this server's"
        );
    }
}

/// Good claims, wrongly signed.
fn forged(server: &Server, partner: &Partner) -> Vec<String> {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = partner.claims(server);
    let good = partner.sign(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let stranger = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
    let headers = [
        json!({ "alg": "none", "typ": "JWT" }),
        json!({ "alg": "HS256", "typ": "JWT", "kid": partner.key.kid() }),
        json!({ "alg": "RS256", "typ": "JWT", "kid": partner.key.kid() }),
        json!({ "alg": "ES256", "typ": "JWT", "kid": "another" }),
        json!({ "alg": "ES256", "typ": "JWT", "crit": ["x"], "x": 1 }),
        json!({ "alg": "ES256", "typ": "JWT", "jwk": stranger.public_jwk() }),
    ];
    let mut forged: Vec<_> = headers
        .map(|header| format!("{}.{}.{signature}", part(header), part(claims.clone())))
        .into();
    forged.push(stranger.sign("JWT", claims.to_string().as_bytes()));
    forged.push(format!("{signed}."));
    forged.push(signed.to_owned());
    for typ in [
        "logout+jwt",
        "client-authentication+jwt",
        "dpop+jwt",
        "token-introspection+jwt",
    ] {
        forged.push(partner.key.sign(typ, claims.to_string().as_bytes()));
    }
    forged
}

async fn a_jwt_gives_no_more_than_it_says_itself(server: Server) {
    furnish(&server).await;
    let partner = Partner::start().await;
    let more = json!({ "scopes": ["read:orders", "delete:orders"] });
    partner.be_trusted(&server, more).await;
    client(
        &server,
        "orders-api",
        json!({ "exchange": { "issuers": [partner.issuer] } }),
    )
    .await;
    let scope = async |stated: Value, asked_for: &str| {
        let jwt = partner.jwt(&server, json!({ "scope": stated }));
        let answer = asked(&jwt)
            .with("scope", asked_for)
            .by(&server, "orders-api")
            .await;
        if answer.status == 200 {
            answer.text("scope")
        } else {
            answer.refusal()
        }
    };

    assert_eq!(
        scope(json!("read:orders"), "delete:orders").await,
        "invalid_scope"
    );
    assert_eq!(
        scope(json!("read:orders"), "read:orders").await,
        "read:orders"
    );
    for other in ["their.own words", "", "profile", "write:orders"] {
        assert_eq!(
            scope(json!(other), "read:orders").await,
            "invalid_scope",
            "{other}"
        );
        // Not asked for by name, it comes no more.
        let jwt = partner.jwt(&server, json!({ "scope": other }));
        assert_eq!(refusal(&server, &jwt).await, "invalid_scope", "{other}");
    }
    assert_eq!(scope(Value::Null, "delete:orders").await, "delete:orders");
    let quiet = partner.jwt(&server, json!({ "scope": "read:orders profile" }));
    let answer = asked(&quiet).by(&server, "orders-api").await;
    assert_eq!(answer.text("scope"), "read:orders");
}

async fn a_distrusted_issuer_takes_everything_along(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let jwt = partner.jwt(&server, json!({}));
    let bystander = signed_in(&server, "alice").await.text("access_token");
    for verb in ["/distrust", "", "revoke"] {
        let first = asked(&jwt).token(&server, "orders-api").await;
        let second = Asked::of("access_token", &first)
            .token(&server, "orders-api")
            .await;
        assert!(server.is_active(&first).await && server.is_active(&second).await);

        let answer = match verb {
            "" => server.admin(Method::DELETE, &partner.path(""), None).await,
            "revoke" => {
                let body = json!({ "issuer": partner.issuer });
                server
                    .admin(Method::POST, "/admin/v1/revoke", Some(body))
                    .await
            }
            verb => server.admin(Method::POST, &partner.path(verb), None).await,
        };

        assert!(answer.status < 300, "{verb}: {}", answer.body);
        assert!(!server.is_active(&first).await, "{verb}");
        assert!(!server.is_active(&second).await, "{verb}");
        assert!(server.is_active(&bystander).await, "{verb}");
        match verb {
            "" => {
                assert_eq!(refusal(&server, &jwt).await, "invalid_request");
                partner.be_trusted(&server, json!({})).await;
            }
            "revoke" => {}
            _ => {
                assert_eq!(refusal(&server, &jwt).await, "invalid_request");
                server
                    .admin(Method::POST, &partner.path("/trust"), None)
                    .await;
            }
        }
        let again = asked(&jwt).token(&server, "orders-api").await;
        assert!(
            server.is_active(&again).await,
            "{verb}: trusted again, it works"
        );
        assert!(
            !server.is_active(&first).await,
            "{verb}: what died stays dead"
        );
    }
}

async fn every_other_node_distrusts_within_a_second(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let jwt = partner.older_jwt(&server, "one");
    let mut tries = 0;
    let token = loop {
        let answer = asked(&jwt).by(&other, "orders-api").await;
        if answer.status == 200 {
            break answer.text("access_token");
        }
        tries += 1;
        assert!(tries < 100, "{}", answer.body);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };

    server
        .admin(Method::POST, &partner.path("/distrust"), None)
        .await;

    let mut minted = vec![token];
    let mut tries = 0;
    loop {
        let answer = asked(&jwt).by(&other, "orders-api").await;
        if answer.status != 200 {
            break;
        }
        minted.push(answer.text("access_token"));
        tries += 1;
        assert!(tries < 100, "five times a second were not enough");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for token in minted {
        assert!(
            !server.is_active(&token).await,
            "minted by a node that had not heard yet"
        );
    }
}

/// Attack: G193
async fn partners_do_not_speak_for_each_other(server: Server) {
    furnish(&server).await;
    let (one, two) = (Partner::trusted(&server).await, Partner::start().await);
    two.be_trusted(&server, json!({ "organization": "" })).await;
    client(
        &server,
        "orders-api",
        json!({ "exchange": { "issuers": [one.issuer, two.issuer] } }),
    )
    .await;
    let by_one = asked(&one.jwt(&server, json!({})))
        .token(&server, "orders-api")
        .await;
    let by_two = asked(&two.jwt(&server, json!({})))
        .token(&server, "orders-api")
        .await;

    assert_ne!(
        claims(&by_one)["sub"],
        claims(&by_two)["sub"],
        "one name, two people"
    );
    let borrowed = two.jwt(&server, json!({ "iss": one.issuer }));
    assert_eq!(refusal(&server, &borrowed).await, "invalid_request");
    let person = signed_in(&server, "alice").await.text("access_token");
    for name in [
        claims(&person)["sub"].clone(),
        json!("job"),
        json!("orders-api"),
        json!("ext_x|y"),
    ] {
        let token = asked(&one.jwt(&server, json!({ "sub": name })))
            .token(&server, "orders-api")
            .await;
        let sub = claims(&token)["sub"].as_str().unwrap().to_owned();
        assert!(sub.starts_with(&format!("ext_{}|", one.issuer)), "{sub}");
        assert_eq!(
            server.userinfo(&token).await.status,
            403,
            "{sub} is nobody here"
        );
    }
    server
        .admin(Method::POST, &one.path("/distrust"), None)
        .await;
    assert!(!server.is_active(&by_one).await);
    assert!(server.is_active(&by_two).await);
}

/// Attack: G198
async fn a_client_uses_only_issuers_that_its_policy_names(server: Server) {
    furnish(&server).await;
    let partner = Partner::start().await;
    partner.be_trusted(&server, json!({})).await;
    let jwt = partner.jwt(&server, json!({}));

    let unnamed = refusal(&server, &jwt).await;
    client(
        &server,
        "orders-api",
        json!({ "exchange": { "issuers": [partner.issuer] } }),
    )
    .await;
    assert_eq!(asked(&jwt).by(&server, "orders-api").await.status, 200);
    let other = json!({ "id": "umbrella" });
    server
        .admin(Method::POST, "/admin/v1/organizations", Some(other))
        .await;
    client(&server, "orders-api", json!({ "organization": "umbrella" })).await;
    let of_another = refusal(&server, &jwt).await;

    assert_eq!(
        (&*unnamed, &*of_another),
        ("invalid_request", "invalid_request")
    );
}

async fn whom_the_partner_lets_act_is_kept_to(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let actor = own_token(&server, "orders-api").await;
    let allow = |party: Value| partner.jwt(&server, json!({ "may_act": party }));
    let ours = json!({ "sub": "orders-api", "iss": server.name() });

    let bare = asked(&allow(ours.clone())).by(&server, "orders-api").await;
    let acting = asked(&allow(ours))
        .acting("access_token", &actor)
        .by(&server, "orders-api")
        .await;

    assert_eq!(
        (bare.status, acting.status),
        (200, 200),
        "{} {}",
        bare.body,
        acting.body
    );
    assert_eq!(
        claims(&acting.text("access_token"))["act"],
        json!({ "sub": "orders-api" })
    );
    for party in [
        json!({ "sub": "orders-api" }),
        json!({ "sub": "job", "iss": server.name() }),
        json!({ "sub": "orders-api", "iss": partner.issuer }),
    ] {
        let jwt = allow(party.clone());
        assert_eq!(refusal(&server, &jwt).await, "invalid_request", "{party}");
        let acting = asked(&jwt)
            .acting("access_token", &actor)
            .by(&server, "orders-api")
            .await;
        assert_eq!(acting.refusal(), "invalid_request", "{party}");
    }
    let theirs = partner.jwt(&server, json!({ "may_act": { "sub": "dave" } }));
    let dave = partner.jwt(&server, json!({ "sub": "dave" }));
    let token = asked(&theirs)
        .acting("jwt", &dave)
        .token(&server, "orders-api")
        .await;
    assert_eq!(
        claims(&token)["act"],
        json!({ "sub": "dave", "iss": partner.issuer })
    );
    let chained = partner.jwt(&server, json!({ "act": { "sub": "erin" } }));
    let token = asked(&chained)
        .acting("access_token", &actor)
        .token(&server, "orders-api")
        .await;
    let chain = json!({ "sub": "orders-api", "act": { "sub": "erin", "iss": partner.issuer } });
    assert_eq!(claims(&token)["act"], chain);
    let bomb = (0..40).fold(
        json!({ "sub": "x" }),
        |act, _| json!({ "sub": "x", "act": act }),
    );
    let bomb = partner.jwt(&server, json!({ "act": bomb }));
    assert_eq!(refusal(&server, &bomb).await, "invalid_request");
}

async fn keys_are_fetched_only_from_where_calls_may_go(server: Server) {
    furnish(&server).await;
    let forbidden = [
        "https://10.0.0.1/jwks",
        "https://169.254.169.254/jwks",
        "https://[fd00::1]/jwks",
        "http://partner.example.net/jwks",
    ];
    for jwks_uri in forbidden {
        let partner = Partner::start().await;
        partner
            .be_trusted(&server, json!({ "jwks_uri": jwks_uri }))
            .await;
        client(
            &server,
            "orders-api",
            json!({ "exchange": { "issuers": [partner.issuer] } }),
        )
        .await;
        let jwt = partner.jwt(&server, json!({}));

        let soon = std::time::Duration::from_millis(1500);
        let refused = tokio::time::timeout(soon, refusal(&server, &jwt)).await;

        let refused = refused.unwrap_or_else(|_| panic!("{jwks_uri} was called"));
        assert_eq!(refused, "invalid_request", "{jwks_uri}");
    }
}

async fn issuers_are_administrated_like_everything_else(server: Server) {
    furnish(&server).await;
    let partner = Partner::start().await;
    partner.be_trusted(&server, json!({})).await;
    let list = server
        .admin(Method::GET, "/admin/v1/trusted-issuers", None)
        .await;
    assert_eq!(list.json()["items"][0]["issuer"], partner.issuer);
    assert_eq!(list.json()["items"][0]["trusted"], true);

    let scopes = json!({ "scopes": ["read:orders", "write:orders"] });
    let changed = server
        .admin(Method::PATCH, &partner.path(""), Some(scopes))
        .await;
    assert_eq!(
        changed.json()["scopes"],
        json!(["read:orders", "write:orders"])
    );
    for bad in [
        json!({ "scopes": ["no:such"] }),
        json!({ "resource": "https://no.example.com" }),
        json!({ "organization": "nobody" }),
        json!({ "jwks_uri": "file:///etc/passwd" }),
        json!({ "algorithms": ["HS256"] }),
        json!({ "issuer": "https://other.example.net" }),
        json!({ "trusted": false }),
        json!({ "colour": "red" }),
    ] {
        let refused = server
            .admin(Method::PATCH, &partner.path(""), Some(bad.clone()))
            .await;
        assert_eq!(refused.status, 400, "{bad}");
    }
    let distrusted = server
        .admin(Method::POST, &partner.path("/distrust"), None)
        .await;
    assert_eq!(distrusted.json()["trusted"], false);
    let audit = server
        .admin(
            Method::GET,
            "/admin/v1/audit?action=trusted_issuer.distrust",
            None,
        )
        .await;
    assert_eq!(audit.json()["items"][0]["detail"]["issuer"], partner.issuer);
    assert_eq!(
        server
            .admin(Method::DELETE, &partner.path(""), None)
            .await
            .status,
        204
    );
    assert_eq!(
        server
            .admin(Method::GET, &partner.path(""), None)
            .await
            .status,
        404
    );
}

async fn nothing_is_issued_for_an_organization_that_does_not_stand(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    client(&server, "orders-api", json!({ "organization": "acme" })).await;
    let by_partner = async || {
        let jwt = partner.jwt(&server, json!({}));
        asked(&jwt).by(&server, "orders-api").await
    };
    let by_itself = async || {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "read:orders"),
        ];
        server.token("orders-api", &form).await
    };
    assert_eq!(
        (by_partner().await.status, by_itself().await.status),
        (200, 200)
    );
    let organization = "/admin/v1/organizations/acme";
    let disable = format!("{organization}/disable");
    assert_eq!(server.admin(Method::POST, &disable, None).await.status, 200);

    for answer in [by_partner().await, by_itself().await] {
        assert_eq!((answer.status, &*answer.refusal()), (400, "invalid_grant"));
    }
    let enable = format!("{organization}/enable");
    assert_eq!(server.admin(Method::POST, &enable, None).await.status, 200);
    assert_eq!(
        (by_partner().await.status, by_itself().await.status),
        (200, 200)
    );
    // While they name it, it is there.
    let refused = server.admin(Method::DELETE, organization, None).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    let told = refused.text("error_description");
    assert!(told.contains("trusted issuer"), "{told}");
    assert_eq!(
        (by_partner().await.status, by_itself().await.status),
        (200, 200)
    );
}

async fn a_logout_token_or_an_id_token_of_a_partner_is_no_assertion(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    asked(&partner.jwt(&server, json!({})))
        .token(&server, "orders-api")
        .await;
    let logout = "http://schemas.openid.net/event/backchannel-logout";
    for other in [
        json!({ "events": { logout: {} } }),
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
    ] {
        let jwt = partner.jwt(&server, other);
        assert_eq!(refusal(&server, &jwt).await, "invalid_request");
    }
}

async fn whom_the_partner_lets_act_is_kept_to_down_the_chain_in_every_format(server: Server) {
    furnish(&server).await;
    furnish_macaroons(&server).await;
    let partner = Partner::trusted(&server).await;
    permit(&server, &partner.issuer).await;
    let ours = json!({ "sub": "orders-api", "iss": server.name() });
    let [named, open] =
        [json!({ "may_act": ours }), json!({})].map(|claims| partner.jwt(&server, claims));
    for format in ["jwt", "opaque", "macaroon"] {
        let path = "/admin/v1/resources/https:%2F%2Forders.example.com";
        let change = json!({ "token_format": format, "exchange_from": ["web"] });
        assert_eq!(
            server.admin(Method::PATCH, path, Some(change)).await.status,
            200
        );
        let first = Asked::of("jwt", &named).token(&server, "orders-api").await;
        let twin = Asked::of("jwt", &open).token(&server, "orders-api").await;

        // The API carries its own on; another client acts in nobody's stead.
        let again = Asked::of("access_token", &first)
            .token(&server, "orders-api")
            .await;
        for (token, text) in [("once", &first), ("twice", &again)] {
            let told = server.introspect("orders-api", text).await;
            assert_eq!(told["may_act"], ours, "{format} {token}: {told}");
            let refused = Asked::of("access_token", text).by(&server, "web").await;
            assert_eq!(refused.refusal(), "invalid_request", "{format} {token}");
        }
        assert!(
            server
                .introspect("orders-api", &twin)
                .await
                .get("may_act")
                .is_none()
        );
        let carried = Asked::of("access_token", &twin).by(&server, "web").await;
        assert_eq!(carried.status, 200, "{format}: {}", carried.body);
    }
}

/// Attack: G193
async fn a_partner_says_of_nobody_here_that_they_act(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let own = own_token(&server, "orders-api").await;
    let at = |issuer: &str| json!({ "sub": "job", "iss": issuer });
    let granted = async |jwt: &str| {
        let form = [("grant_type", BEARER), ("assertion", jwt)];
        server.token("orders-api", &form).await
    };
    let before = |act: Value| json!({ "sub": "dave", "act": act });
    for (number, act) in [at(&server.name()), before(at(&server.name()))]
        .into_iter()
        .enumerate()
    {
        let jwt = partner.jwt(&server, json!({ "act": act, "jti": number.to_string() }));
        assert_eq!(refusal(&server, &jwt).await, "invalid_request", "{act}");
        let acting = Asked::of("access_token", &own)
            .acting("jwt", &jwt)
            .by(&server, "orders-api")
            .await;
        assert_eq!(acting.refusal(), "invalid_request", "{act}");
        assert_eq!(granted(&jwt).await.refusal(), "invalid_grant", "{act}");
        let told = server
            .admin(
                Method::POST,
                "/admin/v1/tokens:explain",
                Some(json!({ "token": jwt })),
            )
            .await;
        let cause = told.text("cause");
        assert!(cause.contains("somebody of this server"), "{cause}");
    }
    for theirs in [at(&partner.issuer), at("https://elsewhere.example.com")] {
        let jwt = partner.jwt(&server, json!({ "act": theirs, "jti": "theirs" }));
        let token = asked(&jwt).token(&server, "orders-api").await;
        assert_eq!(claims(&token)["act"], theirs);
    }
    // Another whose word is taken here speaks for itself.
    let other = Partner::start().await;
    other
        .be_trusted(&server, json!({ "resource": STOCK }))
        .await;
    for act in [at(&other.issuer), before(at(&other.issuer))] {
        let jwt = partner.jwt(&server, json!({ "act": act, "jti": "other" }));
        assert_eq!(refusal(&server, &jwt).await, "invalid_request", "{act}");
    }
}

/// Attack: G193
async fn a_partner_vouches_for_an_actor_where_it_does_for_a_subject_and_nowhere_else(
    server: Server,
) {
    furnish(&server).await;
    let [stock, zeta] = [Partner::start().await, Partner::start().await];
    let path = "/admin/v1/organizations";
    let made = json!({ "id": "zeta", "name": "Zeta" });
    let made = server.admin(Method::POST, path, Some(made)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let at = |organization: Value| json!({ "resource": STOCK, "organization": organization });
    stock.be_trusted(&server, at(Value::Null)).await;
    zeta.be_trusted(&server, at("zeta".into())).await;
    let issuers = json!({ "exchange": { "issuers": [stock.issuer, zeta.issuer] } });
    client(&server, "orders-api", issuers).await;
    let mut asking = crate::browser::request();
    asking.insert("organization".into(), "acme".into());
    let alice = crate::browser::Browser::new(&server)
        .tokens("alice", &asking)
        .await
        .text("access_token");
    let carried = async |partner: &Partner, resource: &str| {
        let dave = partner.jwt(&server, json!({ "sub": "dave" }));
        Asked::of("access_token", &alice)
            .acting("jwt", &dave)
            .with("resource", resource)
            .by(&server, "orders-api")
            .await
    };

    let there = carried(&stock, STOCK).await;

    assert_eq!(there.status, 200, "{}", there.body);
    let is = claims(&there.text("access_token"));
    assert_eq!(is["act"], json!({ "sub": "dave", "iss": stock.issuer }));
    // Nor does it go on by itself.
    let again = Asked::of("access_token", &there.text("access_token"));
    let stays = again.clone().with("resource", STOCK);
    assert_eq!(stays.by(&server, "orders-api").await.status, 200);
    let moved = again.with("resource", SAFE).by(&server, "orders-api").await;
    assert_eq!(moved.refusal(), "invalid_target");
    for elsewhere in [ORDERS, SAFE] {
        let refused = carried(&stock, elsewhere).await.refusal();
        assert_eq!(refused, "invalid_target", "{elsewhere}");
    }
    assert_eq!(carried(&zeta, STOCK).await.refusal(), "invalid_request");
}

async fn a_partner_may_be_registered_under_another_name_of_its_api(server: Server) {
    furnish(&server).await;
    let partner = Partner::start().await;
    let alias = json!({ "resource": format!("{ORDERS}/") });
    partner.be_trusted(&server, alias).await;
    let policy = json!({
        "grants": ["client_credentials", EXCHANGE, BEARER],
        "exchange": { "issuers": [partner.issuer] },
    });
    client(&server, "orders-api", policy).await;
    let jwt = partner.jwt(&server, json!({}));

    let exchanged = asked(&jwt).token(&server, "orders-api").await;
    let form = [("grant_type", BEARER), ("assertion", &*jwt)];
    let granted = server.token("orders-api", &form).await;

    assert_eq!(granted.status, 200, "{}", granted.body);
    for token in [exchanged, granted.text("access_token")] {
        assert_eq!(claims(&token)["aud"], ORDERS);
        assert!(server.is_active(&token).await);
    }
}
