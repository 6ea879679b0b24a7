//! Which scopes an operation needs, however it is written.

use serde_json::json;

use super::*;

/// What is asked for, the scopes that it needs, and scopes that do not do.
#[rustfmt::skip]
const NEEDS: &[(&str, &str, &str)] = &[
    ("{ me { name } }", "", ""),
    ("{ secrets }", "read:secrets", "read:email"),
    ("{ x: secrets }", "read:secrets", ""),
    ("{ me { email } }", "read:email", "read:secrets"),
    ("{ me { ...F } } fragment F on User { ...G } fragment G on User { email }", "read:email", ""),
    ("{ me { ... on Node { ... on User { email } } } }", "read:email", "read:invoices"),
    ("{ me { ... { email } } }", "read:email", ""),
    ("{ me { email @skip(if: true) } }", "read:email", ""),
    ("{ me { email @include(if: false) } }", "read:email", ""),
    ("query($no: Boolean = false) { me { ... on User @include(if: $no) { email } } }", "read:email", ""),
    ("{ users { friends { friends { email } } } }", "read:email", ""),
    ("mutation { rename(name: \"a\") { name } }", "write:users", "admin"),
    ("mutation { rename(name: \"a\") { name } }", "admin staff", "staff"),
    // A type, wherever it can turn up.
    ("{ search(text: \"a\") { ... on Invoice { total } } }", "read:invoices", ""),
    ("{ search(text: \"a\") { ... on User { name } } }", "", ""),
    ("{ search(text: \"a\") { __typename } }", "read:invoices", ""),
    ("{ node(id: 1) { id } }", "read:invoices", ""),
    ("{ node(id: 1) { __typename } }", "read:invoices", ""),
    ("{ node(id: 1) { ... on User { id } } }", "", ""),
    ("{ me { __typename } }", "", ""),
    // Arguments, and what is in them.
    ("{ me { salary } }", "read:salary", "exact"),
    ("{ me { salary(exact: true) } }", "read:salary exact", "read:salary"),
    ("{ me { salary(in: EUR) } }", "read:salary", ""),
    ("{ me { salary(in: GOLD) } }", "read:salary gold", "read:salary"),
    ("{ users(filter: { name: \"a\" }) { name } }", "", ""),
    ("{ users(filter: { salary: { from: 1 } }) { name } }", "read:salary", ""),
    ("{ users(filter: { and: [{ and: { salary: null } }] }) { name } }", "read:salary", ""),
    ("{ users(filter: { in: GOLD }) { name } }", "gold", ""),
    ("query($f: Filter = { salary: { to: 1 } }) { users(filter: $f) { name } }", "read:salary", ""),
    ("query($r: Range) { users(filter: { salary: $r }) { name } }", "read:salary", ""),
];

#[test]
fn an_operation_needs_the_scopes_of_all_that_it_asks_for() {
    let graph = graph(|_| ());

    for (query, needed, less) in NEEDS {
        let good = try_query(&graph, query, needed);
        assert!(good.is_ok(), "{query}: {good:?}");
        if !needed.is_empty() {
            for scopes in ["", *less, "other"] {
                let bad = try_query(&graph, query, scopes).unwrap_err();
                assert!(bad.starts_with("graphql-denied"), "{query}: {bad}");
            }
        }
    }
}

#[test]
fn what_variables_hold_needs_what_it_would_need_in_the_document() {
    let graph = graph(|_| ());
    let filter = "query($f: Filter) { users(filter: $f) { name } }";
    let many = "query($f: [Filter!]) { users(filter: { and: $f }) { name } }";
    let coin = "query($c: Currency) { me { salary(in: $c) } }";
    let any = "query($a: Any) { echo(value: $a) }";
    for (query, variables, needed) in [
        (filter, json!({ "f": { "name": "a" } }), ""),
        (filter, json!({ "f": null }), ""),
        (filter, json!({}), ""),
        (filter, json!({ "f": { "salary": null } }), "read:salary"),
        (
            filter,
            json!({ "f": { "salary": { "from": 1 } } }),
            "read:salary",
        ),
        (
            filter,
            json!({ "f": { "and": { "and": [{ "salary": {} }] } } }),
            "read:salary",
        ),
        (filter, json!({ "f": { "in": "GOLD" } }), "gold"),
        (
            many,
            json!({ "f": [{ "name": "a" }, { "salary": {} }] }),
            "read:salary",
        ),
        (many, json!({ "f": { "salary": {} } }), "read:salary"),
        (coin, json!({ "c": "EUR" }), "read:salary"),
        (coin, json!({ "c": "GOLD" }), "gold read:salary"),
        (any, json!({ "a": { "salary": [1, { "in": "GOLD" }] } }), ""),
    ] {
        let body = json!({ "query": query, "variables": variables });
        let good = try_body(&graph, &body, needed);
        assert!(good.is_ok(), "{body}: {good:?}");
        if !needed.is_empty() {
            let bad = try_body(&graph, &body, "other").unwrap_err();
            assert!(bad.starts_with("graphql-denied"), "{body}: {bad}");
        }
    }
    for bad in [
        json!({ "f": { "salery": 1 } }),
        json!({ "f": "salary" }),
        json!({ "f": [{ "salary": {} }] }),
        json!({ "f": { "in": "gold" } }),
        json!({ "f": { "in": 3 } }),
        json!({ "f": { "salary": [] } }),
    ] {
        let body = json!({ "query": filter, "variables": bad });
        let told = try_body(&graph, &body, "read:salary gold").unwrap_err();
        assert!(told.starts_with("graphql-variables"), "{body}: {told}");
    }
}

