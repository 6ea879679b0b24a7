//! Clients that change their own registration beside an administrator who has
//! changed it too: what was given and taken here stays so.

use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::testing::crowd;

use crate::harness::{Answer, ORDERS, Server};
use crate::on_both_engines;
use crate::registration::{confidential, manage, register, registering};

on_both_engines! {
    what_an_administrator_gave_or_took_stays_when_a_client_describes_itself_anew
    a_client_that_an_administrator_changed_says_less_of_itself_and_nothing_else
    the_kind_that_an_administrator_gave_stays
    a_client_of_very_many_keeps_its_token_until_it_is_gone
    a_client_that_is_disabled_changes_nothing_of_its_registration
    what_an_administrator_takes_while_a_client_changes_itself_stays_taken
}

const FIRST: &str = "https://shop.example.net/callback";
const SECOND: &str = "https://shop.example.net/second";

/// A client of two addresses, and what it says of itself.
async fn registered(server: &Server) -> (Value, Value) {
    let mut said = confidential();
    said["redirect_uris"] = json!([FIRST, SECOND]);
    let made = register(server, &said).await.json();
    said["client_id"] = made["client_id"].clone();
    (made, said)
}

fn path(made: &Value) -> String {
    format!("/admin/v1/clients/{}", made["client_id"].as_str().unwrap())
}

async fn patch(server: &Server, made: &Value, document: Value) -> Answer {
    let at = path(made);
    let patched = server.admin(Method::PATCH, &at, Some(document)).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    patched
}

async fn stored(server: &Server, made: &Value) -> Value {
    server.admin(Method::GET, &path(made), None).await.json()
}

async fn what_an_administrator_gave_or_took_stays_when_a_client_describes_itself_anew(
    server: Server,
) {
    let server = registering(server).await;
    let (made, mut said) = registered(&server).await;
    let document = json!({
        "scopes": ["openid", "read:orders"], "resources": [ORDERS],
        "access_token_lifetime": "1m", "refresh_token_absolute": "1d",
        "require_auth_time": true, "optional_scopes": ["read:orders"],
    });
    patch(&server, &made, document.clone()).await;
    said["redirect_uris"] = json!(["https://shop.example.net/third"]);
    said["scope"] = "openid read:orders write:orders".into();

    let changed = manage(&server, Method::PUT, &made, Some(&said)).await;

    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.text("scope"), "openid read:orders");
    let now = stored(&server, &made).await;
    assert_eq!(now["redirect_uris"], said["redirect_uris"]);
    for (name, value) in document.as_object().unwrap() {
        assert_eq!(&now[name], value, "{name}: {now}");
    }
}

async fn a_client_that_an_administrator_changed_says_less_of_itself_and_nothing_else(
    server: Server,
) {
    let server = registering(server).await;
    let (made, said) = registered(&server).await;
    let taken = json!({ "redirect_uris": [FIRST], "grant_types": ["authorization_code"] });
    patch(&server, &made, taken).await;
    let with = |name: &str, value: Value| {
        let mut said = said.clone();
        said["redirect_uris"] = json!([FIRST]);
        said["grant_types"] = json!(["authorization_code"]);
        said[name] = value;
        said
    };

    for more in [
        with("redirect_uris", json!([FIRST, SECOND])),
        with(
            "grant_types",
            json!(["authorization_code", "refresh_token"]),
        ),
        with("client_name", json!("Bank")),
        said.clone(),
    ] {
        let refused = manage(&server, Method::PUT, &made, Some(&more)).await;
        assert_eq!(refused.status, 403, "{more} {}", refused.body);
        assert_eq!(refused.refusal(), "access_denied");
    }
    let now = stored(&server, &made).await;
    assert_eq!(now["redirect_uris"], json!([FIRST]));
    assert_eq!(now["grants"], json!(["authorization_code"]));
    let same = with("client_name", said["client_name"].clone());
    let same = manage(&server, Method::PUT, &made, Some(&same)).await;
    assert_eq!(same.status, 200, "{}", same.body);
    let bound = with("dpop_bound_access_tokens", json!(true));
    let bound = manage(&server, Method::PUT, &same.json(), Some(&bound)).await;
    assert_eq!(bound.status, 200, "{}", bound.body);
}

async fn the_kind_that_an_administrator_gave_stays(server: Server) {
    let server = registering(server).await;
    let (made, said) = registered(&server).await;
    patch(&server, &made, json!({ "kind": "agent" })).await;

    let same = manage(&server, Method::PUT, &made, Some(&said)).await;

    assert_eq!(same.status, 200, "{}", same.body);
    assert_eq!(stored(&server, &made).await["kind"], "agent");
}

/// Whoever is interrupted meanwhile has its token still, and asks again.
async fn a_client_of_very_many_keeps_its_token_until_it_is_gone(server: Server) {
    let server = registering(server).await;
    let (made, _) = registered(&server).await;
    let id = made["client_id"].as_str().unwrap();
    let app = &server.running.as_ref().unwrap().app;
    crowd(app, &id.parse().unwrap()).await;

    let ended = manage(&server, Method::DELETE, &made, None).await;

    assert_eq!(ended.status, 204, "{}", ended.body);
    for (action, times) in [
        ("client.disable", 0),
        ("client.revoke", 1),
        ("client.unregister", 1),
    ] {
        let audit = format!("/admin/v1/audit?action={action}");
        let audit = server.admin(Method::GET, &audit, None).await.json();
        assert_eq!(audit["items"].as_array().unwrap().len(), times, "{audit}");
    }
}

async fn a_client_that_is_disabled_changes_nothing_of_its_registration(server: Server) {
    let server = registering(server).await;
    let (made, said) = registered(&server).await;
    let disable = format!("{}/disable", path(&made));
    server.admin(Method::POST, &disable, None).await;

    let refused = manage(&server, Method::PUT, &made, Some(&said)).await;

    assert_eq!(refused.status, 401, "{}", refused.body);
    assert_eq!(stored(&server, &made).await["enabled"], false);
}

async fn what_an_administrator_takes_while_a_client_changes_itself_stays_taken(server: Server) {
    let server = registering(server).await;
    let other = server.second_node().await;
    let other = other.as_ref().unwrap_or(&server);
    for round in 0..6 {
        let (made, mut said) = registered(&server).await;
        said["client_name"] = format!("Shop {round}").into();
        let taken = json!({ "redirect_uris": [FIRST], "scopes": ["openid"] });

        let (changed, _) = join(
            manage(other, Method::PUT, &made, Some(&said)),
            patch(&server, &made, taken),
        )
        .await;

        assert!([200, 403].contains(&changed.status), "{}", changed.body);
        let now = stored(&server, &made).await;
        assert_eq!(now["redirect_uris"], json!([FIRST]), "{now}");
        assert_eq!(now["scopes"], json!(["openid"]), "{now}");
    }
}
