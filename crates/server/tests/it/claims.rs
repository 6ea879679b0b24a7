//! Claims by mapping, and nothing personal without one.
//!
//! Spec: RFC 9068 §2.2, §6

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Map, Value, json};
use symbolon_token::jose::Unverified;

use crate::browser::{Browser, request};
use crate::encryption::{at_resource, client, resource};
use crate::exchange::world::{Asked, SAFE, STOCK, furnish, own_token};
use crate::harness::{Answer, ORDERS, SECRET, Server, VAULT};

fn decoded(jwt: &str) -> Map<String, Value> {
    let token = Unverified::parse(jwt).unwrap();
    token.dangerous_claims_without_key().unwrap()
}

fn names(claims: &Map<String, Value>) -> Vec<&str> {
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn asking(scope: &str, resource: &str) -> BTreeMap<String, String> {
    let mut asked = request();
    asked.insert("scope".into(), scope.into());
    asked.insert("resource".into(), resource.into());
    asked
}

async fn at_api(server: &Server, scope: &str, resource: &str) -> Answer {
    let mut browser = Browser::new(server);
    browser.tokens("alice", &asking(scope, resource)).await
}

async fn refused_mapping(server: &Server, identifier: &str, claims: Value) -> String {
    let path = format!("/admin/v1/{}", at_resource(identifier));
    let change = json!({ "claims": claims });
    let answer = server.admin(Method::PATCH, &path, Some(change)).await;
    assert_eq!(answer.status, 400, "{claims} {}", answer.body);
    answer.text("error_description")
}

const EVERYTHING: &str = "openid profile email address phone offline_access";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mapping_an_access_token_tells_nothing_of_the_person() {
    let server = Server::on_sqlite().await;

    let open = at_api(&server, &format!("{EVERYTHING} read:orders"), ORDERS).await;
    let sealed = at_api(&server, &format!("{EVERYTHING} read:vault"), VAULT).await;

    let claims = decoded(&open.text("access_token"));
    let golden = [
        "acr",
        "amr",
        "aud",
        "auth_time",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "rev",
        "scope",
        "sub",
    ];
    assert_eq!(names(&claims), golden);
    let answered = [
        "acr",
        "active",
        "aud",
        "auth_time",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "rev",
        "scope",
        "sub",
        "token_type",
    ];
    for (api, token) in [("orders-api", open), ("vault-api", sealed)] {
        let told = server.introspect(api, &token.text("access_token")).await;
        assert_eq!(names(told.as_object().unwrap()), answered, "{api}");
        assert!(!told.to_string().contains("alice"), "{told}");
    }
    assert!(
        !Value::Object(claims)
            .to_string()
            .to_lowercase()
            .contains("alice")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_tells_what_it_names_and_no_more_in_every_format() {
    let server = Server::on_sqlite().await;
    let claims = json!({ "mail": "email", "name": "name", "born": "birthdate",
        "department": { "value": "sales" }, "floors": { "value": [1, 2] } });
    for identifier in [ORDERS, VAULT] {
        resource(&server, identifier, json!({ "claims": claims })).await;
    }
    let tokens = at_api(&server, "openid offline_access read:orders", ORDERS).await;
    let access = tokens.text("access_token");

    let told = decoded(&access);

    let mapped = |told: &Map<String, Value>| {
        let own = ["mail", "name", "born", "department", "floors", "email"];
        let own = own.map(|name| told.get(name).cloned().unwrap_or_default());
        Value::from(own.to_vec())
    };
    let expected = json!([
        "alice@example.com",
        "Alice Example",
        null,
        "sales",
        [1, 2],
        null
    ]);
    assert_eq!(mapped(&told), expected);
    let renewed = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*tokens.text("refresh_token")),
    ];
    let renewed = server.token("web", &renewed).await.text("access_token");
    assert_eq!(mapped(&decoded(&renewed)), expected);
    let sealed = at_api(&server, "openid read:vault", VAULT)
        .await
        .text("access_token");
    for (api, token) in [("orders-api", &access), ("vault-api", &sealed)] {
        let told = server.introspect(api, token).await;
        assert_eq!(mapped(told.as_object().unwrap()), expected, "{api}");
        let own = server.introspect("web", token).await;
        assert_eq!(own["active"], true);
        assert!(
            own.get("mail").is_none(),
            "the client is not the API: {own}"
        );
    }
    let machine = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let machine = decoded(&server.token("job", &machine).await.text("access_token"));
    assert_eq!(
        mapped(&machine),
        json!([null, null, null, "sales", [1, 2], null])
    );
    resource(&server, ORDERS, json!({ "claims": null })).await;
    let told = server.introspect("orders-api", &access).await;
    assert!(
        told.get("mail").is_none(),
        "introspection tells what is mapped now"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_tells_what_its_target_maps_and_no_more() {
    let server = Server::on_sqlite().await;
    furnish(&server).await;
    resource(&server, ORDERS, json!({ "claims": { "mail": "email" } })).await;
    resource(&server, STOCK, json!({ "claims": { "who": "name" } })).await;
    let subject = at_api(&server, "openid read:orders", ORDERS)
        .await
        .text("access_token");
    assert_eq!(decoded(&subject)["mail"], "alice@example.com");
    let actor = own_token(&server, "orders-api").await;
    let at = async |resource: &str| {
        let asked = Asked::of("access_token", &subject)
            .acting("access_token", &actor)
            .with("resource", resource);
        asked.token(&server, "orders-api").await
    };

    let stock = decoded(&at(STOCK).await);
    let safe = at(SAFE).await;

    assert_eq!(
        (stock.get("who"), stock.get("mail")),
        (Some(&json!("Alice Example")), None)
    );
    let told = server.introspect("vault-api", &safe).await;
    assert_eq!(
        (&told["active"], told.get("mail"), told.get("who")),
        (&json!(true), None, None)
    );
}

/// Attack: C105
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_token_says_itself_is_never_mapped() {
    let server = Server::on_sqlite().await;
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "act",
        "may_act",
        "cnf",
        "scope",
        "client_id",
        "rev",
        "active",
        "Sub",
        "_claim_names",
    ] {
        for source in [json!("email"), json!({ "value": "x" })] {
            let told = refused_mapping(&server, ORDERS, json!({ name: source })).await;
            assert!(told.starts_with("`claims`"), "{told}");
        }
        let change = Some(json!({ "claims": { name: "email" } }));
        let path = "/admin/v1/clients/web";
        assert_eq!(server.admin(Method::PATCH, path, change).await.status, 400);
    }
    let told = refused_mapping(
        &server,
        ORDERS,
        json!({ "email_verified": { "value": true } }),
    )
    .await;
    assert!(told.contains("`email_verified`"), "{told}");
    resource(
        &server,
        ORDERS,
        json!({ "claims": { "subject_mail": "email" } }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_refused_when_it_is_mapped_and_when_it_is_told() {
    let server = Server::on_sqlite().await;
    let jwt = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    for claims in [
        json!({ "password": "email" }),
        json!({ "apiKey": { "value": "x" } }),
        json!({ "note": { "value": jwt } }),
        json!({ "note": { "value": "sym_key_AbCdEfGhIjKlMnOpQrStUvWx" } }),
    ] {
        let told = refused_mapping(&server, ORDERS, claims).await;
        assert!(!told.contains(jwt), "{told}");
    }
    resource(&server, ORDERS, json!({ "claims": { "nick": "nickname" } })).await;
    let named = async |nickname: &str| {
        let body = Some(json!({ "nickname": nickname }));
        let path = "/admin/v1/users/alice";
        let done = server.admin(Method::PATCH, path, body).await;
        assert_eq!(done.status, 200, "{}", done.body);
    };
    named("Al").await;
    let tokens = at_api(&server, "openid offline_access read:orders", ORDERS).await;
    assert_eq!(decoded(&tokens.text("access_token"))["nick"], "Al");
    let refresh = tokens.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];

    named(jwt).await;
    let refused = server.token("web", &form).await;

    assert_eq!(
        (refused.status, &*refused.refusal()),
        (400, "invalid_target")
    );
    assert!(!refused.body.contains(jwt));
    let access = tokens.text("access_token");
    let told = server.introspect("orders-api", &access).await;
    assert_eq!((&told["active"], told.get("nick")), (&json!(true), None));
    named("Ali").await;
    let renewed = server.token("web", &form).await;
    assert_eq!(decoded(&renewed.text("access_token"))["nick"], "Ali");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_marked_sensitive_is_told_under_no_name() {
    let server = Server::on_sqlite_with("sensitive_claims = [\"birthdate\"]").await;
    for claims in [
        json!({ "birthdate": "birthdate" }),
        json!({ "born": "birthdate" }),
    ] {
        let told = refused_mapping(&server, ORDERS, claims.clone()).await;
        assert!(told.contains("sensitive_claims"), "{told}");
        let path = "/admin/v1/clients/web";
        let change = Some(json!({ "claims": claims }));
        assert_eq!(server.admin(Method::PATCH, path, change).await.status, 400);
    }
    // Neither is in the file, so that reading it again changes nothing of them.
    let extra = "https://extra.example.com";
    let api =
        json!({ "identifier": extra, "scopes": ["read:extra"], "claims": { "mail": "email" } });
    let service = json!({ "id": "extra", "kind": "service", "secret": SECRET,
        "grants": ["client_credentials"], "scopes": ["read:extra"], "resources": [extra] });
    for (path, body) in [("resources", api), ("clients", service)] {
        let path = format!("/admin/v1/{path}");
        let made = server.admin(Method::POST, &path, Some(body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let machine = [("grant_type", "client_credentials")];
    assert_eq!(server.token("extra", &machine).await.status, 200);

    // What was mapped before it was marked is refused as well.
    let marked = |text: String| text.replace("[\"birthdate\"]", "[\"birthdate\", \"email\"]");
    let config = server.changed(marked);
    let running = server.running.as_ref().unwrap();
    running.reload(&config).await.unwrap();

    let refused = server.token("extra", &machine).await;
    assert_eq!(
        (refused.status, &*refused.refusal()),
        (400, "invalid_target")
    );
    let other = json!({ "claims": { "mail": null, "who": "name" } });
    resource(&server, extra, other).await;
    assert_eq!(server.token("extra", &machine).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_told_under_its_own_names_within_what_was_granted() {
    let server = Server::on_sqlite().await;
    let claims = json!({ "mail": "email", "phone": "phone_number", "plan": { "value": "gold" } });
    client(&server, "web", json!({ "claims": claims })).await;
    let told = async |scope: &str| {
        let tokens = at_api(&server, scope, ORDERS).await;
        let userinfo = server.userinfo(&tokens.text("access_token")).await.json();
        let access = decoded(&tokens.text("access_token"));
        assert!(
            access.get("plan").is_none(),
            "for the client, not for the API"
        );
        [Value::Object(decoded(&tokens.text("id_token"))), userinfo]
    };

    for told in told("openid email read:orders").await {
        assert_eq!(told["mail"], "alice@example.com");
        assert_eq!((&told["plan"], told.get("phone")), (&json!("gold"), None));
    }
    for told in told("openid read:orders").await {
        assert_eq!(
            (told.get("mail"), &told["plan"]),
            (None, &json!("gold")),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organization_and_roles_are_told_under_other_names_too() {
    let server = Server::on_sqlite().await;
    let claims = json!({ "team": "organization", "groups": "roles", "roles": "roles" });
    let body = json!({ "claims": claims });
    resource(&server, crate::setting::TENANT, body.clone()).await;
    client(&server, "tenant", body).await;
    let asked = crate::setting::by("tenant", &[("scope", "openid rent")]);

    let tokens = Browser::new(&server).tokens("alice", &asked).await;

    for name in ["access_token", "id_token"] {
        let told = decoded(&tokens.text(name));
        assert_eq!(
            (&told["team"], &told["groups"]),
            (&json!("acme"), &json!(["buyer"]))
        );
        assert_eq!(told["roles"], json!(["buyer"]));
    }
}