#[test]
fn a_refusal_says_which_place_needs_which_scopes() {
    let graph = graph(|_| ());

    let told = try_query(&graph, "{ me { email salary(in: GOLD) } }", "gold").unwrap_err();

    assert!(
        told.contains("`User.email` needs the scopes `read:email`"),
        "{told}"
    );
    assert!(
        told.contains("`User.salary` needs the scopes `read:salary`"),
        "{told}"
    );
    assert!(!told.contains("gold"), "{told}");
}

#[test]
fn the_schema_is_read_by_those_who_may() {
    let queries = [
        "{ __schema { types { name } } }",
        "{ __type(name: \"User\") { name } }",
        "{ a: __schema { queryType { name } } }",
        "{ ...F } fragment F on Query { __schema { types { name } } }",
    ];
    let off = graph(|_| ());
    let open = graph(|own| own.introspection = Introspection::Open);
    let scoped = graph(|own| own.introspection = Introspection::Scopes(vec!["schema".into()]));

    for query in queries {
        assert!(try_query(&off, query, "schema").is_err(), "{query}");
        assert!(try_query(&open, query, "").is_ok(), "{query}");
        assert!(try_query(&scoped, query, "").is_err(), "{query}");
        assert!(try_query(&scoped, query, "schema").is_ok(), "{query}");
    }
    assert!(try_query(&off, "{ __typename me { __typename } }", "").is_ok());
}

#[test]
fn the_schema_of_a_subgraph_is_the_schema() {
    let schema = "type Query { _service: _Service a: Int } type _Service { sdl: String }";
    let own = made(settings(schema)).unwrap();

    assert!(try_query(&own, "{ _service { sdl } }", "").is_err());
    assert!(try_query(&own, "{ a }", "").is_ok());
}

/// Whoever knows a key would have everything that it leads to, without what the
/// fields of the root need.
#[test]
fn the_back_door_of_a_subgraph_is_shut_unless_somebody_said_for_whom_it_is() {
    let subgraph = |door: &str| {
        format!(
            "type Query {{ users: [User!]! @requiresScopes(scopes: [[\"list\"]]) _entities(representations: [_Any!]!): [_Entity]! {door} }}
            type User {{ id: ID! name: String }}
            union _Entity = User
            scalar _Any"
        )
    };
    let query = "{ _entities(representations: [{ __typename: \"User\", id: 1 }]) { ... on User { name } } }";

    let shut = made(settings(&subgraph(""))).unwrap();
    let told = made(settings(&subgraph(
        "@requiresScopes(scopes: [[\"router\"]])",
    )))
    .unwrap();
    let mut rules = settings(&subgraph(""));
    let open = "type Query { _entities: [_Entity]! @authenticated }";
    rules.rules = Some(source("rules.graphql", open));
    let open = made(rules).unwrap();

    assert!(try_query(&shut, query, "list router").is_err());
    assert!(try_query(&told, query, "list").is_err() && try_query(&told, query, "router").is_ok());
    assert!(try_query(&open, query, "").is_ok());
}

#[test]
fn an_interface_and_what_implements_it_need_what_either_says() {
    let schema = r#"
        type Query { a: A t: T }
        interface A { x: Int @requiresScopes(scopes: [["of:a"]]) y(z: Int): Int w: Int }
        type T implements A { x: Int y(z: Int @requiresScopes(scopes: [["of:z"]])): Int w: Int @requiresScopes(scopes: [["of:w"]]) }
        type V implements A { x: Int y(z: Int): Int w: Int }
    "#;
    let own = made(settings(schema)).unwrap();
    for (query, needed) in [
        ("{ t { x } }", "of:a"),
        ("{ a { x } }", "of:a"),
        ("{ a { w } }", "of:w"),
        ("{ a { ... on V { w } } }", ""),
        ("{ a { ... on T { w } } }", "of:w"),
        ("{ a { y } }", ""),
        ("{ a { y(z: 1) } }", "of:z"),
        ("{ a { ... on V { y(z: 1) } } }", ""),
    ] {
        assert!(try_query(&own, query, needed).is_ok(), "{query}");
        assert!(
            needed.is_empty() || try_query(&own, query, "").is_err(),
            "{query}"
        );
    }
}

#[test]
fn extensions_of_types_guard_like_the_types() {
    let schema = r#"
        type Query { a: A }
        type A { x: Int }
        extend type A { y: Int @requiresScopes(scopes: [["y"]]) }
        extend type A @requiresScopes(scopes: [["a"]])
    "#;
    let own = made(settings(schema)).unwrap();

    assert!(try_query(&own, "{ a { x } }", "a").is_ok());
    assert!(try_query(&own, "{ a { x } }", "y").is_err());
    assert!(try_query(&own, "{ a { y } }", "a").is_err());
    assert!(try_query(&own, "{ a { y } }", "a y").is_ok());
}

#[test]
fn nobody_is_known_where_nobody_was_asked() {
    let schema = "type Query { open: Int known: Int @authenticated scoped: Int @requiresScopes(scopes: [[\"a\"]]) }";
    let own = made(settings(schema)).unwrap();
    let asked = |query: &str| {
        let asked = super::super::request::Asked {
            query: Some(query.into()),
            ..Default::default()
        };
        own.judge(&asked, super::super::rule::Held::by(None))
            .is_ok()
    };

    assert!(asked("{ open }"));
    assert!(!asked("{ known }"));
    assert!(!asked("{ scoped }"));
    assert!(try_query(&own, "{ known }", "").is_ok());
}
