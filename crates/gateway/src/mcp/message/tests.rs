//! Messages with one thing wrong, and headers that say otherwise.

use serde_json::json;

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    headers
}

fn call() -> Value {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "pay", "arguments": {}, "_meta": { VERSION_IN_BODY: "2026-07-28" } },
    })
}

const NEW: [(&str, &str); 3] = [
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "pay"),
];

fn read(body: &Value, pairs: &[(&str, &str)]) -> Result<Message, Bad> {
    Message::read(body.to_string().as_bytes(), &headers(pairs))
}

#[test]
fn headers_that_agree_with_the_body_are_taken() {
    let read = read(&call(), &NEW).unwrap();
    assert_eq!((read.version, read.name()), (Version::Alone, Some("pay")));

    let mut encoded = call();
    encoded["params"]["name"] = "größe".into();
    let name = format!("=?base64?{}?=", BASE64_STANDARD.encode("größe"));
    let pairs = [NEW[0], NEW[1], ("mcp-name", &*name)];
    assert!(super::Message::read(encoded.to_string().as_bytes(), &headers(&pairs)).is_ok());
}

#[test]
fn headers_that_say_anything_else_are_a_mismatch() {
    for pairs in [
        vec![NEW[0], NEW[1]],
        vec![NEW[0], NEW[2]],
        vec![NEW[1], NEW[2]],
        vec![NEW[0], ("mcp-method", "tools/list"), NEW[2]],
        vec![NEW[0], NEW[1], ("mcp-name", "read")],
        vec![NEW[0], NEW[1], ("mcp-name", "PAY")],
        vec![NEW[0], NEW[1], NEW[2], ("mcp-name", "pay")],
        vec![NEW[0], NEW[1], ("mcp-name", "=?base64?!?=")],
        vec![("mcp-protocol-version", "2025-11-25"), NEW[1], NEW[2]],
    ] {
        let bad = read(&call(), &pairs).unwrap_err();
        assert_eq!(bad.code, HEADER_MISMATCH, "{pairs:?}");
        assert_eq!(bad.status(), 400);
    }
    let unknown = [("mcp-protocol-version", "2024-11-05"), NEW[1], NEW[2]];
    assert_eq!(
        read(&call(), &unknown).unwrap_err().code,
        UNSUPPORTED_VERSION
    );
}

#[test]
fn older_clients_need_no_headers_and_must_not_lie_in_them() {
    let mut old = call();
    old["params"].as_object_mut().unwrap().remove("_meta");
    let version = ("mcp-protocol-version", "2025-06-18");

    assert!(read(&old, &[version]).is_ok());
    assert!(read(&old, &[version, ("mcp-name", "read")]).is_err());
    assert!(read(&old, &[]).is_err());
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}});
    assert_eq!(read(&hello, &[]).unwrap().version, Version::WithSessions);
}

#[test]
fn what_is_no_single_message_is_refused() {
    let version = [("mcp-protocol-version", "2025-11-25")];
    for bad in [
        "",
        "[]",
        "{}",
        "1",
        "{",
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
    ] {
        let read = Message::read(bad.as_bytes(), &headers(&version));
        assert_eq!(read.unwrap_err().status(), 400, "{bad}");
    }
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    assert!(read(&answer, &version).is_ok());
    assert!(
        read(&answer, &NEW[..1]).is_err(),
        "no answers since 2026-07-28"
    );
}

/// What others fell for in 2026: a reader that takes `Method` for `method` runs
/// another call than the one that was judged.
///
/// Attack: E149
#[test]
fn a_member_with_nearly_the_name_of_another_is_refused_wherever_it_stands() {
    let version = [("mcp-protocol-version", "2025-11-25")];
    for bad in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"a"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"Params":{"name":"b"}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\"},\"param\u{17f}\":{\"name\":\"b\"}}",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name\u0000":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b","URI":"c:d"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a","Name":"b"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Result":{}}"#,
    ] {
        let refused = Message::read(bad.as_bytes(), &headers(&version)).unwrap_err();
        assert_eq!((refused.code, refused.status()), (INVALID, 400), "{bad}");
    }
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"Name":"b","METHOD":1},"title":"c"}}"#;
    assert!(Message::read(good.as_bytes(), &headers(&version)).is_ok());
}
