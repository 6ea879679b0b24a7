//! What a schema may use without saying what it is: the directives that guard and
//! weigh, and those with which a subgraph speaks to its supergraph. These mean
//! nothing to a gateway, and are in nearly every subgraph's file; any other that
//! is not defined stays a mistake, for it could be a guard with a slip of the pen.
//!
//! Spec: Apollo Federation

use std::fmt::Write as _;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document};

use super::directive::OWN;

/// The specification's name, before those of directives that were not imported.
const PREFIX: &str = "federation__";
/// What an import may be: a text, or an object.
const SCALAR: &str = "link__Import";
/// Types that a subgraph adds to, and need not have itself.
const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

/// Directives of the specifications, each with what follows its name.
const DIRECTIVES: [(&str, &str); 16] = [
    (
        "link",
        "(url: String, as: String, for: link__Import, import: [link__Import]) repeatable on SCHEMA",
    ),
    (
        "core",
        "(feature: String!, as: String, for: link__Import) repeatable on SCHEMA",
    ),
    (
        "key",
        "(fields: String!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE",
    ),
    ("requires", "(fields: String!) on FIELD_DEFINITION"),
    ("provides", "(fields: String!) on FIELD_DEFINITION"),
    ("external", "(reason: String) on OBJECT | FIELD_DEFINITION"),
    (
        "tag",
        "(name: String!) repeatable on FIELD_DEFINITION | INTERFACE | OBJECT | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION | SCHEMA",
    ),
    ("extends", " on OBJECT | INTERFACE"),
    ("shareable", " repeatable on OBJECT | FIELD_DEFINITION"),
    (
        "inaccessible",
        " on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION",
    ),
    (
        "override",
        "(from: String!, label: String) on FIELD_DEFINITION",
    ),
    ("composeDirective", "(name: String!) repeatable on SCHEMA"),
    ("interfaceObject", " on OBJECT"),
    (
        "context",
        "(name: String!) repeatable on INTERFACE | OBJECT | UNION",
    ),
    ("fromContext", "(field: String) on ARGUMENT_DEFINITION"),
    (
        "cacheTag",
        "(format: String!) repeatable on OBJECT | FIELD_DEFINITION",
    ),
];

/// Definitions of all that a document does not define itself.
pub(super) fn missing(document: &Document) -> String {
    let mut text = String::new();
    let mut add = |definition: String| {
        let _ = writeln!(text, "{definition}");
    };
    let has_directive = |name: &str| {
        document.definitions.iter().any(|own| match own {
            Definition::DirectiveDefinition(own) => own.name == *name,
            _ => false,
        })
    };
    for (name, definition) in OWN {
        let long = format!("{PREFIX}{name}");
        if !has_directive(&long) {
            add(definition.replacen(name, &long, 1));
        }
        if !has_directive(name) {
            add(definition.to_owned());
        }
    }
    for (name, rest) in DIRECTIVES {
        let names = [name.to_owned(), format!("{PREFIX}{name}")];
        for name in names.iter().filter(|own| !has_directive(own)) {
            add(format!("directive @{name}{rest}"));
        }
    }
    let is_type = |name: &str| {
        let mut types = document.definitions.iter().filter(|own| {
            !own.is_extension_definition()
                && !matches!(
                    own,
                    Definition::DirectiveDefinition(_)
                        | Definition::OperationDefinition(_)
                        | Definition::FragmentDefinition(_)
                )
        });
        types.any(|own| own.name().map(Name::as_str) == Some(name))
    };
    if !is_type(SCALAR) {
        add(format!("scalar {SCALAR}"));
    }
    for root in ROOTS {
        let adds = document.definitions.iter().any(|own| match own {
            Definition::ObjectTypeExtension(own) => own.name == root,
            _ => false,
        });
        if adds && !is_type(root) {
            add(format!("type {root}"));
        }
    }
    text
}
