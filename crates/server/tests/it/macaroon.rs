//! Macaroons over HTTP: minted by every grant, narrowed by their holders,
//! judged at introspection, and dead with their root.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Map, Value, json};
use symbolon_server::clock::SystemEntropy;
use symbolon_token::Secret;
use symbolon_token::macaroon::{self, Caveat};
use symbolon_token::seal::Bound;

use crate::browser::{Browser, request};
use crate::harness::{SECRET, Server};
use crate::on_both_engines;

/// An API whose macaroons the server checks.
pub(crate) const FILES: &str = "https://files.example.com";
/// An API that checks its macaroons by itself.
pub(crate) const DESK: &str = "https://desk.example.com";

/// The resources and clients of these tests.
pub(crate) fn configuration() -> String {
    format!(
        r#"
[[resource]]
identifier = "{FILES}"
scopes = ["read:files", "write:files"]
token_format = "macaroon"
introspection_client = "files-api"

[[resource]]
identifier = "{DESK}"
scopes = ["read:desk"]
token_format = "macaroon"
macaroon_keys = "shared"
introspection_client = "desk-api"

[[client]]
id = "files-api"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]

[[client]]
id = "desk-api"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]

[[client]]
id = "baker"
name = "Bakery"
secret = "{SECRET}"
redirect_uris = ["https://bakery.example.com/callback"]
grants = ["client_credentials", "authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "read:files", "write:files", "read:desk"]
resources = ["{FILES}", "{DESK}"]
default_resource = "{FILES}"
"#
    )
}

on_both_engines! {
    every_grant_mints_macaroons_for_a_resource_that_wants_them
    a_holder_narrows_without_asking_anyone
    conditions_are_judged_for_the_request_that_is_named
    a_budget_counts_uses_over_all_nodes_and_descendants
    a_question_that_counts_no_use_tells_how_many_are_left
    a_nonce_is_good_once
    descendants_die_with_their_root
    a_descendant_takes_back_its_root
    a_shared_macaroon_is_good_at_its_resource_alone
    what_a_resource_mints_by_itself_counts_nowhere_here
    introspection_of_a_macaroon_without_counts_writes_nothing
    userinfo_judges_conditions_for_its_own_request
    a_resource_is_given_its_keys_and_nobody_elses
    keys_rotate_and_outlive_what_they_made
}

