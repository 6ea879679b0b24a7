//! What is taken out of an operation, and put into its answer.

use serde_json::{Value, json};

use super::super::json::Json;
use super::super::request::Asked;
use super::super::rule::Held;
use super::*;

fn nulling() -> Graph {
    graph(|own| own.on_denied = OnDenied::Null)
}

/// The answer to an operation, as its caller gets it.
fn masked(query: &str, variables: &Value, answer: &Value) -> Value {
    let graph = nulling();
    let variables = Json::parse(variables.to_string().as_bytes(), 9).unwrap();
    let Json::Object(variables) = variables else {
        panic!("an object")
    };
    let asked = Asked {
        query: Some(query.into()),
        variables,
        ..Asked::default()
    };
    let (scopes, claims) = ("".parse().unwrap(), serde_json::Map::new());
    let approved = graph.judge(&asked, Held::with(&scopes, &claims)).unwrap();
    let mut answer = Json::parse(answer.to_string().as_bytes(), 30).unwrap();
    approved.mask.unwrap().put_into(&mut answer);
    let mut text = String::new();
    answer.write(&mut text);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_denied_field_is_not_asked_for_and_the_rest_is() {
    let graph = nulling();
    for (query, left) in [
        (
            "{ secrets me { name } }",
            "{ symbolonHidden0: __typename me { name } }",
        ),
        (
            "{ me { salary(in: EUR) x: salary(in: USD) name } }",
            "{ me { symbolonHidden0: __typename symbolonHidden1: __typename name } }",
        ),
        (
            "query($a: Boolean!, $b: String!) { me { salary @skip(if: $a) } search(text: $b) { ... on Invoice { total } } }",
            "query($a: Boolean!, $b: String!) { me { symbolonHidden0: __typename @skip(if: $a) } search(text: $b) { ... on Invoice { symbolonHidden1: __typename } } }",
        ),
        (
            "query($c: Boolean) { me { salary(exact: $c) name } }",
            "{ me { symbolonHidden0: __typename name } }",
        ),
        (
            "{ me { ...F } } fragment F on User { salary name }",
            "{ me { ...F } } fragment F on User { symbolonHidden0: __typename name }",
        ),
        (
            "{ symbolonHidden: sums secrets }",
            "{ symbolonHidden: sums symbolonHidden_0: __typename }",
        ),
    ] {
        let trial = try_query(&graph, query, "");
        assert_eq!(sent(&trial.clone().unwrap()), left, "{trial:?}");
        assert!(!trial.unwrap().hidden.is_empty());
    }
    let whole = try_query(&graph, "{ me { salary } }", "read:salary").unwrap();
    assert_eq!(sent(&whole), "{ me { salary } }");
}

#[test]
fn where_the_answer_would_be_empty_nothing_is_done() {
    let graph = nulling();
    for query in [
        // A field of the root that may not be null.
        "mutation { rename(name: \"a\") { name } }",
        "mutation { touch rename(name: \"a\") { name } }",
        // A list of what may not be null, that may not be null.
        "{ users { best { email } } }",
    ] {
        let told = try_query(&graph, query, "").unwrap_err();
        assert!(told.starts_with("graphql-denied"), "{query}: {told}");
    }
    assert!(try_query(&graph, "{ me { best { email } } }", "").is_ok());
    let subscribed = super::made({
        let mut own = settings(
            "type Query { a: Int } type Subscription { a: A } type A { x: Int @authenticated y: Int @requiresScopes(scopes: [[\"y\"]]) }",
        );
        own.on_denied = OnDenied::Null;
        own
    });
    let subscribed = subscribed.unwrap();
    assert!(try_query(&subscribed, "subscription { a { x y } }", "").is_err());
    assert!(try_query(&subscribed, "subscription { a { x y } }", "y").is_ok());
}

#[test]
fn the_answer_has_null_where_the_field_was_and_an_error_that_says_so() {
    let none = json!({});
    let answer = masked(
        "{ me { name salary } secrets }",
        &none,
        &json!({ "data": { "me": { "name": "A", "symbolonHidden0": "User" }, "symbolonHidden1": "Query" }, "errors": [{ "message": "other" }] }),
    );

    assert_eq!(
        answer["data"],
        json!({ "me": { "name": "A", "salary": null }, "secrets": null })
    );
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3);
    assert_eq!(errors[0]["message"], "other");
    assert_eq!(errors[1]["path"], json!(["me", "salary"]));
    assert_eq!(
        errors[1]["extensions"]["code"],
        "UNAUTHORIZED_FIELD_OR_TYPE"
    );
    assert_eq!(errors[2]["path"], json!(["secrets"]));
}

