//! What a schema and its rules may say, and where a mistake is told.

use serde_json::json;

use super::super::settings::ClaimHas;
use super::*;

/// The first mistake of a schema, as `line: message`.
fn mistake(schema: &str) -> String {
    let mistakes = made(settings(schema)).unwrap_err();
    assert_eq!(mistakes[0].file, "schema.graphql", "{mistakes:?}");
    format!("{}: {}", mistakes[0].line, mistakes[0].message)
}

#[test]
fn a_mistake_is_told_with_its_line() {
    for (schema, told) in [
        ("type Query {\n a: Nothing\n}", "2: "),
        (
            "type Query {\n a: Int @requiresScope(scopes: [[\"a\"]])\n}",
            "2: ",
        ),
        ("type Query {\n a: Int @requiresScopes\n}", "2: "),
        (
            "type Query {\n a: Int\n b: Int @requiresScopes(scopes: [[]])\n}",
            "3: ",
        ),
        (
            "type Query {\n a: Int @requiresScopes(scopes: [])\n}",
            "2: ",
        ),
        (
            "type Query {\n a: Int @requiresScopes(scopes: [[\"a b\"]])\n}",
            "2: ",
        ),
        (
            "type Query {\n a: Int @requiresScopes(scopes: [[\"é\"]])\n}",
            "2: ",
        ),
        (
            "type Query {\n a: Int @policy(policies: [[\"staff\"]])\n}",
            "2: ",
        ),
        ("type Query {\n a: Int @cost(weight: \"-1\")\n}", "2: "),
        ("type Query {\n a: Int @cost(weight: \"NaN\")\n}", "2: "),
        (
            "type Query {\n a: [Int] @listSize(slicingArguments: [\"no\"])\n}",
            "2: ",
        ),
        (
            "type Query {\n a: Page @listSize(assumedSize: 1, sizedFields: [\"no\"])\n}\ntype Page { x: [Int] }",
            "2: ",
        ),
        ("type Query {\n a: Int", ""),
        ("{ a }", ""),
    ] {
        let own = mistake(schema);
        assert!(own.starts_with(told), "{schema}: {own}");
    }
}

