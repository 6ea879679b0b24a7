//! Operators who act at the same time: no change is lost, and nothing is
//! switched off or on by an act that is about something else.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, request};
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    changes_of_different_members_at_once_are_all_kept
    what_is_revoked_many_times_at_once_stays_enabled
    who_is_revoked_while_others_change_is_not_sent_away
    what_is_disabled_while_it_is_revoked_stays_disabled
    a_resource_of_the_same_name_takes_nothing_of_the_one_before
    a_scope_that_is_taken_away_is_gone_from_live_tokens
}

/// How often each race is run.
const ROUNDS: usize = 6;

/// Both nodes of an installation, or the only one twice.
fn nodes<'s>(server: &'s Server, other: &'s Option<Server>) -> [&'s Server; 2] {
    [server, other.as_ref().unwrap_or(server)]
}

async fn patch(server: &Server, path: &str, document: &Value) -> Answer {
    server
        .admin(Method::PATCH, path, Some(document.clone()))
        .await
}

async fn changes_of_different_members_at_once_are_all_kept(server: Server) {
    let other = server.second_node().await;
    let nodes = nodes(&server, &other);
    for round in 0..ROUNDS {
        let text = |what: &str| format!("{what} {round}");
        let address = |path: &str| json!([format!("https://app.example.com/{path}/{round}")]);
        let changes = [
            (
                "/admin/v1/clients/web",
                vec![
                    ("name", json!(text("Shop"))),
                    ("redirect_uris", address("callback")),
                    ("post_logout_redirect_uris", address("bye")),
                    ("access_token_lifetime", json!(format!("{}m", 2 + round))),
                ],
            ),
            (
                "/admin/v1/users/alice",
                vec![
                    ("given_name", json!(text("Alice"))),
                    ("family_name", json!(text("Example"))),
                    ("nickname", json!(text("Al"))),
                ],
            ),
            (
                "/admin/v1/resources/https:%2F%2Forders.example.com",
                vec![
                    ("name", json!(text("Orders"))),
                    ("access_token_lifetime", json!(format!("{}m", 2 + round))),
                ],
            ),
        ];
        for (path, members) in changes {
            let wanted = members.iter().enumerate().map(|(number, (name, value))| {
                let document = json!({ *name: value });
                async move { patch(nodes[number % 2], path, &document).await }
            });

            let answers = join_all(wanted).await;

            for answer in answers {
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            }
            let now = server.admin(Method::GET, path, None).await.json();
            for (name, value) in members {
                assert_eq!(now[name], value, "{path} lost its {name}: {now}");
            }
        }
    }
}

async fn what_is_revoked_many_times_at_once_stays_enabled(server: Server) {
    let other = server.second_node().await;
    let nodes = nodes(&server, &other);
    for (what, path) in [
        (json!({ "client": "other" }), "/admin/v1/clients/other"),
        (
            json!({ "organization": "acme" }),
            "/admin/v1/organizations/acme",
        ),
    ] {
        for _ in 0..ROUNDS {
            let token = server
                .token("other", &[("grant_type", "client_credentials")])
                .await
                .text("access_token");
            let all = (0..8).map(|number| {
                let document = Some(what.clone());
                nodes[number % 2].admin(Method::POST, "/admin/v1/revoke", document)
            });
            // Who asks meanwhile is never told that the client is unknown. What
            // was asked before the record and answered after it is refused.
            let good = async {
                let form = [("grant_type", "client_credentials")];
                for _ in 0..4 {
                    let answer = server.token("other", &form).await;
                    let is_late = answer.status == 400 && answer.refusal() == "invalid_grant";
                    assert!(answer.status == 200 || is_late, "{}", answer.body);
                }
            };

            let (answers, ()) = tokio::join!(join_all(all), good);

            for answer in answers {
                assert_eq!(answer.status, 204, "{}", answer.body);
            }
            let now = server.admin(Method::GET, path, None).await.json();
            assert_eq!(now["enabled"], true, "{path}");
            if what.get("client").is_some() {
                assert!(!server.is_active(&token).await);
            }
        }
    }
}

