//! What an administrator is told of a token that is dead: which record took it
//! back, when and by whom, or what its client may not have any more.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_store::MAX_TOKEN_RECORDS;

use crate::browser::Browser;
use crate::exchange::world::{Asked, claims, client, furnish, signed_in};
use crate::explain::{asked, by_id, explain, revoke, root, token};
use crate::harness::{ORDERS, Server, VAULT};
use crate::macaroon::{DESK, FILES, minted};
use crate::on_both_engines;

on_both_engines! {
    every_way_to_take_an_opaque_token_back_is_named
    every_way_to_take_a_jwt_back_is_named
    a_token_whose_parent_was_taken_back_is_not_called_good
    a_distrusted_key_is_named_by_the_id_of_what_it_made
    a_text_that_names_a_distrusted_key_is_explained_by_it
    a_key_that_nobody_distrusted_explains_nothing
    what_was_taken_from_a_client_or_an_api_is_told_by_the_id
    one_record_that_stands_for_many_is_named
    a_deleted_api_is_named_whatever_its_tokens_are
}

/// What can be taken back of a token of a person, and what that is called.
const WAYS: [(&str, &str); 6] = [
    ("token", "revoked_token"),
    ("family", "revoked_family"),
    ("session", "revoked_session"),
    ("subject", "revoked_subject"),
    ("client", "revoked_client"),
    ("grant", "revoked_grant"),
];

/// Every record that can hit the token, one after another, each on a token of
/// its own.
async fn every_way(server: &Server, fresh: impl AsyncFn(&str) -> String) {
    for (what, expected) in WAYS {
        server.advance(1);
        let token = fresh(what).await;
        let told = explain(server, json!({ "token": token })).await;
        assert_eq!(told["verdict"], "valid", "{what}: {told}");
        let known = &told["known"];
        let value = match what {
            "token" => json!(token),
            "subject" => json!("alice"),
            own => known[own].clone(),
        };
        server.advance(1);

        revoke(server, json!({ what: value })).await;
        let told = explain(server, json!({ "token": token })).await;

        assert_eq!(told["root"], expected, "{what}: {told}");
        assert_eq!(told["checks"][4]["outcome"], "failed");
        let all = told["taken_back"].as_array().unwrap();
        assert!(
            all.iter().any(|own| own["by"] == "administrator"),
            "{what}: {told}"
        );
        assert!(!told.to_string().contains(&token), "the token is not shown");
    }
}

async fn every_way_to_take_an_opaque_token_back_is_named(server: Server) {
    let fresh = async |what: &str| {
        let mut asked = asked(what, "read:vault");
        asked.insert("resource".into(), VAULT.into());
        let tokens = Browser::new(&server).tokens("alice", &asked).await;
        tokens.text("access_token")
    };
    every_way(&server, fresh).await;
}

async fn every_way_to_take_a_jwt_back_is_named(server: Server) {
    let fresh = async |what: &str| {
        let asked = asked(what, "read:orders");
        let tokens = Browser::new(&server).tokens("alice", &asked).await;
        tokens.text("access_token")
    };
    every_way(&server, fresh).await;

    let (token, _) = token(&server, ORDERS, "read:orders").await;
    let keys = server
        .admin(Method::GET, "/admin/v1/keys", None)
        .await
        .json();
    let keys = keys["items"].as_array().unwrap().clone();
    let signs = |key: &&Value| key["algorithm"] == "ES256" && key["state"] == "active";
    let kid = keys.iter().find(signs).unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned();
    server.advance(1);
    let path = format!("/admin/v1/keys/{kid}/distrust");
    assert_eq!(server.admin(Method::POST, &path, None).await.status, 200);
    assert_eq!(root(&server, &token).await, "distrusted_key");
}

async fn a_token_whose_parent_was_taken_back_is_not_called_good(server: Server) {
    furnish(&server).await;
    let root = signed_in(&server, "alice").await.text("access_token");
    let derived = Asked::of("access_token", &root).token(&server, "web").await;
    let jti = claims(&derived)["jti"].as_str().unwrap().to_owned();
    let cause = async || by_id(&server, &jti).await.text("cause");
    assert_eq!(cause().await, "nothing that is known here refuses it");

    let revoke = json!({ "token": root });
    let path = "/admin/v1/revoke";
    assert_eq!(
        server.admin(Method::POST, path, Some(revoke)).await.status,
        204
    );

    assert_eq!(
        cause().await,
        "revocation: a token that it came from was taken back"
    );

    let told = explain(&server, json!({ "token": derived })).await;
    assert_eq!(
        (&told["root"], &told["cause"]),
        (
            &json!("revoked_parent_token"),
            &json!("revocation: a token that it came from was taken back")
        )
    );
    assert_eq!(told["taken_back"], json!([]), "no record is its own");
    let own = json!({ "token": derived });
    let done = server.admin(Method::POST, path, Some(own)).await;
    assert_eq!(done.status, 204, "{}", done.body);
    assert_eq!(self::root(&server, &derived).await, "revoked_token");
}