#[test]
fn a_directive_under_another_name_is_not_passed_over() {
    let linked = |import: &str| {
        format!(
            "schema @link(url: \"https://specs.apollo.dev/federation/v2.6\", import: [{import}]) {{ query: Query }}
            directive @link(url: String!, import: [Import]) repeatable on SCHEMA
            scalar Import
            directive @scopes(scopes: [[String!]!]!) on FIELD_DEFINITION
            directive @federation__requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION
            type Query {{ a: Int @federation__requiresScopes(scopes: [[\"a\"]]) }}"
        )
    };

    let told = mistake(&linked("{ name: \"@requiresScopes\", as: \"@scopes\" }"));
    let good = made(settings(&linked("\"@requiresScopes\""))).unwrap();

    assert!(told.contains("another name"), "{told}");
    assert!(try_query(&good, "{ a }", "").is_err());
    assert!(try_query(&good, "{ a }", "a").is_ok());
}

/// A schema may call `@link` otherwise as well, and a specification that is one
/// directive goes by another name as a whole.
#[test]
fn a_directive_is_not_passed_over_however_it_came_by_another_name() {
    let federation = "https://specs.apollo.dev/federation/v2.6";
    let import = "import: [{ name: \"@requiresScopes\", as: \"@need\" }]";
    for link in [
        format!("@core(url: \"{federation}\", {import})"),
        format!("@core(feature: \"{federation}\", {import})"),
        "@link(url: \"https://specs.apollo.dev/requiresScopes/v0.1\", as: \"need\")".to_owned(),
        "@link(url: \"https://specs.apollo.dev/requiresScopes\", as: \"need\")".to_owned(),
        "@core(feature: \"https://specs.apollo.dev/requiresScopes/v0.1/\", as: \"need\")"
            .to_owned(),
    ] {
        let name = link.split(['@', '(']).nth(1).unwrap();
        for begin in ["schema", "extend schema"] {
            let (query, whole) = match begin {
                "schema" => ("{ query: Query }", ""),
                _ => ("", "schema { query: Query }"),
            };
            let schema = format!(
                "{whole} {begin} {link} {query}
                directive @{name}(url: String, feature: String, as: String, import: [Import]) repeatable on SCHEMA
                scalar Import
                directive @need(scopes: [[String!]!]!) on FIELD_DEFINITION
                type Query {{ a: Int @need(scopes: [[\"a\"]]) }}"
            );
            let told = mistake(&schema);
            assert!(told.contains("another name"), "{schema}: {told}");
        }
    }
    let good = format!(
        "schema @link(url: \"{federation}\", as: \"fed\") @link(url: \"https://specs.apollo.dev/policy/v0.1\", as: \"policy\") {{ query: Query }}
        directive @link(url: String, as: String) repeatable on SCHEMA
        directive @fed__requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION
        type Query {{ a: Int @fed__requiresScopes(scopes: [[\"a\"]]) }}"
    );
    let good = made(settings(&good)).unwrap();
    assert!(try_query(&good, "{ a }", "").is_err() && try_query(&good, "{ a }", "a").is_ok());
}

#[test]
fn rules_stand_beside_a_schema_that_cannot_be_changed() {
    let rules = "
        extend type User { name: String @requiresScopes(scopes: [[\"read:name\"]]) }
        type Query { sums(by: Period @requiresScopes(scopes: [[\"by\"]])): Int }
        interface Node @requiresScopes(scopes: [[\"node\"]])
        input Filter { name: String @requiresScopes(scopes: [[\"by:name\"]]) }
        enum Period { YEAR @authenticated }
        union Found @requiresScopes(scopes: [[\"find\"]])
    ";
    let own = graph(|own| own.rules = Some(source("rules.graphql", rules)));
    for (query, needed) in [
        ("{ me { name } }", "node read:name"),
        ("{ me { email } }", "node read:email"),
        ("{ sums }", ""),
        ("{ sums(by: DAY) }", "by"),
        ("{ users(filter: { name: \"a\" }) { id } }", "node by:name"),
        (
            "{ search(text: \"a\") { ... on User { id } } }",
            "find node",
        ),
    ] {
        assert!(try_query(&own, query, needed).is_ok(), "{query}");
        assert!(
            needed.is_empty() || try_query(&own, query, "").is_err(),
            "{query}"
        );
    }
}

#[test]
fn rules_for_what_is_not_there_are_a_mistake() {
    for rules in [
        "type Usr { name: String @authenticated }",
        "type User { nam: String @authenticated }",
        "type User { name: Int @authenticated }",
        "type User {\n salary(im: Currency @authenticated): Int }",
        "interface User @authenticated",
        "input Filter { nam: String @authenticated }",
        "enum Period { MONTH @authenticated }",
        "type User { name: String @authenticate }",
        "type User { name: String @requiresScopes(scopes: []) }",
        "{ me { name } }",
        "type User {",
    ] {
        let mut own = settings(SHOP);
        own.rules = Some(source("rules.graphql", rules));
        let mistakes = made(own).unwrap_err();
        assert_eq!(mistakes[0].file, "rules.graphql", "{rules}: {mistakes:?}");
        assert!(mistakes[0].line > 0, "{mistakes:?}");
    }
}

#[test]
fn policies_are_claims_that_hold_something() {
    let schema = "type Query { a: Int @policy(policies: [[\"staff\", \"here\"], [\"boss\"]]) }";
    let mut own = settings(schema);
    for (name, claim, value) in [
        ("staff", "roles", "staff"),
        ("here", "site", "north"),
        ("boss", "roles", "boss"),
    ] {
        let means = ClaimHas {
            claim: claim.into(),
            value: value.into(),
        };
        own.policies.insert(name.into(), means);
    }
    let own = made(own).unwrap();
    let scopes = "".parse().unwrap();
    for (claims, good) in [
        (json!({ "roles": ["staff"], "site": "north" }), true),
        (json!({ "roles": "boss" }), true),
        (json!({ "roles": ["staff"] }), false),
        (json!({ "roles": ["staff"], "site": "northern" }), false),
        (json!({ "roles": { "boss": true } }), false),
        (json!({}), false),
    ] {
        let asked = super::super::request::Asked {
            query: Some("{ a }".into()),
            ..Default::default()
        };
        let held = super::super::rule::Held::with(&scopes, claims.as_object().unwrap());
        assert_eq!(own.judge(&asked, held).is_ok(), good, "{claims}");
    }
}

#[test]
fn the_file_of_a_subgraph_is_read_as_it_is() {
    let head = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@key\", \"@shareable\", { name: \"@tag\", as: \"@label\" }])\n";
    let types = "extend type Query { me: User  hidden: Int @federation__requiresScopes(scopes: [[\"all\"]]) }
        type User @key(fields: \"id\") @key(fields: \"mail\", resolvable: false) {
            id: ID! @shareable
            mail: String @federation__override(from: \"old\") @requiresScopes(scopes: [[\"mail\"]])
            sum: Int @federation__requires(fields: \"tax\")
            tax: Int @external
        }";
    let open = |text: &str| Graph::new(settings(text));
    let graph = open(&format!("{head}{types}")).unwrap();
    let denied = |query: &str| try_body(&graph, &json!({ "query": query }), "").is_err();
    assert!(!denied("{ me { id sum } }"));
    assert!(denied("{ me { id mail } }"));
    assert!(denied("{ hidden }"));

    // A slip of the pen is no guard, and told.
    for wrong in [
        "extend type Query { a: Int @requiresScope(scopes: [[\"a\"]]) }",
        "extend type Query { a: Int @federation__authenticate }",
        "type Query { a: Int } extend type Usr { name: String @authenticated }",
        "type Query { a: Int } type B @key { b: Int }",
        "type Query { a: Int @label(name: \"a\") }",
    ] {
        assert!(open(wrong).is_err(), "{wrong}");
    }
    // What the file defines itself is kept.
    let own = "directive @key(of: Int!) on OBJECT scalar link__Import type Query @key(of: 1) { a: link__Import }";
    assert!(open(own).is_ok());
}
