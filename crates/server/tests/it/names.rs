//! What is named stays: an organization, or a client that introspects, is not
//! deleted while something names it, and nothing takes the place of the issuer.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::reload::{ReloadError, Reloaded};

use crate::harness::{Answer, ORDERS, SECRET, Server};
use crate::on_both_engines;

on_both_engines! {
    an_organization_goes_once_nothing_names_it
    a_client_that_introspects_goes_once_no_resource_names_it
    only_a_client_that_is_there_introspects
    the_issuer_is_no_resource
    a_file_that_names_what_is_not_there_is_not_taken_in
    what_others_made_of_a_client_is_not_in_the_way_of_its_name
}

const ORDERS_PATH: &str = "resources/https:%2F%2Forders.example.com";

async fn act(server: &Server, method: Method, path: &str, body: Value) -> Answer {
    let body = Some(body).filter(|body| !body.is_null());
    server
        .admin(method, &format!("/admin/v1/{path}"), body)
        .await
}

async fn make(server: &Server, path: &str, body: Value) {
    let made = act(server, Method::POST, path, body).await;
    assert_eq!(made.status, 201, "{path}: {}", made.body);
}

async fn patch(server: &Server, path: &str, body: Value) {
    let changed = act(server, Method::PATCH, path, body).await;
    assert_eq!(changed.status, 200, "{path}: {}", changed.body);
}

async fn delete(server: &Server, path: &str) -> Answer {
    act(server, Method::DELETE, path, Value::Null).await
}

/// Refuses unless this was refused, and says why.
fn is_refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let told = answer.text("error_description");
    assert!(told.contains(why), "{told}");
}

async fn an_organization_goes_once_nothing_names_it(server: Server) {
    make(&server, "organizations", json!({ "id": "ty" })).await;
    let client =
        json!({ "id": "ty-app", "kind": "service", "secret": SECRET, "organization": "ty" });
    make(&server, "clients", client).await;
    let api = "https://ty.example.com";
    let resource = json!({ "identifier": api, "organization": "ty" });
    make(&server, "resources", resource).await;

    let refused = delete(&server, "organizations/ty").await;

    is_refused(
        &refused,
        409,
        "client `ty-app`; resource `https://ty.example.com`",
    );
    let kept = act(&server, Method::GET, "organizations/ty", Value::Null).await;
    assert_eq!(kept.json()["enabled"], true, "it is as it was");
    patch(&server, "clients/ty-app", json!({ "organization": null })).await;
    assert_eq!(delete(&server, "organizations/ty").await.status, 409);
    let own = "resources/https:%2F%2Fty.example.com";
    assert_eq!(delete(&server, own).await.status, 204);
    assert_eq!(delete(&server, "organizations/ty").await.status, 204);
    assert_eq!(delete(&server, "organizations/ty").await.status, 404);
    make(&server, "organizations", json!({ "id": "ty" })).await;
}

async fn a_client_that_introspects_goes_once_no_resource_names_it(server: Server) {
    let refused = delete(&server, "clients/orders-api").await;

    is_refused(&refused, 409, ORDERS);
    let kept = act(&server, Method::GET, "clients/orders-api", Value::Null).await;
    assert_eq!(kept.json()["enabled"], true, "it is as it was");
    let none = json!({ "introspection_client": null });
    patch(&server, ORDERS_PATH, none).await;
    assert_eq!(delete(&server, "clients/orders-api").await.status, 204);
}

async fn only_a_client_that_is_there_introspects(server: Server) {
    for (member, value) in [
        ("introspection_client", json!("nobody")),
        ("introspection_clients", json!(["orders-api", "nobody"])),
    ] {
        let create = json!({ "identifier": "https://new.example.com", member: value });
        let refused = act(&server, Method::POST, "resources", create).await;
        is_refused(&refused, 400, &format!("`{member}`"));
        let change = json!({ member: value });
        let refused = act(&server, Method::PATCH, ORDERS_PATH, change).await;
        is_refused(&refused, 400, &format!("`{member}`"));
    }
}

async fn the_issuer_is_no_resource(server: Server) {
    for own in [server.name(), format!("{}/", server.name())] {
        let create = json!({ "identifier": own });
        let refused = act(&server, Method::POST, "resources", create).await;
        is_refused(&refused, 400, "`identifier`");
        let change = json!({ "aliases": [own] });
        let refused = act(&server, Method::PATCH, ORDERS_PATH, change).await;
        is_refused(&refused, 400, "`aliases`");
    }
}

async fn reload(server: &Server, more: &str) -> Result<Reloaded, ReloadError> {
    let config = server.changed(|text| format!("{text}\n{more}\n"));
    server.running.as_ref().unwrap().reload(&config).await
}

async fn a_file_that_names_what_is_not_there_is_not_taken_in(server: Server) {
    let api = "[[resource]]\nidentifier = \"https://new.example.com\"\n";
    let reader = format!("{api}introspection_client = \"late\"");
    let own = format!("{api}organization = \"late\"");
    for odd in [&reader, &own] {
        let refused = reload(&server, odd).await.expect_err("it names nothing");
        assert!(refused.to_string().contains("`late`"), "{refused}");
    }

    let client = format!("[[client]]\nid = \"late\"\nkind = \"service\"\nsecret = \"{SECRET}\"");
    reload(&server, &format!("{reader}\n{client}"))
        .await
        .unwrap();

    is_refused(
        &delete(&server, "clients/late").await,
        409,
        "https://new.example.com",
    );
}

async fn what_others_made_of_a_client_is_not_in_the_way_of_its_name(server: Server) {
    make(&server, "organizations", json!({ "id": "o2" })).await;
    let api = json!({ "identifier": "https://o2.example.com", "organization": "o2" });
    make(&server, "resources", api).await;
    let client = json!({ "id": "o2-app", "kind": "service", "secret": SECRET, "organization": "o2", "resources": ["https://o2.example.com"] });
    make(&server, "clients", client).await;

    let refused = act(
        &server,
        Method::PATCH,
        "clients/o2-app",
        json!({ "organization": null }),
    )
    .await;

    is_refused(&refused, 400, "`resources`");
    patch(&server, "clients/o2-app", json!({ "name": "Other" })).await;
}