pub(crate) async fn minted(server: &Server, form: &[(&str, &str)]) -> String {
    let all = [&[("grant_type", "client_credentials")], form].concat();
    let answer = server.token("baker", &all).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

pub(crate) fn narrow(text: &str, caveats: &[&str]) -> String {
    let caveats: Vec<Caveat> = caveats.iter().map(|own| own.parse().unwrap()).collect();
    macaroon::attenuate(text, &caveats).unwrap()
}

const INACTIVE: &str = r#"{"active":false}"#;

pub(crate) async fn asked(
    server: &Server,
    client: &str,
    token: &str,
    request: &[(&str, &str)],
) -> Value {
    let form = [&[("token", token)], request].concat();
    let answer = server.form("/introspect", client, &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    if answer.json()["active"] == false {
        assert_eq!(answer.body, INACTIVE);
    }
    answer.json()
}

pub(crate) async fn is_good(server: &Server, token: &str, request: &[(&str, &str)]) -> bool {
    asked(server, "files-api", token, request).await["active"] == true
}

pub(crate) fn a_person_asks() -> std::collections::BTreeMap<String, String> {
    let mut asked = request();
    for (name, value) in [
        ("client_id", "baker"),
        ("redirect_uri", "https://bakery.example.com/callback"),
        ("scope", "openid profile offline_access read:files"),
    ] {
        asked.insert(name.to_owned(), value.to_owned());
    }
    asked
}

async fn every_grant_mints_macaroons_for_a_resource_that_wants_them(server: Server) {
    let own = minted(&server, &[("scope", "read:files")]).await;
    let code = Browser::new(&server)
        .tokens("alice", &a_person_asks())
        .await;
    let refresh = code.text("refresh_token");
    let renewed = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let renewed = server.token("baker", &renewed).await;

    for text in [
        &own,
        &code.text("access_token"),
        &renewed.text("access_token"),
    ] {
        assert!(macaroon::is_macaroon(text), "{text}");
        let told = asked(&server, "files-api", text, &[]).await;
        assert_eq!(
            (&told["active"], &told["aud"]),
            (&json!(true), &json!(FILES))
        );
        assert_eq!(asked(&server, "desk-api", text, &[]).await["active"], false);
    }
    assert_eq!(asked(&server, "files-api", &own, &[]).await["sub"], "baker");
    assert_eq!(
        asked(&server, "baker", &own, &[]).await["scope"],
        "read:files"
    );
    server.advance(601);
    assert!(!is_good(&server, &own, &[]).await);
}

async fn a_holder_narrows_without_asking_anyone(server: Server) {
    let root = minted(&server, &[("scope", "read:files write:files")]).await;
    let key = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let narrower = narrow(
        &root,
        &[
            "scope = read:files delete:files",
            "before = 2026-01-01T00:01:00Z",
            &format!("jkt = {key}"),
            &format!("audience = {FILES}"),
        ],
    );

    let whole = asked(&server, "files-api", &root, &[]).await;
    let left = asked(&server, "files-api", &narrower, &[]).await;

    assert_eq!(whole["scope"], "read:files write:files");
    assert_eq!(left["scope"], "read:files");
    assert_eq!(
        left["exp"].as_i64(),
        Some(whole["iat"].as_i64().unwrap() + 60)
    );
    assert_eq!(left["cnf"]["jkt"], key);
    assert!(whole.get("cnf").is_none());
    assert_eq!(left["jti"], whole["jti"]);
    for refused in [
        "audience = https://orders.example.com",
        "after = 2026-01-02T00:00:00Z",
        "days = mon",
    ] {
        assert!(
            !is_good(&server, &narrow(&root, &[refused]), &[]).await,
            "{refused}"
        );
    }
    server.advance(61);
    assert!(!is_good(&server, &narrower, &[]).await);
    assert!(is_good(&server, &root, &[]).await);
}

async fn conditions_are_judged_for_the_request_that_is_named(server: Server) {
    let root = minted(&server, &[]).await;
    let token = narrow(
        &root,
        &[
            "method = GET,HEAD",
            "path = /files/{id}",
            "network = 10.0.0.0/8",
        ],
    );
    let good = [
        ("method", "GET"),
        ("uri", "https://files.example.com/files/7?a=b"),
        ("client_ip", "10.1.2.3"),
    ];

    assert!(is_good(&server, &token, &good).await);
    assert!(
        !is_good(&server, &token, &[]).await,
        "nothing is known of the request"
    );
    for at in 0..good.len() {
        let mut part = good.to_vec();
        part.remove(at);
        assert!(
            !is_good(&server, &token, &part).await,
            "without {}",
            good[at].0
        );
    }
    for (at, value) in [
        (0, "POST"),
        (0, "get"),
        (1, "/files/7/8"),
        (1, "/files/%2e%2e"),
        (1, "files/7"),
        (1, "https://files.example.com?x=/files/7"),
        (1, "https://files.example.com#/files/7"),
        (1, r"https://files.example.com\admin/files/7"),
        (1, "https://evil@files.example.com/files/7"),
        (1, "//evil.example/files/7"),
        (2, "192.0.2.1"),
        (2, "10.1.2.3.4"),
        (2, "::ffff:192.0.2.1"),
    ] {
        let mut other = good;
        other[at].1 = value;
        assert!(!is_good(&server, &token, &other).await, "{value}");
    }
    assert!(
        is_good(&server, &root, &[]).await,
        "the root has no conditions"
    );
}

async fn a_budget_counts_uses_over_all_nodes_and_descendants(server: Server) {
    let root = minted(&server, &[]).await;
    let token = narrow(&root, &["budget = 5"]);
    let child = narrow(
        &token,
        &["scope = read:files", "before = 2026-01-01T00:05:00Z"],
    );
    let here = [("method", "GET")];
    assert!(
        !is_good(&server, &token, &[]).await,
        "nobody says that it is a use"
    );
    assert_eq!(
        asked(&server, "baker", &token, &here).await["active"],
        false
    );
    let second = server.second_node().await;

    let each = (0..16).map(|at| {
        let server = second.as_ref().filter(|_| at % 2 == 0).unwrap_or(&server);
        let token = if at % 3 == 0 { &child } else { &token };
        is_good(server, token, &here)
    });
    let good = join_all(each)
        .await
        .into_iter()
        .filter(|good| *good)
        .count();

    assert_eq!(good, 5);
    server.advance(301);
    assert!(
        !is_good(&server, &token, &here).await,
        "the child's end begins no new count"
    );
    assert!(is_good(&server, &narrow(&root, &["budget = 4"]), &here).await);
    assert!(is_good(&server, &root, &[]).await);
}

async fn a_question_that_counts_no_use_tells_how_many_are_left(server: Server) {
    let root = minted(&server, &[]).await;
    let token = narrow(&root, &["budget = 3", "budget = 2", "method = GET"]);
    let (use_up, spare) = (("method", "GET"), ("count", "no"));
    let left = async |token: &str| asked(&server, "files-api", token, &[use_up, spare]).await;
    let before = server.commits();

    for _ in 0..3 {
        assert_eq!(left(&token).await["uses_left"], 2);
    }

    assert_eq!(server.commits(), before, "nothing is written");
    let (post, counting) = (("method", "POST"), ("count", "yes"));
    assert!(!is_good(&server, &token, &[post, spare]).await);
    assert!(!is_good(&server, &token, &[spare]).await, "for no request");
    let elsewhere = asked(&server, "baker", &token, &[use_up, spare]).await;
    assert_eq!(elsewhere["active"], false);
    assert!(left(&root).await.get("uses_left").is_none());
    let used = asked(&server, "files-api", &token, &[use_up, counting]).await;
    assert_eq!(used["active"], true);
    assert!(used.get("uses_left").is_none(), "that was a use");
    assert_eq!(left(&token).await["uses_left"], 1);
    assert!(is_good(&server, &token, &[use_up]).await);
    assert_eq!(left(&token).await, json!({ "active": false }));
}

async fn a_nonce_is_good_once(server: Server) {
    let root = minted(&server, &[]).await;
    let here = [("method", "POST")];
    let token = narrow(&root, &["method = POST", "single-use = abc"]);

    assert!(
        !is_good(&server, &token, &[("method", "GET")]).await,
        "a refused use is no use"
    );
    assert!(is_good(&server, &token, &here).await);
    assert!(!is_good(&server, &token, &here).await);
    assert!(!is_good(&server, &narrow(&root, &["single-use = abc"]), &here).await);
    assert!(is_good(&server, &narrow(&root, &["single-use = abd"]), &here).await);
}

async fn descendants_die_with_their_root(server: Server) {
    for audience in [FILES, DESK] {
        let api = if audience == FILES {
            "files-api"
        } else {
            "desk-api"
        };
        let root = minted(&server, &[("resource", audience)]).await;
        let other = minted(&server, &[("resource", audience)]).await;
        let child = narrow(
            &narrow(&root, &["days = thu"]),
            &["before = 2026-01-01T00:05:00Z"],
        );
        assert_eq!(asked(&server, api, &child, &[]).await["active"], true);

        let answer = server.form("/revoke", "baker", &[("token", &root)]).await;

        assert_eq!(answer.status, 200);
        for dead in [&root, &child, &narrow(&root, &["days = thu"])] {
            assert_eq!(asked(&server, api, dead, &[]).await["active"], false);
        }
        assert_eq!(asked(&server, api, &other, &[]).await["active"], true);
    }
}

async fn a_descendant_takes_back_its_root(server: Server) {
    for audience in [FILES, DESK] {
        let api = if audience == FILES {
            "files-api"
        } else {
            "desk-api"
        };
        let root = minted(&server, &[("resource", audience)]).await;
        let child = narrow(&root, &["method = GET", "before = 2020-01-01T00:00:00Z"]);
        let elsewhere = server.form("/revoke", "web", &[("token", &child)]).await;
        assert_eq!(elsewhere.refusal(), "invalid_grant");
        assert_eq!(asked(&server, api, &root, &[]).await["active"], true);

        let answer = server.form("/revoke", "baker", &[("token", &child)]).await;

        assert_eq!(answer.status, 200);
        assert_eq!(asked(&server, api, &root, &[]).await["active"], false);
    }
}

async fn a_shared_macaroon_is_good_at_its_resource_alone(server: Server) {
    let mut asks = a_person_asks();
    asks.insert(
        "scope".into(),
        "openid profile offline_access read:desk".into(),
    );
    asks.insert("resource".into(), DESK.into());
    let shared = Browser::new(&server)
        .tokens("alice", &asks)
        .await
        .text("access_token");
    let own = Browser::new(&server)
        .tokens("bob", &a_person_asks())
        .await
        .text("access_token");

    let told = asked(&server, "desk-api", &shared, &[]).await;
    assert_eq!(
        (&told["active"], &told["aud"]),
        (&json!(true), &json!(DESK))
    );
    assert_eq!(
        asked(&server, "files-api", &shared, &[]).await["active"],
        false
    );
    let refused = server.userinfo(&shared).await;
    assert_eq!(
        (refused.status, &*refused.refusal()),
        (401, "invalid_token")
    );
    assert_eq!(server.userinfo(&own).await.status, 200);
    let narrower = narrow(&shared, &["scope = read:desk", "method = GET"]);
    assert_eq!(
        asked(&server, "desk-api", &narrower, &[("method", "GET")]).await["scope"],
        "read:desk"
    );
    assert_eq!(
        asked(&server, "desk-api", &narrower, &[]).await["active"],
        false
    );
}

pub(crate) async fn keys_of(
    server: &Server,
    client: &str,
    resource: &str,
) -> crate::harness::Answer {
    server
        .form("/macaroon-keys", client, &[("resource", resource)])
        .await
}

async fn a_resource_is_given_its_keys_and_nobody_elses(server: Server) {
    let given = keys_of(&server, "desk-api", DESK).await;

    assert_eq!(given.status, 200, "{}", given.body);
    assert_eq!(given.header("cache-control"), Some("no-store"));
    assert_eq!(given.json()["resource"], DESK);
    for (client, resource) in [
        ("files-api", DESK),
        ("desk-api", FILES),
        ("files-api", FILES),
        ("baker", DESK),
        ("desk-api", "https://unknown.example.com"),
        ("desk-api", ""),
    ] {
        let refused = keys_of(&server, client, resource).await;
        assert_eq!(refused.status, 400, "{client} {resource}");
        assert!(!refused.body.contains("\"key\""));
    }
    assert_eq!(
        keys_of(&server, "spa", DESK).await.refusal(),
        "invalid_client"
    );
}

/// A key as its resource is given it.
fn given(keys: &Value, id: &str) -> Option<macaroon::SharedKey> {
    let all = keys["keys"].as_array().unwrap();
    let key = all.iter().find(|own| own["id"] == *id)?;
    let secret = BASE64_URL_SAFE_NO_PAD.decode(key["key"].as_str().unwrap());
    macaroon::SharedKey::from_secret(id, &Secret::new(secret.unwrap()))
}

/// What its resource knows of the issuer.
fn bound(keys: &Value) -> Bound<'_> {
    Bound {
        issuer: keys["issuer"].as_str().unwrap(),
        epoch: keys["epoch"].as_i64().unwrap(),
    }
}

/// Opens a shared macaroon as its resource does.
pub(crate) fn opens(keys: &Value, text: &str) -> bool {
    let shared = macaroon::SharedPresented::parse(text).unwrap().unwrap();
    let key = given(keys, &shared.claimed_key().unwrap());
    key.is_some_and(|key| shared.open(&key, bound(keys)).is_ok())
}

/// The claims of a shared macaroon, and the key that it is rooted in.
fn taken_apart(keys: &Value, text: &str) -> (Map<String, Value>, macaroon::SharedKey) {
    let shared = macaroon::SharedPresented::parse(text).unwrap().unwrap();
    let key = given(keys, &shared.claimed_key().unwrap()).unwrap();
    let context = macaroon::Context {
        now: symbolon_protocol::Timestamp::EPOCH,
        skew: std::time::Duration::ZERO,
        request: macaroon::Request::default(),
    };
    let opened = shared.open(&key, bound(keys)).unwrap();
    (opened.judge(&context).unwrap().0, key)
}

async fn what_a_resource_mints_by_itself_counts_nowhere_here(server: Server) {
    let genuine = minted(&server, &[("resource", DESK)]).await;
    let victim = minted(&server, &[]).await;
    let named = asked(&server, "files-api", &victim, &[]).await;
    let keys = keys_of(&server, "desk-api", DESK).await.json();
    let (mut claims, key) = taken_apart(&keys, &genuine);
    claims.insert("client_id".into(), "desk-api".into());
    claims.insert("jti".into(), named["jti"].clone());
    claims.insert("sub".into(), "job".into());
    let minted = key.mint(bound(&keys), &claims, &SystemEntropy).unwrap();
    assert!(opens(&keys, &minted), "it is good at the resource itself");
    let before = server.commits();

    let told = asked(&server, "desk-api", &minted, &[]).await;
    let revoked = server
        .form("/revoke", "desk-api", &[("token", &minted)])
        .await;
    let form = [
        ("token", &*minted),
        ("require", "approval"),
        ("person", "alice"),
    ];
    let caveat = server.form("/discharge/caveats", "desk-api", &form).await;
    let explained = json!({ "token": minted });
    let path = "/admin/v1/tokens:explain";
    let explained = server
        .admin(Method::POST, path, Some(explained))
        .await
        .json();

    assert_eq!(told, json!({ "active": false }));
    assert_eq!(
        (revoked.status, server.commits()),
        (200, before),
        "nothing of ours"
    );
    assert!(is_good(&server, &victim, &[]).await);
    assert_eq!(caveat.refusal(), "invalid_grant");
    assert_eq!(explained["root"], "macaroon_not_minted_here", "{explained}");
    assert_eq!(explained["known"], Value::Null, "{explained}");
    let form = [
        ("token", &*genuine),
        ("require", "approval"),
        ("person", "alice"),
    ];
    let caveat = server.form("/discharge/caveats", "baker", &form).await;
    assert_eq!(caveat.status, 200, "{}", caveat.body);
    assert_eq!(
        asked(&server, "desk-api", &genuine, &[]).await["active"],
        true
    );
    assert_eq!(
        server
            .form("/revoke", "baker", &[("token", &genuine)])
            .await
            .status,
        200
    );
    assert_eq!(
        asked(&server, "desk-api", &genuine, &[]).await["active"],
        false
    );
}

async fn keys_rotate_and_outlive_what_they_made(server: Server) {
    let desk = [("resource", DESK)];
    let day = 24 * 60 * 60;
    let first = keys_of(&server, "desk-api", DESK).await.json();
    let early = minted(&server, &desk).await;
    server.advance(day - 60);
    let late = minted(&server, &desk).await;
    server.advance(120);
    let tomorrow = minted(&server, &desk).await;

    let second = keys_of(&server, "desk-api", DESK).await.json();

    assert!(opens(&first, &early) && opens(&first, &late));
    assert!(
        opens(&first, &tomorrow),
        "the next key is given before it is used"
    );
    assert!(opens(&second, &late) && opens(&second, &tomorrow));
    assert_ne!(
        macaroon::SharedPresented::parse(&late)
            .unwrap()
            .unwrap()
            .claimed_key(),
        macaroon::SharedPresented::parse(&tomorrow)
            .unwrap()
            .unwrap()
            .claimed_key(),
    );
    server.advance(700);
    let third = keys_of(&server, "desk-api", DESK).await.json();
    assert!(
        !opens(&third, &late),
        "nothing that it made is good any more"
    );
    assert!(opens(&third, &tomorrow));
}

async fn introspection_of_a_macaroon_without_counts_writes_nothing(server: Server) {
    let token = narrow(&minted(&server, &[]).await, &["method = GET"]);
    let before = server.commits();

    assert!(is_good(&server, &token, &[("method", "GET")]).await);

    assert_eq!(server.commits(), before);
}

async fn userinfo_judges_conditions_for_its_own_request(server: Server) {
    let tokens = Browser::new(&server)
        .tokens("alice", &a_person_asks())
        .await;
    let root = tokens.text("access_token");
    let key = "jkt = NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

    for good in [
        "method = GET",
        "path = /userinfo",
        "network = 127.0.0.0/8",
        "scope = openid",
    ] {
        assert_eq!(
            server.userinfo(&narrow(&root, &[good])).await.status,
            200,
            "{good}"
        );
    }
    for bad in [
        "method = POST",
        "path = /token",
        "network = 10.0.0.0/8",
        key,
    ] {
        let answer = server.userinfo(&narrow(&root, &[bad])).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (401, "invalid_token"),
            "{bad}"
        );
    }
    let answer = server.userinfo(&narrow(&root, &["scope = profile"])).await;
    assert_eq!(answer.refusal(), "insufficient_scope");
    let once = narrow(&root, &["budget = 1"]);
    assert_eq!(server.userinfo(&once).await.status, 200);
    assert_eq!(server.userinfo(&once).await.status, 401);
    let in_body = server
        .request(Method::POST, "/userinfo")
        .form(&[("access_token", &root)]);
    assert_eq!(
        crate::harness::read(in_body.send().await.unwrap())
            .await
            .status,
        200
    );
}