/// A token of each format that dies with a key of this server: what it is, its
/// `jti`, and where its key is found.
async fn one_of_each_format(server: &Server) -> [(String, String, &'static str, &'static str); 4] {
    let jti = async |api: &str, token: &str| server.introspect(api, token).await["jti"].to_string();
    let (jwt, of_jwt) = token(server, ORDERS, "read:orders").await;
    let (opaque, of_opaque) = token(server, VAULT, "read:vault").await;
    let own = minted(server, &[("scope", "read:files")]).await;
    let shared = minted(server, &[("resource", DESK), ("scope", "read:desk")]).await;
    let of_own = jti("files-api", &own).await.replace('"', "");
    let of_shared = jti("desk-api", &shared).await.replace('"', "");
    [
        (jwt, of_jwt, "algorithm", "ES256"),
        (opaque, of_opaque, "purpose", "access-token"),
        (own, of_own, "purpose", "macaroon"),
        (shared, of_shared, "purpose", "macaroon"),
    ]
}

/// Distrusts the active keys behind these tokens, and says their names.
async fn distrust_each<const N: usize>(
    server: &Server,
    tokens: &[(String, String, &'static str, &'static str); N],
) -> Vec<String> {
    let keys = server.admin(Method::GET, "/admin/v1/keys", None).await;
    let keys = keys.json()["items"].as_array().unwrap().clone();
    let of = |name: &str, value: &str| {
        let mut own = keys.iter();
        let found = own.find(|key| key[name] == value && key["state"] == "active");
        found.unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let kids: Vec<String> = tokens.iter().map(|own| of(own.2, own.3)).collect();
    let mut each = kids.clone();
    each.dedup();
    for kid in each {
        let path = format!("/admin/v1/keys/{kid}/distrust");
        assert_eq!(server.admin(Method::POST, &path, None).await.status, 200);
    }
    kids
}

/// The one record that took a token back, and who wrote it.
fn check_record(told: &Value, what: &str, action: &str) {
    let records = told["taken_back"].as_array().unwrap();
    assert_eq!(records.len(), 1, "{told}");
    assert_eq!(
        (
            &records[0]["what"],
            &records[0]["by"],
            &records[0]["action"]
        ),
        (&json!(what), &json!("administrator"), &json!(action)),
        "{told}"
    );
    assert_eq!(records[0]["at"], "2026-01-01T00:00:01Z", "{told}");
    let request = records[0]["request"].as_str().unwrap();
    assert!(request.starts_with("req_"), "{told}");
}

async fn a_distrusted_key_is_named_by_the_id_of_what_it_made(server: Server) {
    let tokens = one_of_each_format(&server).await;
    for (_, jti, ..) in &tokens {
        let told = by_id(&server, jti).await.json();
        assert_eq!(told["cause"], "nothing that is known here refuses it");
    }
    server.advance(1);

    let kids = distrust_each(&server, &tokens).await;

    for ((_, jti, ..), kid) in tokens.iter().zip(kids) {
        let told = by_id(&server, jti).await.json();
        let cause = format!("revocation: its key `{kid}` was taken back at 2026-01-01T00:00:01Z");
        assert_eq!(told["cause"], cause, "{told}");
        check_record(&told, "key", "key.distrust");
        assert_eq!(told["taken_back"][0]["key"], kid, "{told}");
    }
}

async fn a_text_that_names_a_distrusted_key_is_explained_by_it(server: Server) {
    let tokens = one_of_each_format(&server).await;
    server.advance(1);

    let kids = distrust_each(&server, &tokens).await;

    for ((token, ..), kid) in tokens.iter().zip(kids) {
        let told = explain(&server, json!({ "token": token })).await;
        assert_eq!(
            (&told["verdict"], &told["code"], &told["root"]),
            (
                &json!("refused"),
                &json!("revoked"),
                &json!("distrusted_key")
            ),
            "{told}"
        );
        let cause = told["cause"].as_str().unwrap();
        let named = format!("revocation: the key that it names, `{kid}`, was distrusted");
        assert!(cause.starts_with(&named), "{told}");
        check_record(&told, "key", "key.distrust");
        assert_eq!(told["taken_back"][0]["key"], kid, "{told}");
        let outcomes = told["checks"].as_array().unwrap().iter();
        let outcomes: Vec<&str> = outcomes
            .map(|own| own["outcome"].as_str().unwrap())
            .collect();
        assert_eq!(
            outcomes[..6],
            [
                "unknown",
                "unknown",
                "unknown",
                "unknown",
                "failed",
                "not_reached"
            ],
            "nobody can say whether it was genuine"
        );
        assert_eq!(told["known"], Value::Null, "nobody vouches for it: {told}");
    }
}

async fn a_key_that_nobody_distrusted_explains_nothing(server: Server) {
    let elsewhere = Server::on_sqlite().await;
    let tokens = one_of_each_format(&elsewhere).await;
    distrust_each(&server, &one_of_each_format(&server).await).await;

    for ((token, ..), expected) in tokens.iter().zip([
        "unknown_key",
        "seal_mismatch",
        "macaroon_location",
        "macaroon_unknown",
    ]) {
        let told = explain(&server, json!({ "token": token })).await;
        assert_eq!(told["root"], expected, "{told}");
        assert_eq!(told["taken_back"], json!([]), "{told}");
    }
}

async fn what_was_taken_from_a_client_or_an_api_is_told_by_the_id(server: Server) {
    let (_, vault) = token(&server, VAULT, "read:vault").await;
    let (_, orders) = token(&server, ORDERS, "read:orders delete:orders").await;
    let cause = async |jti: &str| by_id(&server, jti).await.text("cause");

    client(
        &server,
        "job",
        json!({ "scopes": ["read:orders", "read:vault"] }),
    )
    .await;
    assert_eq!(cause(&vault).await, "nothing that is known here refuses it");
    assert_eq!(
        cause(&orders).await,
        "scope: its client or its API has `delete:orders` no more; nothing else that is known here refuses it"
    );
    client(&server, "job", json!({ "resources": [ORDERS] })).await;

    let told = by_id(&server, &vault).await.json();
    assert_eq!(
        told["cause"], "revocation: its client may not ask for this API any more",
        "{told}"
    );
    assert_eq!(told["taken_back"], json!([]), "no record took it back");
    client(&server, "job", json!({ "resources": [ORDERS, VAULT] })).await;
    assert_eq!(cause(&vault).await, "nothing that is known here refuses it");
}

async fn one_record_that_stands_for_many_is_named(server: Server) {
    let all = (0..=MAX_TOKEN_RECORDS).map(|_| token(&server, VAULT, "read:vault"));
    let all = join_all(all).await;
    server.advance(1);

    for (token, _) in &all {
        revoke(&server, json!({ "token": token })).await;
    }

    let (last, of_last) = &all[MAX_TOKEN_RECORDS];
    let told = explain(&server, json!({ "token": last })).await;
    assert_eq!(told["root"], "revoked_client_subject", "{told}");
    let what = "client and subject";
    check_record(&told, what, "token.revoke");
    let (first, of_first) = &all[0];
    let told = explain(&server, json!({ "token": first })).await;
    check_record(&told, what, "token.revoke");
    for jti in [of_first, of_last] {
        check_record(&by_id(&server, jti).await.json(), what, "token.revoke");
    }
}

async fn a_deleted_api_is_named_whatever_its_tokens_are(server: Server) {
    let (opaque, _) = token(&server, VAULT, "read:vault").await;
    let own = minted(&server, &[("scope", "read:files")]).await;
    let shared = minted(&server, &[("resource", DESK), ("scope", "read:desk")]).await;
    let jwt = token(&server, ORDERS, "read:orders").await.0;
    server.advance(1);

    for api in [VAULT, FILES, DESK, ORDERS] {
        let name = api.replace(':', "%3A").replace('/', "%2F");
        let path = format!("/admin/v1/resources/{name}");
        let done = server.admin(Method::DELETE, &path, None).await;
        assert!(done.status < 300, "{}", done.body);
    }

    for token in [&opaque, &own, &shared, &jwt] {
        let told = explain(&server, json!({ "token": token })).await;
        assert_eq!(told["root"], "deleted_resource", "{told}");
        check_record(&told, "resource", "resource.delete");
    }
}
