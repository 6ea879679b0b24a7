//! The OpenAPI document, made from the route table.
//!
//! Spec: OpenAPI Specification 3.1.0 §4.8

mod api_keys;
mod audit;
mod encryption;
mod exchange;
mod explanation;
mod keys;
mod outbox;
mod schemas;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::cx::Cx;
use crate::respond;

use super::call::Call;
use super::failed::Outcome;
use super::routes::{Access, Route, table};

pub(super) async fn get(_: Cx, _: Call) -> Outcome {
    Ok(respond::json(StatusCode::OK, &openapi()))
}

/// The OpenAPI document of the administration listener.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for route in table() {
        let at = paths.entry(route.path).or_insert_with(|| json!({}));
        at[route.method.as_str().to_ascii_lowercase()] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Symbolon administration",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "administration": { "type": "http", "scheme": "bearer", "description": "The token in `admin.token_file`." },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut answer = json!({ "description": answer_words(route.status) });
    if let Some(content) = content(route.answers) {
        answer["content"] = content;
    }
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.says,
        "parameters": parameters(route),
        "responses": { route.status.to_string(): answer, "default": refusal() },
    });
    if let Some(content) = content(route.takes) {
        let is_required = !matches!(route.takes, "Rotation" | "ApiKeyRotation");
        operation["requestBody"] = json!({ "required": is_required, "content": content });
    }
    if route.access == Access::Token {
        operation["security"] = json!([{ "administration": [] }]);
    }
    operation
}

const fn answer_words(status: u16) -> &'static str {
    match status {
        201 => "It was created.",
        204 => "It was done.",
        _ => "The answer.",
    }
}

fn refusal() -> Value {
    json!({
        "description": "Refused, or broken: `error` is stable, `request_id` is in the log.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } },
    })
}

fn content(schema: &str) -> Option<Value> {
    match schema {
        "Nothing" => None,
        "Text" => Some(json!({ "text/plain": { "schema": { "type": "string" } } })),
        "Object" => Some(json!({ "application/json": { "schema": { "type": "object" } } })),
        name => {
            let reference = format!("#/components/schemas/{name}");
            Some(json!({ "application/json": { "schema": { "$ref": reference } } }))
        }
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let parts = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parts = parts.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let queries = route.queries.iter().map(|name| {
        let schema = match *name {
            "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "query", "required": false, "schema": schema })
    });
    parts.chain(queries).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn described() -> BTreeSet<(String, String)> {
        let document = openapi();
        let paths = document["paths"].as_object().unwrap();
        let methods = |path: &Value| {
            path.as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        paths
            .iter()
            .flat_map(|(path, entry)| {
                methods(entry)
                    .into_iter()
                    .map(move |method| (method, path.clone()))
            })
            .collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let routes: BTreeSet<_> = table()
            .iter()
            .map(|route| {
                (
                    route.method.as_str().to_ascii_lowercase(),
                    route.path.to_owned(),
                )
            })
            .collect();
        assert_eq!(described(), routes);
        assert_eq!(routes.len(), table().len(), "a route stands twice");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
        let names: BTreeSet<_> = table().iter().map(|route| route.operation).collect();
        assert_eq!(names.len(), table().len());
        assert!(table().iter().all(|route| route.says.ends_with('.')));
    }

    #[test]
    fn every_schema_that_is_named_exists() {
        let document = openapi();
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name}"
            );
        }
    }

    #[test]
    fn everything_below_the_api_needs_the_token() {
        for route in table() {
            let expected = if route.path.starts_with("/admin/") {
                Access::Token
            } else {
                Access::Anyone
            };
            assert_eq!(route.access, expected, "{}", route.path);
        }
    }
}
