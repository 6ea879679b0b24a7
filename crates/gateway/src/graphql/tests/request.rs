//! How a request may be written, and what of it is sent.

use http::{Method, Request};
use serde_json::json;

use super::super::request::{Name, check_head, read};
use super::*;

fn parts(method: Method, uri: &str, headers: &[(&str, &str)]) -> http::request::Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The code of a refusal, or the queries that were read.
fn of(
    parts: &http::request::Parts,
    body: &[u8],
    limits: &Limits,
) -> Result<Vec<String>, &'static str> {
    let read = check_head(parts).and_then(|()| read(parts, body, limits));
    let read = read.map_err(|problem| problem.code())?;
    let text =
        |own: &super::super::request::Asked| own.query.as_deref().unwrap_or_default().to_owned();
    Ok(read.all.iter().map(text).collect())
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// Attack: N362, N364
#[test]
fn a_post_is_json_and_nothing_else() {
    let limits = Limits::default();
    let body = br#"{"query":"{a}"}"#;
    let post = |headers: &[(&str, &str)]| of(&parts(Method::POST, "/g", headers), body, &limits);
    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
    ] {
        assert_eq!(
            post(&[("content-type", good)]),
            Ok(vec!["{a}".into()]),
            "{good}"
        );
    }
    for bad in [
        "text/plain",
        "application/graphql",
        "application/json; charset=utf-16",
        "application/json; boundary=x",
        "application/jsonp",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ] {
        assert_eq!(
            post(&[("content-type", bad)]),
            Err("graphql-media"),
            "{bad}"
        );
    }
    assert_eq!(post(&[]), Err("graphql-media"));
    let twice = [
        ("content-type", "application/json"),
        ("content-type", "application/json"),
    ];
    assert_eq!(post(&twice), Err("graphql-media"));
    let zipped = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(post(&zipped), Err("graphql-media"));
}

