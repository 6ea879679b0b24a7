//! How much there may be, and that finding it out takes no time itself.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use super::*;

fn refused_for(name: &str, query: &str) {
    let graph = graph(|own| {
        own.limits.max_depth = 4;
        own.limits.max_aliases = 3;
        own.limits.max_root_fields = 3;
        own.limits.max_directives = 3;
        own.limits.max_fields = 12;
        own.limits.max_tokens = 120;
        own.limits.max_document_bytes = 1000;
    });
    let told = try_query(&graph, query, "").unwrap_err();
    assert!(
        told.starts_with("graphql-limit") && told.contains(name),
        "{query}: {told}"
    );
}

#[test]
fn each_limit_is_told_by_its_name() {
    refused_for("max_depth", "{ me { best { best { best { name } } } } }");
    refused_for(
        "max_depth",
        "{ me { ...F } } fragment F on User { best { ...G } } fragment G on User { best { best { name } } }",
    );
    refused_for("max_aliases", "{ me { a: name b: name c: name d: name } }");
    refused_for(
        "max_aliases",
        "{ me { ...F ...F } } fragment F on User { a: name b: name }",
    );
    refused_for(
        "max_root_fields",
        "{ a: me { id } b: me { id } me { id } c: me { id } }",
    );
    refused_for(
        "max_root_fields",
        "{ ...F ...F } fragment F on Query { me { id } sums }",
    );
    refused_for(
        "max_directives",
        "{ me { id @skip(if: true) name @skip(if: true) best @skip(if: true) { id @skip(if: true) } } }",
    );
    refused_for(
        "max_fields",
        "{ me { ...F ...F ...F } } fragment F on User { id name best { id name } }",
    );
    refused_for(
        "max_tokens",
        &format!("{{ me {{ {} }} }}", "id ".repeat(120)),
    );
    refused_for(
        "max_document_bytes",
        &format!("{{ me {{ id }} }} # {}", "x".repeat(1000)),
    );
    let graph = graph(|own| own.limits.max_depth = 4);
    assert!(try_query(&graph, "{ me { best { best { name } } } }", "").is_ok());
}

/// Types have fields, which have types, which have fields: each step is as long
/// as a type is wide.
#[test]
fn a_schema_is_not_read_in_circles() {
    let graph = graph(|own| own.introspection = Introspection::Open);
    let circle = "fields { type { fields { type { fields { name } } } } }";
    for query in [
        format!("{{ __schema {{ types {{ {circle} }} }} }}"),
        format!("{{ __type(name: \"User\") {{ {circle} }} }}"),
        format!("{{ __schema {{ types {{ ...T }} }} }} fragment T on __Type {{ {circle} }}"),
        "{ __schema { types { interfaces { possibleTypes { inputFields { name } } } } } }".into(),
        "{ a: __schema { types { ...A } } } fragment A on __Type { fields { type { ...B } } } fragment B on __Type { fields { type { fields { name } } } }".into(),
    ] {
        let told = try_query(&graph, &query, "").unwrap_err();
        assert!(told.starts_with("graphql-limit"), "{query}: {told}");
    }
    let usual = "query IntrospectionQuery { __schema { queryType { name } types { ...FullType } directives { name args { ...InputValue } } } }
        fragment FullType on __Type { kind name fields(includeDeprecated: true) { name args { ...InputValue } type { ...TypeRef } } inputFields { ...InputValue } interfaces { ...TypeRef } enumValues { name } possibleTypes { ...TypeRef } }
        fragment InputValue on __InputValue { name type { ...TypeRef } defaultValue }
        fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    assert!(try_query(&graph, usual, "").is_ok());
}

#[test]
fn fragments_that_stand_in_themselves_are_refused() {
    let graph = graph(|_| ());
    for query in [
        "{ me { ...F } } fragment F on User { ...F }",
        "{ me { ...F } } fragment F on User { best { ...G } } fragment G on User { best { ...F } }",
    ] {
        let told = try_query(&graph, query, "").unwrap_err();
        assert!(told.contains("stands in itself"), "{told}");
    }
}

/// Each of sixty fragments spreads the next one twice: 2^60 fields.
#[test]
fn an_operation_that_unfolds_without_end_is_refused_at_once() {
    let graph = graph(|_| ());
    let mut query = "{ me { ...F0 } }".to_owned();
    for at in 0..60 {
        let next = at + 1;
        let _ = write!(
            query,
            " fragment F{at} on User {{ best {{ ...F{next} }} friends {{ ...F{next} }} }}"
        );
    }
    query.push_str(" fragment F60 on User { id }");

    let spans = (0..5).map(|_| {
        let begin = Instant::now();
        let told = try_query(&graph, &query, "").unwrap_err();
        assert!(told.starts_with("graphql-limit"), "{told}");
        begin.elapsed()
    });
    let best = spans.min().unwrap();

    assert!(best < Duration::from_secs(1), "{best:?}");
}

#[test]
fn what_is_nested_without_end_is_refused_and_ends_no_thread() {
    let graph = graph(|own| {
        own.limits.max_tokens = 1_000_000;
        own.limits.max_document_bytes = 10_000_000;
    });
    let deep = 60_000;
    let selections = format!("{}{}", "{ me ".repeat(deep), "}".repeat(deep));
    let inline = format!("{{ {} id {} }}", "... {".repeat(deep), "}".repeat(deep));
    let lists = format!(
        "{{ echo(value: {}{}) }}",
        "[".repeat(deep),
        "]".repeat(deep)
    );
    let types = format!(
        "query($a: {}Int{}) {{ me {{ id }} }}",
        "[".repeat(deep),
        "]".repeat(deep)
    );
    let objects = format!(
        "{{ echo(value: {}1{}) }}",
        "{a:".repeat(deep),
        "}".repeat(deep)
    );
    for query in [selections, inline, lists, types, objects] {
        assert!(try_query(&graph, &query, "").is_err());
    }
    // Fragments that are each shallow, and together are not.
    let mut chain = "{ me { ...F0 } }".to_owned();
    for at in 0..400 {
        let _ = write!(chain, " fragment F{at} on User {{ ...F{} }}", at + 1);
    }
    chain.push_str(" fragment F400 on User { id }");
    let told = try_query(&graph, &chain, "").unwrap_err();
    assert!(told.starts_with("graphql-limit"), "{told}");
}

#[test]
fn many_fields_of_one_name_take_no_time() {
    let graph = graph(|own| {
        own.limits.max_fields = 100_000;
        own.limits.max_tokens = 100_000;
        own.limits.max_document_bytes = 1_000_000;
    });
    let query = format!("{{ me {{ {} }} }}", "best { name } ".repeat(1_500));
    let begin = Instant::now();

    let _ = try_query(&graph, &query, "");

    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}
