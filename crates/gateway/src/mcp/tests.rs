//! What each method of MCP uses, and what is said of it.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::json;

use super::*;

fn message(method: &str, params: Value) -> Message {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut headers = HeaderMap::new();
    headers.insert(
        message::PROTOCOL_VERSION,
        HeaderValue::from_static("2025-11-25"),
    );
    Message::read(body.to_string().as_bytes(), &headers).unwrap()
}

fn rule(name: &str, scopes: &[&str]) -> Rule {
    Rule {
        name: name.into(),
        scopes: scopes.iter().map(|own| (*own).to_owned()).collect(),
        arguments: BTreeMap::new(),
        cost: 3,
    }
}

fn mcp() -> Mcp {
    Mcp {
        tools: vec![rule("read", &[]), rule("drop", &["admin"])],
        prompts: vec![rule("greet", &[])],
        resources: vec![rule("file:///public/*", &[])],
        ..Mcp::default()
    }
}

fn outcome(method: &str, params: Value) -> String {
    match may(&mcp(), None, &message(method, params)) {
        Ok(cost) => format!("costs {}", cost.number()),
        Err(No::Scopes(scopes)) => format!("needs {}", scopes.join(" ")),
        Err(No::Bad(bad)) => format!("{} {}", bad.status(), bad.code),
        Err(No::Problem(problem)) => problem.code().to_owned(),
    }
}

#[test]
fn each_method_is_judged_by_what_it_uses() {
    for (method, params, wanted) in [
        ("tools/call", json!({"name": "read"}), "costs 3"),
        ("tools/call", json!({"name": "drop"}), "needs admin"),
        ("tools/call", json!({"name": "other"}), "200 -32602"),
        ("tools/call", json!({}), "400 -32602"),
        ("tools/call", json!({"name": ["read"]}), "400 -32602"),
        ("prompts/get", json!({"name": "greet"}), "costs 3"),
        ("prompts/get", json!({"name": "read"}), "200 -32602"),
        (
            "resources/read",
            json!({"uri": "file:///public/a"}),
            "costs 3",
        ),
        (
            "resources/read",
            json!({"uri": "file:///etc/passwd"}),
            "200 -32602",
        ),
        (
            "resources/subscribe",
            json!({"uri": "file:///etc/passwd"}),
            "200 -32602",
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greet"}}),
            "costs 3",
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "other"}}),
            "200 -32602",
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": "file:///{path}"}}),
            "200 -32602",
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greet", "uri": "file:///etc"}}),
            "400 -32602",
        ),
        (
            "subscriptions/listen",
            json!({"notifications": {"toolsListChanged": true}}),
            "costs 1",
        ),
        (
            "subscriptions/listen",
            json!({"notifications": {"resourceSubscriptions": ["file:///public/a", "file:///etc/passwd"]}}),
            "200 -32602",
        ),
        ("tools/list", json!({}), "costs 1"),
        (
            "initialize",
            json!({"protocolVersion": "2025-11-25"}),
            "costs 1",
        ),
        ("notifications/initialized", json!({}), "costs 1"),
        ("tasks/result", json!({"taskId": "1"}), "400 -32601"),
        ("admin/reset", json!({}), "400 -32601"),
        ("Tools/call", json!({"name": "read"}), "400 -32601"),
    ] {
        assert_eq!(outcome(method, params.clone()), wanted, "{method} {params}");
    }
}