/// Attack: N368
#[test]
fn what_two_readers_could_take_differently_is_refused() {
    let limits = Limits::default();
    for (body, code) in [
        (&br#"{"query":"{a}","query":"{b}"}"#[..], "graphql-json"),
        (br#"{"query":"{a}","\u0071uery":"{b}"}"#, "graphql-json"),
        (br#"{"query":"{a}\u0000"}"#, "graphql-json"),
        (b"{\"query\":\"\xff\"}", "graphql-json"),
        (
            br#"{"query":"{a}","variables":{"n":1e999}}"#,
            "graphql-json",
        ),
        (br#"{"query":"{a}"} {"query":"{b}"}"#, "graphql-json"),
        (b"", "graphql-json"),
        (br#"{"query":["{a}"]}"#, "graphql-shape"),
        (br#"{"query":{"a":1}}"#, "graphql-shape"),
        (br#"{"query":"{a}","variables":[]}"#, "graphql-shape"),
        (br#"{"query":"{a}","variables":"{}"}"#, "graphql-shape"),
        (br#"{"query":"{a}","operationName":1}"#, "graphql-shape"),
        (br#"{"query":"{a}","extensions":[]}"#, "graphql-shape"),
        (
            br#"{"query":"{a}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}"#,
            "graphql-shape",
        ),
        (br#""{a}""#, "graphql-shape"),
        (b"[]", "graphql-batch"),
        (br#"[{"query":"{a}"}]"#, "graphql-batch"),
    ] {
        let told = of(&parts(Method::POST, "/g", JSON), body, &limits);
        assert_eq!(told, Err(code), "{}", String::from_utf8_lossy(body));
    }
    let deep = format!(
        r#"{{"query":"{{a}}","variables":{{"a":{}{}}}}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    assert_eq!(
        of(&parts(Method::POST, "/g", JSON), deep.as_bytes(), &limits),
        Err("graphql-json")
    );
    let nulls = br#"{"query":"{a}","operationName":null,"variables":null,"extensions":null,"other":{"x":1}}"#;
    assert!(of(&parts(Method::POST, "/g", JSON), nulls, &limits).is_ok());
}

#[test]
fn a_request_in_the_body_is_not_in_the_url_too() {
    let limits = Limits::default();
    let body = br#"{"query":"{a}"}"#;
    for (url, good) in [
        ("/g", true),
        ("/g?version=2", true),
        ("/g?query=%7Bb%7D", false),
        ("/g?operationName=b", false),
        ("/g?%71uery=b", false),
        ("/g?Query=b", false),
        ("/g?query[]=b", false),
        ("/g?query%5B0%5D=b", false),
        ("/g?query", false),
        ("/g?a=1;query=b", false),
        ("/g?variables={}", false),
    ] {
        let told = of(
            &parts(Method::POST, &url.replace(['{', '}'], "x"), JSON),
            body,
            &limits,
        );
        assert_eq!(told.is_ok(), good, "{url}: {told:?}");
    }
}

#[test]
fn a_get_has_each_parameter_once() {
    let limits = Limits::default();
    let get = |url: &str, body: &[u8]| of(&parts(Method::GET, url, &[]), body, &limits);

    assert_eq!(
        get(
            "/g?query=%7Ba+b%7D&variables=%7B%22x%22%3A1%7D&other=1",
            b""
        ),
        Ok(vec!["{a b}".into()])
    );
    // As clients write what they leave out.
    let left = get("/g?query=a&operationName=&variables=&extensions=", b"");
    assert_eq!(left, Ok(vec!["a".into()]));
    for bad in [
        "/g?query=a&query=b",
        "/g?query=a&QUERY=b",
        "/g?query=%ff",
        "/g?query=%zz",
        "/g?query=a&query[]=b",
        "/g?query=a%00",
    ] {
        assert!(get(bad, b"").is_err(), "{bad}");
    }
    assert_eq!(
        get("/g?query=a&variables=%7B%22a%22%3A1%2C%22a%22%3A2%7D", b""),
        Err("graphql-json")
    );
    assert_eq!(get("/g?query=a", b"{}"), Err("graphql-url"));
}

#[test]
fn batches_are_taken_where_that_was_said_and_only_so_large() {
    let limits = Limits {
        max_batch: 2,
        ..Limits::default()
    };
    let post = |body: &[u8]| of(&parts(Method::POST, "/g", JSON), body, &limits);

    assert_eq!(
        post(br#"[{"query":"a"},{"query":"b"}]"#).unwrap(),
        ["a", "b"]
    );
    assert_eq!(
        post(br#"[{"query":"a"},{"query":"b"},{"query":"c"}]"#),
        Err("graphql-batch")
    );
    assert_eq!(
        post(br#"[{"query":"a"},[{"query":"b"}]]"#),
        Err("graphql-shape")
    );
}

#[test]
fn one_operation_of_several_is_sent_alone() {
    let graph = graph(|_| ());
    let query = "query A { me { ...F } } query B { secrets me { ...G } } fragment F on User { name } fragment G on User { id }";
    let tried = |name: serde_json::Value| {
        let body = json!({ "query": query, "operationName": name, "variables": { "left": 1 }, "extensions": { "x": 1 }, "other": 1 });
        try_body(&graph, &body, "")
    };

    let trial = tried(json!("A")).unwrap();

    assert_eq!(
        sent(&trial),
        "query A { me { ...F } } fragment F on User { name }"
    );
    let body: serde_json::Value = serde_json::from_str(&trial.sent).unwrap();
    let members: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["query", "operationName"]);
    assert!(tried(json!("B")).unwrap_err().starts_with("graphql-denied"));
    for name in [json!("C"), json!(""), json!(null)] {
        let told = tried(name.clone()).unwrap_err();
        assert!(told.starts_with("graphql-operation"), "{name}: {told}");
    }
    // Facts of one are not taken for the other's.
    assert!(tried(json!("A")).is_ok());
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    let graph = graph(|_| ());
    for (query, code) in [
        ("{", "graphql-syntax"),
        ("", "graphql-syntax"),
        ("{ me { name } } \u{1}", "graphql-syntax"),
        ("{ nothing }", "graphql-invalid"),
        ("{ me }", "graphql-invalid"),
        ("{ me { ...F } }", "graphql-invalid"),
        ("{ me { name @nothing } }", "graphql-invalid"),
        ("{ me { name(a: 1) } }", "graphql-invalid"),
        (
            "{ me { name } } fragment F on User { email }",
            "graphql-invalid",
        ),
        ("query($a: Int) { me { name } }", "graphql-invalid"),
        ("{ me { name: id name } }", "graphql-invalid"),
        ("{ a: sums a: me { id } }", "graphql-invalid"),
        ("type A { b: Int }", "graphql-invalid"),
        (
            "{ me { id } } extend type User { x: Int }",
            "graphql-invalid",
        ),
        ("query A { sums } query A { secrets }", "graphql-invalid"),
        ("{ sums } { secrets }", "graphql-invalid"),
    ] {
        let told = try_query(&graph, query, "read:secrets").unwrap_err();
        assert!(told.starts_with(code), "{query}: {told}");
    }
}

#[test]
fn a_digest_names_an_operation() {
    let body = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "Aa".repeat(32) } } });
    let read = read(
        &parts(Method::POST, "/g", JSON),
        body.to_string().as_bytes(),
        &Limits::default(),
    );
    assert_eq!(read.unwrap().all[0].name, Some(Name::Digest([0xaa; 32])));
}
