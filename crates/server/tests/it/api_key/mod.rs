//! API keys: made over the admin API, judged at introspection, taken back.

mod change;
mod exchange;
mod foreign;
mod left;
mod owner;
mod use_of;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, ORDERS, Server, VAULT};

const KEYS: &str = "/admin/v1/api-keys";

/// A key of the client `job` for both APIs, with some members changed; `null`
/// takes one away.
pub(crate) async fn ask(server: &Server, change: Value) -> Answer {
    let mut key = json!({
        "name": "nightly job", "client": "job", "scopes": ["read:orders", "read:vault"],
        "resources": [ORDERS, VAULT],
    });
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => {
                key.as_object_mut().unwrap().remove(name);
            }
            value => key[name] = value.clone(),
        }
    }
    server.admin(Method::POST, KEYS, Some(key)).await
}

/// The id and the text of a key.
pub(crate) async fn make(server: &Server, change: Value) -> (String, String) {
    let made = ask(server, change).await;
    assert_eq!(made.status, 201, "{}", made.body);
    (made.text("id"), made.text("key"))
}

pub(crate) async fn call(server: &Server, method: Method, path: &str, body: Value) -> Answer {
    let body = Some(body).filter(|body| !body.is_null());
    server.admin(method, &format!("{KEYS}{path}"), body).await
}

async fn done(server: &Server, method: Method, path: &str, body: Value) -> Value {
    let answer = call(server, method, path, body).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap_or_default()
}

/// Changes something over the admin API.
async fn set(server: &Server, method: Method, path: &str, body: Value) {
    let body = Some(body).filter(|body| !body.is_null());
    let answer = server.admin(method, path, body).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
}

/// What a key is at the API of orders, for a request from an address.
async fn from(server: &Server, key: &str, address: &str) -> Value {
    let form = [("token", key), ("client_ip", address)];
    let answer = server.form("/introspect", "orders-api", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

async fn is_good(server: &Server, key: &str) -> bool {
    server.introspect("orders-api", key).await["active"] == true
}
