//! Whatever the schema and the operation: no field is sent whose scopes its
//! caller has not.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::{self, Definition, Selection};
use proptest::prelude::*;
use serde_json::json;

use super::drawn::{Choices, Draw, schema};
use super::oracle::Oracle;
use super::*;

fn types(schema: &str) -> BTreeMap<String, ast::Definition> {
    let document = ast::Document::parse(schema, "schema").unwrap();
    let named = |own: &ast::Definition| Some((own.name()?.to_string(), own.clone()));
    document.definitions.iter().filter_map(named).collect()
}

/// Variables are declared only where they stand.
fn declared(query: String) -> String {
    let query = match query.matches("$in").count() {
        1 => query.replace(", $in: In", ""),
        _ => query,
    };
    match query.matches("$no").count() {
        1 => query
            .replace("$no: Boolean = false, ", "")
            .replace("($no: Boolean = false)", ""),
        _ => query,
    }
}

fn check(seed: u64) -> Result<(), TestCaseError> {
    let choices = &mut Choices(seed | 1);
    let schema = schema(choices);
    let types = types(&schema);
    let mut draw = Draw {
        types: &types,
        fragments: Vec::new(),
        aliases: 0,
    };
    let set = draw.set("Query", 4, choices);
    let query = format!(
        "query($no: Boolean = false, $in: In) {set} {}",
        draw.fragments.join(" ")
    );
    let query = declared(query);
    let variables = [
        json!({}),
        json!({ "in": { "p": 1 } }),
        json!({ "in": { "q": { "q": {} } } }),
    ];
    let variables = &variables[usize::try_from(choices.up_to(3)).unwrap()];
    let scopes: BTreeSet<String> = (0..4)
        .filter(|_| choices.one_in(2))
        .map(|at| format!("s{at}"))
        .collect();
    let held = scopes.iter().cloned().collect::<Vec<_>>().join(" ");
    let oracle = Oracle { types, scopes };
    let body = json!({ "query": query, "variables": variables });
    for on_denied in [OnDenied::Refuse, OnDenied::Null] {
        let mut own = settings(&schema);
        own.on_denied = on_denied;
        own.limits = Limits {
            max_aliases: 10_000,
            max_directives: 10_000,
            max_fields: 10_000,
            max_root_fields: 1_000,
            max_cost: u64::MAX,
            ..Limits::default()
        };
        let graph = made(own).map_err(|own| TestCaseError::fail(format!("{schema}: {own:?}")))?;
        match try_body(&graph, &body, &held) {
            Ok(trial) => {
                let sent: serde_json::Value = serde_json::from_str(&trial.sent).unwrap();
                let text = sent["query"].as_str().unwrap();
                let document = ast::Document::parse(text, "sent").unwrap();
                let given = &sent["variables"];
                prop_assert!(
                    oracle.allows(&document, given),
                    "{schema}\n{query}\n{text}\n{held}"
                );
            }
            Err(told) => {
                prop_assert!(
                    told.starts_with("graphql-denied"),
                    "{schema}\n{query}\n{told}"
                );
                let document = ast::Document::parse(&*query, "asked").unwrap();
                // Interfaces and unions are judged by the strictest of what they
                // can be; without them nothing is refused that may be seen.
                if oracle.allows(&document, variables) {
                    prop_assert!(
                        has_abstract(&oracle, &document),
                        "{schema}\n{query}\n{held}\n{told}"
                    );
                }
            }
        }
    }
    Ok(())
}

/// Whether an operation passes through an interface or a union.
fn has_abstract(oracle: &Oracle, document: &ast::Document) -> bool {
    fn in_set(oracle: &Oracle, set: &[Selection]) -> bool {
        set.iter().any(|own| match own {
            Selection::Field(own) => {
                let mut types = oracle.types.keys();
                let is_abstract = types.any(|of| {
                    let known = oracle.field(of, &own.name);
                    known.is_some_and(|known| {
                        ["I0", "I1", "U"].contains(&known.ty.inner_named_type().as_str())
                    })
                });
                is_abstract || in_set(oracle, &own.selection_set)
            }
            Selection::InlineFragment(_) | Selection::FragmentSpread(_) => true,
        })
    }
    document.definitions.iter().any(|own| match own {
        Definition::OperationDefinition(own) => in_set(oracle, &own.selection_set),
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_field_is_sent_without_its_scopes(seed in any::<u64>()) {
        check(seed)?;
    }

    /// What is written down from what was read is read as the same again.
    #[test]
    fn what_is_sent_means_what_was_judged(text in "[ -~\u{e9}\u{1f600}]{0,40}", block in any::<bool>()) {
        let graph = graph(|own| own.limits.max_cost = u64::MAX);
        let mut literal = String::new();
        super::super::json::write_text(&text, &mut literal);
        let literal = match block {
            true => format!("\"\"\"{}\"\"\"", text.replace('"', "'").replace('\\', "/")),
            false => literal,
        };
        let query = format!("{{ search(text: {literal}) {{ ... on User {{ name }} }} }}");
        let trial = try_query(&graph, &query, "").unwrap();
        let sent: serde_json::Value = serde_json::from_str(&trial.sent).unwrap();
        let before = ast::Document::parse(query, "asked").unwrap();
        let after = ast::Document::parse(sent["query"].as_str().unwrap(), "sent").unwrap();
        prop_assert_eq!(before, after);
    }

    /// Seeds of the fuzz target with some of their bytes changed: nothing panics,
    /// and what is sent is judged as what it was made from.
    #[test]
    fn what_is_sent_is_sent_again_as_it_is(
        seed in 0..SEEDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut query = SEEDS[seed].as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(query.len());
            query[at] = byte;
        }
        let query = String::from_utf8_lossy(&query);
        for on_denied in [OnDenied::Refuse, OnDenied::Null] {
            let graph = graph(|own| own.on_denied = on_denied);
            let Ok(trial) = try_query(&graph, &query, "read:salary") else {
                continue;
            };
            let scopes = "read:salary".parse().unwrap();
            let again = graph.try_body(trial.sent.as_bytes(), &scopes);
            let again = again.map_err(|own| own.to_string());
            // What was put in for something hidden is asked for by nobody.
            prop_assert!(!trial.hidden.is_empty() || again.as_ref() == Ok(&trial), "{query}");
        }
    }
}

const SEEDS: [&str; 4] = [
    "{ me { name salary(in: EUR) friends(first: 3) { ...F } } } fragment F on User { a: id b: name @skip(if: true) email }",
    "query A($n: Int = 3, $f: Filter) { users(first: $n, filter: $f) { id } echo(value: {a: [1.5e3, \"x\\u00e9\"]}) }",
    "mutation { rename(name: \"\"\"block\n  text\"\"\") { __typename id } touch }",
    "{ search(text: \"a\") { ... on User { name } ... on Invoice { total } } secrets sums(by: YEAR) }",
];