async fn who_is_revoked_while_others_change_is_not_sent_away(server: Server) {
    let other = server.second_node().await;
    let [here, there] = nodes(&server, &other);
    let form = [("grant_type", "client_credentials")];
    for round in 0..ROUNDS {
        // What this node keeps of the client is from before it is taken back
        // of, and another's change has it read anew.
        assert_eq!(here.token("other", &form).await.status, 200);
        let name = json!({ "name": format!("Shop {round}") });
        let changed = patch(there, "/admin/v1/clients/web", &name).await;
        let what = Some(json!({ "client": "other" }));
        let revoked = here.admin(Method::POST, "/admin/v1/revoke", what).await;

        let answer = here.token("other", &form).await;

        assert_eq!((changed.status, revoked.status), (200, 204));
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(here.is_active(&answer.text("access_token")).await);
    }
}

async fn what_is_disabled_while_it_is_revoked_stays_disabled(server: Server) {
    let other = server.second_node().await;
    let nodes = nodes(&server, &other);
    for (what, path) in [
        (json!({ "client": "other" }), "/admin/v1/clients/other"),
        (
            json!({ "organization": "acme" }),
            "/admin/v1/organizations/acme",
        ),
    ] {
        for _ in 0..ROUNDS {
            let disable = format!("{path}/disable");
            let enable = format!("{path}/enable");

            let (revoked, disabled) = tokio::join!(
                nodes[0].admin(Method::POST, "/admin/v1/revoke", Some(what.clone())),
                nodes[1].admin(Method::POST, &disable, None),
            );

            assert_eq!((revoked.status, disabled.status), (204, 200));
            let now = server.admin(Method::GET, path, None).await.json();
            assert_eq!(now["enabled"], false, "{path}");
            let enabled = server.admin(Method::POST, &enable, None).await;
            assert_eq!(enabled.status, 200, "{}", enabled.body);
        }
    }
}

async fn a_resource_of_the_same_name_takes_nothing_of_the_one_before(server: Server) {
    for format in ["opaque", "jwt", "macaroon"] {
        let identifier = format!("https://{format}.example.com");
        let resource = json!({
            "identifier": identifier, "scopes": ["read:orders"], "token_format": format,
            "introspection_client": "vault-api",
        });
        let create = async || {
            let document = Some(resource.clone());
            let made = server.admin(Method::POST, "/admin/v1/resources", document);
            assert_eq!(made.await.status, 201);
        };
        create().await;
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", &*identifier),
        ];
        let more = json!({ "resources": ["https://orders.example.com", identifier] });
        assert_eq!(
            patch(&server, "/admin/v1/clients/other", &more)
                .await
                .status,
            200
        );
        let token = async || server.token("other", &form).await.text("access_token");
        let before = token().await;
        let is_active = async |token: &str| {
            let told = server.introspect("vault-api", token).await;
            told["active"].as_bool().unwrap()
        };
        assert!(is_active(&before).await, "{format}");

        let path = format!("/admin/v1/resources/{}", identifier.replace('/', "%2F"));
        assert_eq!(server.admin(Method::DELETE, &path, None).await.status, 204);
        assert!(!is_active(&before).await, "{format}");
        create().await;

        assert!(!is_active(&before).await, "{format}: it came back");
        assert!(
            is_active(&token().await).await,
            "{format}: a new one is good"
        );
    }
}

async fn a_scope_that_is_taken_away_is_gone_from_live_tokens(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    let scopes = async || {
        let told = server.introspect("web", &access).await;
        assert_eq!(told["active"], true);
        told["scope"].as_str().unwrap().to_owned()
    };
    let all = scopes().await;
    assert!(all.contains("read:orders"), "{all}");
    let path = "/admin/v1/clients/web";
    let before = server.admin(Method::GET, path, None).await.json();
    let mut less = before["scopes"].as_array().unwrap().to_vec();
    less.retain(|own| own != "read:orders");

    let changed = patch(&server, path, &json!({ "scopes": less })).await;

    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(
        scopes().await,
        all.replace("read:orders", "").trim().replace("  ", " ")
    );
    let again = patch(&server, path, &json!({ "scopes": before["scopes"] })).await;
    assert_eq!(again.status, 200, "{}", again.body);
}
