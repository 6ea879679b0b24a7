//! Keys that are brought along from elsewhere, by their digests.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_token::Digest;

use super::{call, done, is_good, make};
use crate::harness::{ORDERS, Server};
use crate::on_both_engines;

on_both_engines! {
    a_key_from_elsewhere_is_shown_in_its_old_text
    each_key_that_is_not_taken_is_told_with_its_reason
    a_key_from_elsewhere_is_rotated_into_one_of_ours
}

const OLD: &str = "SG.qbFXyzzy0123.plugh45678901234567890";

fn hex(text: &str) -> String {
    let digest = Digest::of(text.as_bytes());
    digest
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn line(text: &str) -> Value {
    json!({
        "name": "an old key", "client": "job", "scopes": ["read:orders"], "resources": [ORDERS],
        "lifetime": "never", "digest": hex(text),
    })
}

async fn import(server: &Server, keys: Value) -> Value {
    let answer = call(server, Method::POST, ":import", json!({ "keys": keys })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["items"].clone()
}

async fn a_key_from_elsewhere_is_shown_in_its_old_text(server: Server) {
    let other = server.second_node().await;
    for node in other.iter().chain([&server]) {
        assert!(!is_good(node, OLD).await);
    }

    let taken = import(&server, json!([line(OLD)])).await;

    let id = taken[0]["id"].as_str().unwrap();
    let told = server.introspect("orders-api", OLD).await;
    assert_eq!((&told["active"], &told["jti"]), (&true.into(), &id.into()));
    if let Some(other) = &other {
        other.catch_up().await;
        assert!(is_good(other, OLD).await);
    }
    for wrong in [
        &OLD[1..],
        &OLD[..OLD.len() - 1],
        &hex(OLD),
        &OLD.to_lowercase(),
    ] {
        assert!(!is_good(&server, wrong).await, "{wrong}");
    }
    let before = server.commits();
    assert!(is_good(&server, OLD).await);
    assert_eq!(server.commits(), before);
    let own = server.form("/revoke", "job", &[("token", OLD)]).await;
    assert_eq!(own.status, 200);
    assert!(!is_good(&server, OLD).await);
}

async fn each_key_that_is_not_taken_is_told_with_its_reason(server: Server) {
    let mut keys = vec![
        line("the first of the old keys"),
        line("the second of the old keys"),
    ];
    keys.push(line("the first of the old keys"));
    let changed = |name: &str, value: Value| {
        let mut key = line("the third of the old keys");
        key[name] = value;
        key
    };
    keys.push(changed("digest", json!("abc")));
    keys.push(changed("digest", Value::Null));
    keys.push(changed("scopes", json!(["write:orders"])));
    keys.push(changed("client", json!("nobody")));
    keys.push(changed("key", json!("its text")));

    let items = import(&server, json!(keys)).await;

    let items = items.as_array().unwrap();
    let taken: Vec<bool> = items.iter().map(|own| own["taken"] == true).collect();
    assert_eq!(
        taken,
        [true, true, false, false, false, false, false, false]
    );
    for (item, why) in items[2..].iter().zip([
        "here already",
        "digest",
        "digest",
        "scopes",
        "client",
        "key",
    ]) {
        assert!(item["why"].as_str().unwrap().contains(why), "{item}");
    }
    let audit = "/admin/v1/audit?action=api_key.import";
    let audit = server.admin(Method::GET, audit, None).await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
    let none = call(&server, Method::POST, ":import", json!({ "keys": [] })).await;
    let many = vec![json!({}); 501];
    let many = call(&server, Method::POST, ":import", json!({ "keys": many })).await;
    assert_eq!((none.status, many.status), (400, 400));
}

async fn a_key_from_elsewhere_is_rotated_into_one_of_ours(server: Server) {
    make(&server, json!({})).await;
    let taken = import(&server, json!([line(OLD)])).await;
    let path = format!("/{}/rotate", taken[0]["id"].as_str().unwrap());

    let next = done(&server, Method::POST, &path, json!({ "overlap": "1m" })).await;

    let new = next["key"].as_str().unwrap();
    assert!(new.starts_with("sym_key_L") && next["imported"] == false);
    assert!(is_good(&server, new).await && is_good(&server, OLD).await);
    server.advance(60);
    assert!(is_good(&server, new).await && !is_good(&server, OLD).await);
}
