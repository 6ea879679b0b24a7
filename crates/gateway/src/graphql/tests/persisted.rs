//! Operations that are known by a name.

use serde_json::json;
use symbolon_token::Digest;

use super::*;

const KNOWN: &str = "query Me { me { name } }";

fn listed(persisted: Persisted, manifest: &str) -> Result<Graph, Vec<Mistake>> {
    let mut own = settings(SHOP);
    own.persisted = persisted;
    own.manifest = Some(source("operations.json", manifest));
    made(own)
}

fn manifest(text: &str) -> String {
    json!({
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [{ "id": "one", "name": "Me", "type": "query", "body": text }],
    })
    .to_string()
}

fn digest(text: &str) -> String {
    let digest = Digest::of(text.as_bytes());
    digest
        .as_bytes()
        .iter()
        .map(|own| format!("{own:02x}"))
        .collect()
}

fn by_digest(text: Option<&str>, digest: &str) -> serde_json::Value {
    json!({ "query": text, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": digest } } })
}

#[test]
fn only_what_is_listed_passes_where_that_was_said() {
    let graph = listed(Persisted::Only, &manifest(KNOWN)).unwrap();

    let named = try_body(&graph, &json!({ "documentId": "one" }), "").unwrap();
    let written = try_query(&graph, KNOWN, "").unwrap();

    assert_eq!(sent(&named), KNOWN);
    assert_eq!(named.sent, written.sent);
    for bad in [
        json!({ "query": "query Me { me { id } }" }),
        json!({ "query": "query Me { me { name }}" }),
        json!({ "documentId": "two" }),
        by_digest(None, &digest("{ sums }")),
        by_digest(Some("{ sums }"), &digest("{ sums }")),
    ] {
        let told = try_body(&graph, &bad, "").unwrap_err();
        assert!(told.starts_with("graphql-persisted"), "{bad}: {told}");
    }
    let both = json!({ "documentId": "one", "query": "{ secrets }" });
    assert!(try_body(&graph, &both, "").is_err());
}

#[test]
fn what_is_listed_is_judged_like_everything_else() {
    let relay = json!({ "a": "{ secrets }", "b": "{ sums }" }).to_string();
    let graph = listed(Persisted::Also, &relay).unwrap();

    let tried = |id: &str, scopes| try_body(&graph, &json!({ "documentId": id }), scopes);
    assert!(tried("a", "").unwrap_err().starts_with("graphql-denied"));
    assert!(tried("a", "read:secrets").is_ok());
    assert!(tried("b", "").is_ok());
    assert!(try_query(&graph, "{ me { id } }", "").is_ok());
}

#[test]
fn callers_register_operations_only_where_that_was_said() {
    let (off, on) = (graph(|_| ()), graph(|own| own.automatic_persisted = true));
    let text = "{ me { name } }";
    let known = digest(text);

    assert!(try_body(&off, &by_digest(None, &known), "").is_err());
    assert!(try_body(&off, &by_digest(Some(text), &known), "").is_err());
    let unknown = try_body(&on, &by_digest(None, &known), "").unwrap_err();
    assert!(unknown.contains("PersistedQueryNotFound"), "{unknown}");
    let wrong = by_digest(Some("{ secrets }"), &known);
    assert!(
        try_body(&on, &wrong, "read:secrets")
            .unwrap_err()
            .starts_with("graphql-request")
    );
    assert!(try_body(&on, &by_digest(None, &known), "").is_err());
    let first = try_body(&on, &by_digest(Some(text), &known), "").unwrap();
    let second = try_body(&on, &by_digest(None, &known), "").unwrap();
    assert_eq!(first, second);
    assert!(!first.sent.contains("persistedQuery"));
    // Registered by whoever may not ask it is registered, and no more.
    let secrets = "{ secrets }";
    assert!(try_body(&on, &by_digest(Some(secrets), &digest(secrets)), "").is_err());
    assert!(
        try_body(&on, &by_digest(None, &digest(secrets)), "")
            .unwrap_err()
            .starts_with("graphql-denied")
    );
    assert!(try_body(&on, &by_digest(None, &digest(secrets)), "read:secrets").is_ok());
}

#[test]
fn a_manifest_with_a_mistake_names_the_operation() {
    for (text, part) in [
        (manifest("{ nothing }"), "operation `one`"),
        (manifest("{"), "operation `one`"),
        ("[]".into(), "manifest"),
        (r#"{"a":1}"#.into(), "manifest"),
        (r#"{"a":"{ sums }","a":"{ sums }"}"#.into(), "twice"),
    ] {
        let mistakes = listed(Persisted::Also, &text).unwrap_err();
        assert_eq!(mistakes[0].file, "operations.json");
        assert!(mistakes[0].message.contains(part), "{mistakes:?}");
    }
}
