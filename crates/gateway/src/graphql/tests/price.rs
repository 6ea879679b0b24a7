//! What operations cost.

use serde_json::json;

use super::*;

fn price(schema: &str, query: &str) -> u64 {
    let mut settings = settings(schema);
    settings.limits.max_cost = u64::MAX;
    settings.introspection = Introspection::Open;
    let graph = made(settings).unwrap();
    try_query(&graph, query, "").unwrap().cost
}

#[test]
fn a_field_costs_its_weight_once_for_every_time_that_it_can_stand_there() {
    for (query, cost) in [
        ("{ me { name } }", 2),
        ("{ me { a: name b: name c: name } }", 4),
        ("{ me { ...F ...F } } fragment F on User { name }", 3),
        ("{ users { name } }", 20),
        ("{ users(first: 3) { name } }", 6),
        (
            "{ users(first: 3) { friends(first: 5) { name id } } }",
            3 * (1 + 5 * 3),
        ),
        ("{ users(first: 3) { friends { name } } }", 3 * (1 + 10 * 2)),
        ("query($n: Int = 7) { users(first: $n) { id } }", 14),
        ("{ users(first: 0) { id } }", 20),
        ("{ users(first: null) { id } }", 20),
        ("{ __typename }", 1),
    ] {
        assert_eq!(price(SHOP, query), cost, "{query}");
    }
    // Negative, or more than anybody counts.
    for query in [
        "{ users(first: -1) { id } }",
        "{ users(first: 2147483647) { friends(first: 2147483647) { friends(first: 2147483647) { id } } } }",
    ] {
        assert!(price(SHOP, query) > u64::MAX / 2000, "{query}");
    }
}

#[test]
fn what_directives_say_counts() {
    let schema = r#"
        type Query {
          dear: Int @cost(weight: "12.5")
          free: Int @cost(weight: "0")
          heavy: Heavy
          withArgument(a: Int @cost(weight: "3")): Int
          list(take: Int, limit: Int): [Int] @listSize(slicingArguments: ["take"], assumedSize: 4)
          assumed: [Int] @listSize(assumedSize: 100)
          matrix: [[Int]] @listSize(assumedSize: 5)
          page(first: Int): Page @listSize(slicingArguments: ["first"], sizedFields: ["edges"])
          usual(first: Int): Page
        }
        type Heavy @cost(weight: "40") { x: Int }
        type Page { edges: [Edge] total: Int tags: [String] }
        type Edge { cursor: String }
    "#;
    for (query, cost) in [
        ("{ dear }", 13),
        ("{ free }", 1),
        ("{ heavy { x } }", 41),
        ("{ withArgument }", 1),
        ("{ withArgument(a: 1) }", 4),
        ("{ list(take: 20) }", 20),
        ("{ list }", 4),
        ("{ list(limit: 1000) }", 4),
        ("{ assumed }", 100),
        ("{ matrix }", 25),
        ("{ page(first: 30) { edges { cursor } total } }", 1 + 60 + 1),
        ("{ page(first: 30) { tags } }", 11),
        (
            "{ usual(first: 30) { edges { cursor } tags } }",
            1 + 60 + 30,
        ),
        ("{ usual { edges { cursor } } }", 21),
    ] {
        // Nothing is free as a whole: a request takes one unit at least.
        assert_eq!(price(schema, query), cost, "{query}");
    }
}

#[test]
fn what_is_given_costs_what_the_schema_says_of_it() {
    let schema = r#"
        type Query { find(by: Filter, other: Filter): [Int] @listSize(assumedSize: 2) }
        input Filter { text: String @cost(weight: "5"), id: ID, any: [Filter!] @cost(weight: "1") }
    "#;
    let mut settings = settings(schema);
    settings.limits.max_cost = u64::MAX;
    let graph = made(settings).unwrap();
    let of = |query: &str, by: serde_json::Value| {
        let body = json!({ "query": query, "variables": { "f": by } });
        try_body(&graph, &body, "").unwrap().cost
    };
    let query = "query($f: Filter = { text: \"x\" }) { find(by: $f) }";
    for (by, once) in [
        (json!({ "id": 1 }), 1),
        (json!({ "text": "x" }), 6),
        (
            json!({ "text": "x", "any": [{ "text": "y" }, { "text": "z" }] }),
            17,
        ),
        (json!(null), 1),
    ] {
        assert_eq!(of(query, by.clone()), 2 * once, "{by}");
    }
    let cost = |query: &str| try_query(&graph, query, "").unwrap().cost;
    assert_eq!(cost(query), 12, "by its default");
    assert_eq!(
        cost("{ find(by: { text: \"x\", any: [{ text: \"y\" }] }) }"),
        2 * 12
    );
    let twice = "query($f: Filter) { find(by: { any: [$f] }, other: $f) }";
    let twice = twice.replace("Filter)", "Filter!)");
    assert_eq!(of(&twice, json!({ "text": "x" })), 2 * (1 + 1 + 5 + 5));
}

#[test]
fn too_dear_is_refused_and_variables_are_counted() {
    let graph = graph(|own| own.limits.max_cost = 100);
    let query = "query($n: Int) { users(first: $n) { name } }";
    let tried = |n: serde_json::Value| {
        let body = json!({ "query": query, "variables": { "n": n } });
        try_body(&graph, &body, "")
    };

    assert_eq!(tried(json!(50)).unwrap().cost, 100);
    for bad in [json!(51), json!(-1), json!("5000"), json!(1e9), json!([1])] {
        let told = tried(bad.clone()).unwrap_err();
        assert!(told.starts_with("graphql-cost"), "{bad}: {told}");
    }
    assert_eq!(tried(json!(null)).unwrap().cost, 20);
}

#[test]
fn the_usual_introspection_is_affordable() {
    let query = "{ __schema { queryType { name } types { name fields { name args { name type { name ofType { name ofType { name ofType { name } } } } } type { name } } } } }";
    assert!(price(SHOP, query) < 100);
}