#[test]
fn a_field_that_may_not_be_null_empties_what_it_stands_in() {
    let none = json!({});
    let answer = masked(
        "{ me { name email } }",
        &none,
        &json!({ "data": { "me": { "name": "A", "symbolonHidden0": "User" } } }),
    );
    assert_eq!(answer["data"], json!({ "me": null }));
    assert_eq!(answer["errors"][0]["path"], json!(["me", "email"]));

    // `friends` is `[User!]!`, so all of it goes, and `me` with it.
    let answer = masked(
        "{ me { name friends { email } } sums }",
        &none,
        &json!({ "data": { "me": { "name": "A", "friends": [{ "symbolonHidden0": "User" }, { "symbolonHidden0": "User" }] }, "sums": 3 } }),
    );
    assert_eq!(answer["data"], json!({ "me": null, "sums": 3 }));
    assert_eq!(
        answer["errors"][1]["path"],
        json!(["me", "friends", 1, "email"])
    );
}

#[test]
fn only_where_the_field_would_have_stood() {
    let none = json!({});
    let query = "{ search(text: \"a\") { ... on User { name } ... on Invoice { total } } }";
    let answer = masked(
        query,
        &none,
        &json!({ "data": { "search": [{ "name": "A" }, { "symbolonHidden0": "Invoice" }] } }),
    );
    assert_eq!(
        answer["data"],
        json!({ "search": [{ "name": "A" }, { "total": null }] })
    );
    assert_eq!(answer["errors"][0]["path"], json!(["search", 1, "total"]));
    let query = "{ search(text: \"a\") { ... on User { name } ... on Invoice { name: total } } }";
    let refused = try_query(&nulling(), query, "");
    assert!(
        refused.is_err(),
        "names that answer in two ways are not valid"
    );
    let answer = masked(
        "{ me { a: salary a: salary name } }",
        &none,
        &json!({ "data": { "me": { "symbolonHidden0": "User", "symbolonHidden1": "User", "name": "A" } } }),
    );
    assert_eq!(answer["data"], json!({ "me": { "a": null, "name": "A" } }));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
}

#[test]
fn a_variable_that_holds_what_is_denied_takes_its_field_with_it() {
    let graph = nulling();
    let query = "query($f: Filter, $n: Int) { me { name friends(first: $n) { name } } sums a: search(text: \"a\") { ... on User { id } } list: users(filter: $f) { id } }";
    let body = |f: Value| json!({ "query": query, "variables": { "f": f, "n": 2 } });

    let refused = try_body(&graph, &body(json!({ "salary": {} })), "");
    let good = try_body(&graph, &body(json!({ "name": "a" })), "").unwrap();

    // `users` may not be null, and stands at the root.
    assert!(refused.unwrap_err().starts_with("graphql-denied"));
    assert!(good.hidden.is_empty());
    let coin = "query($c: Currency) { me { name salary(in: $c) } }";
    let body = json!({ "query": coin, "variables": { "c": "GOLD" } });
    let left = try_body(&graph, &body, "read:salary").unwrap();
    assert_eq!(sent(&left), "{ me { name symbolonHidden0: __typename } }");
    assert!(!left.sent.contains("GOLD"), "{}", left.sent);
}
